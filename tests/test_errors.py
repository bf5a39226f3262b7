import pytest

from hsijax.errors import UsageError, lookup, suggest


def test_lookup_suggests_the_nearest_name():
    with pytest.raises(UsageError, match=r"no model named 'odnet'.*'odenet'"):
        lookup({"odenet": 1, "resnet": 2}, "odnet", "model")


def test_a_name_that_is_like_none_gets_the_whole_list():
    assert suggest("zzz", ["odenet", "resnet"]) == "; known: odenet, resnet"

import zipfile

import pytest

from hsijax.scenes.archives import BadArchiveError, extract_member


def test_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("end3.mat", bytes(5_000_000))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(BadArchiveError, match="5000000 bytes, more than 1000"):
        extract_member(bomb, "end3.mat", tmp_path / "out.mat", size=1000)
    assert not (tmp_path / "out.mat").exists()


def test_nothing_but_the_member_comes_out(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.mat", b"evil")
        archive.writestr("folder/end3.mat", b"right")
    (tmp_path / "sub").mkdir()
    extract_member(path, "end3.mat", tmp_path / "sub" / "out.mat", size=None)
    assert (tmp_path / "sub" / "out.mat").read_bytes() == b"right"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "out.mat", "sub"]


def test_lying_size_is_not_believed(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("end3.mat", bytes(100_000))
    # Announce 10 bytes in the local header and in the directory.
    honest = (100_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(honest, (10).to_bytes(4, "little")))
    with pytest.raises(BadArchiveError, match="cannot be unpacked"):
        extract_member(path, "end3.mat", tmp_path / "out.mat", size=None)
    assert (tmp_path / "out.mat").stat().st_size <= 10

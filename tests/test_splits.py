"""Splits: exact counts, partition, no overlap by blocks, leakage, masks, files."""

import io
import json
import logging

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsijax.errors import HsijaxError, UsageError
from hsijax.splits import (
    Leakage,
    Split,
    SplitPlan,
    block_split,
    class_counts,
    count_split,
    hold_out_validation,
    leakage,
    load_splits,
    make_split,
    make_splits,
    mask_split,
    random_split,
    save_splits,
)
from hsijax.splits.blocks import indivisible_classes
from hsijax.splits.split import class_ids, pixels_where

ROLES = ("train", "validation", "test")
IDS = np.array([1, 10, 14])  # not contiguous, as in Salinas-A


def with_every_class(ground_truth):
    """Label three pixels of each class in the first column."""
    ground_truth[:9, 0] = np.repeat(IDS, 3)
    return ground_truth


ground_truths = arrays.arrays(
    np.int32, (12, 15), elements=st.sampled_from([0, 1, 1, 10, 14])
).map(with_every_class)


def square_fields(side=40, field=10):
    """Make a ground truth of square fields of three classes, all labelled."""
    rows, cols = np.indices((side, side)) // field
    return IDS[(rows + cols) % 3].astype(np.int32)


def counts(ground_truth, pixels):
    return class_counts(ground_truth, pixels, class_ids(ground_truth)).tolist()


def as_set(pixels):
    return {(int(row), int(col)) for row, col in pixels}


def same(one, other):
    return all(
        np.array_equal(getattr(one, role), getattr(other, role)) for role in ROLES
    )


def least_distance(train, test):
    """Return the least Chebyshev distance between two sets of pixels."""
    apart = np.abs(train[:, None, :] - test[None, :, :]).max(axis=2)
    return apart.min()


# Random splits


@pytest.fixture(scope="module")
def indian_pines(shared_data):
    path = shared_data / "indian_pines" / "Indian_pines_gt.npy"
    return np.load(path).astype(np.int32)


@pytest.fixture(scope="module")
def salinas_a(shared_data):
    truth = scipy.io.loadmat(shared_data / "salinas_a" / "SalinasA_gt.mat")
    return truth["salinasA_gt"].astype(np.int32)


@pytest.fixture(scope="module")
def salinas(shared_data):
    path = shared_data / "salinas" / "salinas_gt.mat"
    return scipy.io.loadmat(path)["salinas_gt"].astype(np.int32)


def test_indian_pines_counts(indian_pines):
    split = random_split(indian_pines, frac=0.03, seed=[0, 0])
    assert (len(split.train), len(split.test)) == (314, 9935)
    expected = [2, 43, 25, 8, 15, 22, 1, 15, 1, 30, 74, 18, 7, 38, 12, 3]
    assert counts(indian_pines, split.train) == expected
    split = random_split(indian_pines, frac=0.15, seed=[0, 0])
    assert (len(split.train), len(split.test)) == (1543, 8706)


def test_salinas_counts(salinas):
    split = random_split(salinas, frac=0.01, seed=[0, 0])
    assert (len(split.train), len(split.test)) == (549, 53580)
    split = random_split(salinas, frac=0.1, seed=[0, 0])
    assert (len(split.train), len(split.test)) == (5418, 48711)


@given(ground_truths, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_random_split_partitions_the_labelled_pixels(ground_truth, frac, seed):
    split = random_split(ground_truth, frac=frac, seed=seed)
    train, test = as_set(split.train), as_set(split.test)
    assert not train & test
    assert train | test == as_set(np.argwhere(ground_truth > 0))
    assert not len(split.validation)


def test_a_fraction_means_the_decimal_number_that_was_written():
    ground_truth = np.ones((10, 10), dtype=np.int32)
    assert len(random_split(ground_truth, frac=0.07, seed=0).train) == 7
    assert len(random_split(ground_truth, frac=0.071, seed=0).train) == 8
    assert len(random_split(ground_truth, frac=1e-9, seed=0).train) == 1


@pytest.mark.parametrize("frac", [0.0, 1.0, -0.1, 3.0, float("nan")])
def test_fraction_out_of_range(frac):
    with pytest.raises(UsageError, match=f"--frac {frac}"):
        random_split(square_fields(), frac=frac, seed=0)


def test_seed_decides_the_pixels():
    ground_truth = square_fields()
    first = random_split(ground_truth, frac=0.1, seed=[0, 0])
    assert same(first, random_split(ground_truth, frac=0.1, seed=[0, 0]))
    assert not same(first, random_split(ground_truth, frac=0.1, seed=[0, 1]))
    assert not same(first, random_split(ground_truth, frac=0.1, seed=[1, 0]))


# Fixed counts


def test_count_split_leaves_test_pixels_in_small_classes():
    ground_truth = np.array([[1] * 30, [2] * 10 + [0] * 20, [3] + [0] * 29])
    split = count_split(ground_truth, count=10, seed=0)
    assert counts(ground_truth, split.train) == [10, 5, 0]
    assert counts(ground_truth, split.test) == [20, 5, 1]


def test_count_below_one():
    with pytest.raises(UsageError, match="--count 0"):
        count_split(square_fields(), count=0, seed=0)


# Validation


@given(ground_truths, st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_validation_comes_out_of_the_training_pixels(ground_truth, frac):
    split = random_split(ground_truth, frac=0.5, seed=0)
    held = hold_out_validation(split, ground_truth, frac=frac, seed=1)
    assert np.array_equal(held.test, split.test)
    train, validation = as_set(held.train), as_set(held.validation)
    assert train | validation == as_set(split.train)
    assert not train & validation
    assert all(counts(ground_truth, held.train))


def test_validation_without_pixels_to_spare():
    ground_truth = np.array([[1, 1, 2, 2]])
    split = random_split(ground_truth, frac=0.5, seed=0)
    with pytest.raises(UsageError, match="single training pixel"):
        hold_out_validation(split, ground_truth, frac=0.5, seed=0)


# Blocks


@given(
    ground_truths,
    st.sampled_from([1, 3, 5]),
    st.integers(1, 6),
    st.floats(0.02, 0.5),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_no_test_patch_overlaps_a_training_patch(
    ground_truth, patch_side, block_side, frac, seed
):
    split = block_split(
        ground_truth,
        frac=frac,
        patch_side=patch_side,
        seed=seed,
        block_side=block_side,
    )
    labelled = as_set(np.argwhere(ground_truth > 0))
    assert as_set(split.train) | as_set(split.test) <= labelled
    assert not as_set(split.train) & as_set(split.test)
    if len(split.train) and len(split.test):
        assert least_distance(split.train, split.test) >= patch_side
        assert leakage(split, patch_side).test_patch_overlap == 0


def test_block_split_reaches_the_counts_of_a_random_split_where_it_can():
    ground_truth = square_fields()
    blocks = block_split(ground_truth, frac=0.05, patch_side=5, seed=0)
    random = random_split(ground_truth, frac=0.05, seed=0)
    assert counts(ground_truth, blocks.train) == counts(ground_truth, random.train)
    assert min(counts(ground_truth, blocks.test)) > 100


def test_block_split_keeps_every_class_of_indian_pines_but_one(indian_pines):
    for seed in range(3):
        split = block_split(indian_pines, frac=0.03, patch_side=9, seed=seed)
        trained = np.array(counts(indian_pines, split.train))
        tested = np.array(counts(indian_pines, split.test))
        assert trained.all()
        # Class 7, grass-pasture-mowed, is one field of 28 pixels.
        assert np.flatnonzero(tested == 0).tolist() == [6]
        assert leakage(split, 9).test_patch_overlap == 0


@pytest.mark.parametrize("side", [9, 13])
@pytest.mark.parametrize(
    ("scene", "frac", "trained", "indivisible"),
    [
        ("indian_pines", 0.03, 314, {9: [7], 13: [1, 7, 9]}),
        ("salinas_a", 0.01, 56, {9: [], 13: []}),
    ],
)
def test_blocks_leave_a_class_untested_only_where_no_split_could_test_it(
    scene, frac, trained, indivisible, side, request
):
    """Two patches of a class that lies within one patch always overlap."""
    truth = request.getfixturevalue(scene)
    ids = class_ids(truth)
    assert indivisible_classes(truth, side).tolist() == indivisible[side]
    for run in range(4):
        split = block_split(truth, frac=frac, patch_side=side, seed=[0, run])
        assert trained - 2 <= len(split.train) <= trained
        assert (class_counts(truth, split.train, ids) > 0).all()
        untested = ids[class_counts(truth, split.test, ids) == 0]
        assert untested.tolist() == indivisible[side]
        assert leakage(split, side) == Leakage(0.0, 0.0)


def test_the_rest_of_a_training_block_is_not_tested():
    ground_truth = square_fields()
    split = block_split(ground_truth, frac=0.01, patch_side=1, seed=0, block_side=8)
    # Without a buffer, nothing else is unused.
    assert len(split.train) + len(split.test) < ground_truth.size


def test_blocks_of_single_pixels_are_no_blocks():
    """What svm and other classifiers of one pixel would get by their patch."""

    def make(plan: SplitPlan):
        return make_split(square_fields(), plan, seed=0, run=0, patch_side=1)

    with pytest.raises(UsageError, match="one pixel here: give --block-side"):
        make(SplitPlan("blocks", frac=0.1))
    assert len(make(SplitPlan("blocks", frac=0.1, block_side=5)).train)


def test_block_side_out_of_range():
    with pytest.raises(UsageError, match="--block-side 41"):
        block_split(square_fields(), frac=0.1, patch_side=3, seed=0, block_side=41)


# Leakage


@pytest.mark.parametrize(
    ("scene", "frac", "expected"),
    [("indian_pines", 0.03, (87, 100)), ("salinas", 0.01, (52, 98))],
)
def test_leakage_of_random_splits(scene, frac, expected, request):
    ground_truth = request.getfixturevalue(scene)
    for side, percent in zip((9, 23), expected, strict=True):
        shares = [
            leakage(
                random_split(ground_truth, frac=frac, seed=[0, run]), side
            ).test_with_train_centre
            for run in range(3)
        ]
        assert 100 * np.mean(shares) == pytest.approx(percent, abs=0.6)


@given(ground_truths, st.sampled_from([1, 3, 7]), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_leakage_equals_the_distances(ground_truth, patch_side, seed):
    split = random_split(ground_truth, frac=0.05, seed=seed)
    apart = np.abs(split.test[:, None, :] - split.train[None, :, :]).max(axis=2)
    nearest = apart.min(axis=1)
    found = leakage(split, patch_side)
    assert found.test_with_train_centre == np.mean(nearest <= patch_side // 2)
    assert found.test_patch_overlap == np.mean(nearest < patch_side)


def test_validation_pixels_leak_like_training_pixels():
    """Their labels choose the epoch and the temperature."""
    train, validation, test = (np.array([[0, col]]) for col in (0, 8, 9))
    found = leakage(Split(train, validation, test), 3)
    assert (found.test_with_train_centre, found.test_patch_overlap) == (1, 1)
    assert leakage(Split(train, validation[:0], test), 3).test_patch_overlap == 0


# Masks


@pytest.fixture(scope="module")
def pavia_university(shared_data):
    folder = shared_data / "pavia_university"
    rasters = [
        scipy.io.loadmat(folder / name)[key]
        for name, key in (
            ("paviaU_gt.mat", "paviaU_gt"),
            ("TRpavia_fixed.mat", "TRpavia_fixed"),
            ("TSpavia_fixed.mat", "TSpavia_fixed"),
        )
    ]
    return rasters[0].astype(np.int32), *rasters[1:]


@pytest.fixture(scope="module")
def indian_pines_mask(shared_data):
    path = shared_data / "indian_pines" / "indianpines_disjoint_dset.mat"
    return scipy.io.loadmat(path)["indianpines_disjoint_dset"]


def test_masks_of_pavia_university(pavia_university):
    ground_truth, train, test = pavia_university
    split, (of_train, of_test) = mask_split(ground_truth, train, test)
    assert (of_train.members, of_train.unlabelled, of_train.other_class) == (
        3921,
        1147,
        0,
    )
    assert of_train.messages()[0].startswith("1147 of 3921 pixels of the training mask")
    assert of_test.messages() == []
    assert (len(split.train), len(split.test)) == (2774, 40002)
    # The published shares count the unlabelled pixels of the mask as trained on.
    published = Split(pixels_where(train > 0), split.validation, split.test)
    shares = [leakage(published, side).test_with_train_centre for side in (9, 23)]
    assert np.round(shares, 2).tolist() == [0.14, 0.41]


def test_mask_of_indian_pines_numbers_its_classes_otherwise(
    indian_pines, indian_pines_mask
):
    split, (conflicts,) = mask_split(indian_pines, indian_pines_mask)
    assert list(conflicts.renumbered.items())[:3] == [(1, 2), (2, 3), (3, 5)]
    assert 15 not in conflicts.renumbered
    assert "matched as 1 -> 2, 2 -> 3, 3 -> 5" in conflicts.messages()[0]
    assert (conflicts.members, conflicts.unlabelled) == (5689, 151)
    assert conflicts.unlabelled + conflicts.other_class == 161
    assert (len(split.train), len(split.test)) == (5528, 4711)
    shares = [leakage(split, side).test_with_train_centre for side in (9, 23)]
    assert np.round(shares, 2).tolist() == [0.71, 1.0]


def test_masks_of_two_values_name_members_only():
    ground_truth = np.array([[1, 1, 2, 2, 0]])
    split, (conflicts,) = mask_split(ground_truth, np.array([[9, 0, 9, 0, 9]]))
    assert as_set(split.train) == {(0, 0), (0, 2)}
    assert as_set(split.test) == {(0, 1), (0, 3)}
    assert (conflicts.unlabelled, conflicts.other_class) == (1, 0)


def test_masks_leave_out_pixels_of_another_class_and_of_both_masks():
    ground_truth = np.array([[1, 1, 1, 1, 2, 2, 2, 2]])
    train = np.array([[1, 1, 2, 0, 2, 0, 0, 0]], dtype=np.uint8)
    test = np.array([[0, 1, 0, 1, 0, 2, 2, 1]], dtype=np.uint8)
    split, (of_train, of_test) = mask_split(ground_truth, train, test)
    assert as_set(split.train) == {(0, 0), (0, 1), (0, 4)}
    assert as_set(split.test) == {(0, 3), (0, 5), (0, 6)}
    assert (of_train.other_class, of_test.other_class, of_test.in_both) == (1, 1, 1)
    assert "1 pixels of the test mask are left out" in of_test.messages()[1]


def test_mask_of_another_size():
    with pytest.raises(HsijaxError, match="2 x 3 pixels, the ground truth 1 x 4"):
        mask_split(np.array([[1, 1, 2, 2]]), np.ones((2, 3), dtype=np.int64))


def test_mask_without_labelled_pixels():
    with pytest.raises(HsijaxError, match="training mask marks 1 pixels and none"):
        mask_split(np.array([[1, 2, 0]]), np.array([[0, 0, 1]]))


# Plans


def test_make_splits_are_those_of_make_split():
    ground_truth = square_fields()
    plan = SplitPlan("random", frac=0.1, val_frac=0.2)
    many = make_splits(ground_truth, plan, seed=3, runs=2, patch_side=5)
    for run, split in enumerate(many):
        one = make_split(ground_truth, plan, seed=3, run=run, patch_side=5)
        assert same(one, split)
        assert len(one.validation) > 0


def test_runs_have_splits_and_validation_pixels_of_their_own():
    ground_truth = square_fields()
    drawn = make_splits(
        ground_truth, SplitPlan("random", frac=0.1), seed=3, runs=2, patch_side=5
    )
    assert as_set(drawn[0].test) != as_set(drawn[1].test)
    upper = np.zeros((40, 40), dtype=bool)
    upper[:20] = True
    plan = SplitPlan("masks", train_mask=upper, val_frac=0.2)
    fixed = make_splits(ground_truth, plan, seed=3, runs=2, patch_side=5)
    assert as_set(fixed[0].test) == as_set(fixed[1].test)
    assert as_set(fixed[0].validation) != as_set(fixed[1].validation)


def test_validation_does_not_change_which_pixels_are_tested():
    ground_truth = square_fields()
    plans = [SplitPlan("random", frac=0.1, val_frac=share) for share in (0.0, 0.2)]
    without, held = (
        make_split(ground_truth, plan, seed=3, run=1, patch_side=5) for plan in plans
    )
    assert np.array_equal(held.test, without.test)


def test_classes_without_pixels_are_named_once(caplog):
    ground_truth = np.array([[1] * 30, [10] * 30, [14] + [0] * 29])
    with caplog.at_level(logging.WARNING, "hsijax"):
        make_splits(
            ground_truth,
            SplitPlan("count", count=5),
            seed=0,
            runs=3,
            patch_side=1,
            class_names={14: "Oats"},
        )
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "half of the pixels train, not 5, where a class has no more than that: Oats",
        "no training pixel for Oats",
    ]


def test_block_split_names_what_is_impossible(caplog):
    ground_truth = square_fields()
    ground_truth[ground_truth == 14] = 0
    ground_truth[:2, :2] = 14
    with caplog.at_level(logging.WARNING, "hsijax"):
        make_split(
            ground_truth,
            SplitPlan("blocks", frac=0.05),
            seed=0,
            run=0,
            patch_side=5,
        )
    assert "pixel for class 14" in caplog.text
    assert "no split without overlap can both train and test class 14: any two" in (
        caplog.text
    )


def test_training_on_one_class_is_refused():
    with pytest.raises(HsijaxError, match="1 of 1 classes have training pixels"):
        make_split(
            np.ones((5, 5), dtype=np.int32),
            SplitPlan("random", frac=0.5),
            seed=0,
            run=0,
            patch_side=1,
        )


def test_split_without_test_pixels_is_refused():
    ground_truth = np.array([[1, 2, 1, 2]])
    plan = SplitPlan("masks", train_mask=np.ones((1, 4), dtype=bool))
    with pytest.raises(HsijaxError, match="no labelled pixel is left to test"):
        make_split(ground_truth, plan, seed=0, run=0, patch_side=1)


def test_plan_without_its_setting():
    with pytest.raises(UsageError, match="'count' needs --count"):
        make_split(square_fields(), SplitPlan("count"), seed=0, run=0, patch_side=1)
    with pytest.raises(UsageError, match="did you mean 'random'"):
        make_split(square_fields(), SplitPlan("randm"), seed=0, run=0, patch_side=1)


# Files


@pytest.fixture
def saved(tmp_path):
    ground_truth = square_fields()
    plan = SplitPlan("random", frac=0.1, val_frac=0.2)
    splits = make_splits(ground_truth, plan, seed=0, runs=2, patch_side=5)
    path = tmp_path / "split.npz"
    save_splits(
        path,
        splits,
        shape=ground_truth.shape,
        method="random",
        ground_truth_sha256="ab12",
        settings={"frac": 0.1},
    )
    return path, splits, ground_truth


def test_split_file_round_trip(saved):
    path, splits, ground_truth = saved
    file = load_splits(path, ground_truth)
    assert (file.method, file.ground_truth_sha256) == ("random", "ab12")
    assert file.settings == {"frac": 0.1}
    assert all(same(one, other) for one, other in zip(file.splits, splits, strict=True))
    before = path.read_bytes()
    save_splits(
        path,
        splits,
        shape=ground_truth.shape,
        method="random",
        ground_truth_sha256="ab12",
        settings={"frac": 0.1},
    )
    assert path.read_bytes() == before


def test_split_file_of_another_scene(saved):
    path, _, ground_truth = saved
    with pytest.raises(HsijaxError, match="40 x 40 pixels, not 39 x 40"):
        load_splits(path, ground_truth[1:])
    unlabelled = ground_truth.copy()
    unlabelled[:10] = 0
    with pytest.raises(HsijaxError, match="have no label in this ground truth"):
        load_splits(path, unlabelled)


def single_array():
    stream = io.BytesIO()
    np.save(stream, np.zeros((3, 2)))
    return stream.getvalue()


def rewrite(path, **changes):
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **(kept | changes))


def test_split_file_with_a_test_pixel_that_trained(saved):
    path, splits, ground_truth = saved
    both = np.concatenate([splits[1].test, splits[1].train[:1]])
    rewrite(path, test_1=both)
    with pytest.raises(HsijaxError, match="run 1 uses 1 pixels more than once"):
        load_splits(path, ground_truth)


def test_split_file_with_pixels_outside(saved):
    path, splits, ground_truth = saved
    for wrong in (-1, 40):
        moved = splits[0].train.copy()
        moved[0, 1] = wrong
        rewrite(path, train_0=moved)
        with pytest.raises(HsijaxError, match="run 0 has pixels outside the scene"):
            load_splits(path, ground_truth)


def test_split_file_without_test_pixels(saved):
    path, splits, ground_truth = saved
    rewrite(path, test_0=splits[0].test[:0])
    with pytest.raises(HsijaxError, match="no training or no test pixels"):
        load_splits(path, ground_truth)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:300]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("run,row,col\n0,1,1\n"),
        lambda path: np.savez(path, patches=np.zeros(3)),
        lambda path: rewrite(path, header=np.array("{")),
        lambda path: rewrite(path, header=np.array("[]")),
        lambda path: rewrite(path, header=np.array(json.dumps({"format": "x"}))),
        lambda path: rewrite(path, train_1=np.zeros((3, 2))),
        lambda path: rewrite(path, train_1=np.zeros(4, dtype=np.int32)),
        lambda path: path.write_bytes(single_array()),
    ],
)
def test_foreign_or_damaged_split_file(saved, damage):
    path, _, ground_truth = saved
    damage(path)
    with pytest.raises(HsijaxError, match=r"split\.npz is damaged or no split file"):
        load_splits(path, ground_truth)


def test_split_file_with_pickle_is_not_unpickled(saved):
    path, _, ground_truth = saved
    rewrite(path, test_1=np.array([{"pickled": True}], dtype=object))
    with pytest.raises(HsijaxError, match="damaged or no split file"):
        load_splits(path, ground_truth)


def test_missing_split_file(tmp_path):
    with pytest.raises(HsijaxError, match=r"cannot read .*none\.npz: No such file"):
        load_splits(tmp_path / "none.npz", square_fields())

"""OA, AA and kappa against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from hsijax.metrics.classification import (
    average_accuracy,
    confusion_matrix,
    kappa,
    overall_accuracy,
    per_class_accuracy,
)

CLASSES = 4
labels = arrays.arrays(np.int64, 30, elements=st.integers(0, CLASSES - 1))


@given(labels, labels)
@settings(max_examples=30, deadline=None)
def test_equal_to_scikit_learn(truth, predicted):
    predicted = np.where(np.arange(30) % 3, truth, predicted)
    truth[:2] = [0, 1]  # two classes at least, or kappa is undefined there
    confusion = confusion_matrix(truth, predicted, CLASSES)
    all_classes = np.arange(CLASSES)
    expected = metrics.confusion_matrix(truth, predicted, labels=all_classes)
    assert np.array_equal(confusion, expected)
    oa = metrics.accuracy_score(truth, predicted)
    assert overall_accuracy(confusion) == pytest.approx(oa)
    present = np.unique(truth)
    recalls = [np.mean(predicted[truth == label] == label) for label in present]
    macro = metrics.recall_score(truth, predicted, labels=present, average="macro")
    np.testing.assert_allclose(per_class_accuracy(confusion)[present], recalls)
    assert average_accuracy(confusion) == pytest.approx(macro)
    expected = metrics.cohen_kappa_score(truth, predicted)
    assert kappa(confusion) == pytest.approx(expected, abs=1e-12)


def test_kappa_by_hand():
    # po = 70/100; pe = (50 * 60 + 50 * 40) / 100**2 = 0.5; (0.7 - 0.5) / 0.5 = 0.4.
    assert kappa(np.array([[40, 10], [20, 30]])) == pytest.approx(0.4)


def test_classes_without_test_pixels_are_left_out_of_the_mean():
    confusion = np.array([[8, 0, 2], [0, 0, 0], [0, 5, 5]])
    accuracies = per_class_accuracy(confusion)
    assert accuracies[[0, 2]].tolist() == [0.8, 0.5]
    assert np.isnan(accuracies[1])
    assert average_accuracy(confusion) == pytest.approx(0.65)


def test_one_class_only():
    confusion = np.array([[7, 0], [0, 0]])
    assert (overall_accuracy(confusion), kappa(confusion)) == (1.0, 1.0)


def test_many_pixels_do_not_overflow():
    confusion = np.array([[2**31, 0], [0, 2**31]])
    assert kappa(confusion) == 1.0

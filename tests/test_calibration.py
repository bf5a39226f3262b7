"""Calibration: temperatures, reliability, risk and coverage, intervals."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import mark, open_rgb, parse_colour
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

from hsijax.classification.calibration import LIMITS, fit_temperature
from hsijax.metrics.calibration import (
    expected_calibration_error,
    reliability,
    risk_coverage,
    wilson_interval,
)
from hsijax.reports.drawing import LINE, STAMP
from hsijax.reports.reliability import (
    save_reliability_figure,
    save_risk_coverage_figure,
)

PIXELS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1)


def draw_labels(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw each pixel's label with the probabilities that its logits give."""
    edges = softmax(logits, axis=1).cumsum(axis=1)
    drawn = (edges < rng.random((len(logits), 1))).sum(axis=1)
    return np.minimum(drawn, logits.shape[1] - 1)


def split_pairs(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, right = zip(*pairs, strict=True)
    return np.array(confidence, np.float32), np.array(right)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 9))
def test_temperature_of_simulated_logits_is_found(factor, seed, classes):
    """1 where they are calibrated already, and what they were multiplied by."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (8000, classes))
    labels = draw_labels(logits, rng)
    found = fit_temperature((factor * logits).astype(np.float32), labels)
    assert found == pytest.approx(factor, rel=0.15)


def test_temperature_has_the_least_loss_of_a_grid():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (4000, 4)), rng.integers(0, 4, 4000)
    labels = np.where(rng.random(4000) < 0.6, logits.argmax(axis=1), labels)
    grid = np.geomspace(*LIMITS, 2000)
    losses = [-log_softmax(logits / t, axis=1)[range(4000), labels].sum() for t in grid]
    best = grid[np.argmin(losses)]
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 6),
    st.floats(1e-3, 1e4),
    st.sampled_from(["right", "wrong", "any", "one"]),
    st.integers(0, 99),
)
def test_temperature_is_bounded_whatever_the_pixels(count, classes, size, kind, seed):
    rng = np.random.default_rng(seed)
    logits = (size * rng.normal(size=(count, classes))).astype(np.float32)
    labels = {
        "right": logits.argmax(axis=1),
        "wrong": logits.argmin(axis=1),
        "any": rng.integers(0, classes, count),
        "one": np.zeros(count, int),  # the other classes are missing
    }[kind]
    assert LIMITS[0] <= fit_temperature(logits, labels) <= LIMITS[1]


@pytest.mark.parametrize("count", [1, 10, 1000])
@pytest.mark.parametrize("sure", [0.6, 0.9999999])
def test_pixels_that_are_all_right_make_as_sure_as_they_show(count, sure):
    """Of n right ones, the n + 1 of n + 2 of the rule of succession."""
    logits = np.log(np.tile([sure, 1 - sure], (count, 1)))
    temperature = fit_temperature(logits, np.zeros(count, int))
    found = softmax(logits[0] / temperature)[0]
    assert found == pytest.approx((count + 1) / (count + 2), rel=1e-3)


@pytest.mark.parametrize(
    "logits", [np.zeros((0, 3)), np.full((4, 1), 7.0), np.full((4, 3), 7.0)]
)
def test_temperature_is_1_where_logits_say_nothing(logits):
    assert fit_temperature(logits, np.zeros(len(logits), int)) == 1.0


@given(PIXELS, st.integers(1, 20))
def test_calibration_error_is_a_share(pairs, bins):
    confidence, right = split_pairs(pairs)
    assert 0 <= expected_calibration_error(confidence, right, bins) <= 1
    found = reliability(confidence, right, bins)
    assert found.count.sum() == len(pairs)
    some = found.count > 0
    mean = (found.count * found.confidence)[some].sum() / len(pairs)
    assert mean == pytest.approx(confidence.mean(dtype=float))
    # Each mean lies in its bin.
    assert np.all(np.abs(found.confidence * bins - np.arange(bins) - 0.5)[some] < 0.501)


def test_calibration_error_of_what_is_always_right_or_too_sure():
    ones = np.ones(10)
    assert expected_calibration_error(ones, np.ones(10, bool)) == 0
    assert expected_calibration_error(ones, np.arange(10) < 3) == pytest.approx(0.7)


def test_calibration_error_of_calibrated_confidence_is_small():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.2, 1, 200_000)
    right = rng.random(200_000) < confidence
    assert expected_calibration_error(confidence, right) < 0.01
    assert expected_calibration_error(confidence**2, right) > 0.1


@given(PIXELS, st.randoms())
def test_risk_at_full_coverage_is_the_error_and_order_cannot_matter(pairs, random):
    curve = risk_coverage(*split_pairs(pairs))
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(np.mean([not right for _, right in pairs]))
    assert np.all(np.diff(curve.threshold) < 0)
    assert 0 <= curve.area <= 1
    random.shuffle(pairs)
    again = risk_coverage(*split_pairs(pairs))
    assert all(map(np.array_equal, curve, again))


@given(PIXELS)
def test_each_point_is_what_its_threshold_accepts(pairs):
    confidence, right = split_pairs(pairs)
    for threshold, coverage, risk in zip(
        *risk_coverage(confidence, right), strict=True
    ):
        sure = confidence >= threshold
        assert coverage == pytest.approx(sure.mean())
        assert risk == pytest.approx((~right[sure]).mean())


@given(st.integers(1, 60), st.integers(0, 60))
def test_area_of_a_perfect_ranking_has_its_closed_form(count, wrong):
    """All right ones are surer than the wrong ones, which come at the end."""
    wrong = min(wrong, count)
    confidence = np.linspace(1, 0.1, count)
    right = np.arange(count) < count - wrong
    ranks = np.arange(1, wrong + 1)
    expected = np.sum(ranks / (count - wrong + ranks)) / count
    assert risk_coverage(confidence, right).area == pytest.approx(expected)


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.9, 0.95, 0.99]))
def test_interval_is_that_of_scipy(right, total, level):
    right = min(right, total)
    expected = binomtest(right, total).proportion_ci(level, method="wilson")
    assert wilson_interval(right, total, level) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def test_interval_of_no_pixels_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("selected", [True, False])
def test_figures_show_bins_curves_and_stamp(tmp_path: Path, selected):

    confidence = np.linspace(0.3, 1, 40)
    right = np.arange(40) % 3 > 0
    one, other = tmp_path / "reliability.png", tmp_path / "risk.png"
    shared = {"title": "A", "note": "what leaks", "selected_on_test": selected}
    save_reliability_figure(one, reliability(confidence, right), **shared)
    save_risk_coverage_figure(other, [risk_coverage(confidence, right)], **shared)
    for path, least in ((one, 20_000), (other, 500)):
        image = open_rgb(path)
        assert mark(image, parse_colour(LINE)).sum() > least
        assert mark(image, parse_colour(STAMP), 1).any() == selected
    shorter = tmp_path / "shorter.png"
    save_risk_coverage_figure(
        shorter, [risk_coverage(np.ones(4), np.ones(4, bool))], title="A"
    )
    assert shorter.exists()

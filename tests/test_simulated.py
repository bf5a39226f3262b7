"""Scenes that are mixed from real spectra."""

import numpy as np
import pytest

from hsijax.scenes import load_scene
from hsijax.scenes.catalogue import CATALOGUE
from hsijax.scenes.summary import describe
from hsijax.scenes.unmixing_scene import load_unmixing_scene


@pytest.mark.parametrize("name", ["simulated-mixtures", "urban-simulated"])
@pytest.mark.usefixtures("shared_data")
def test_simulated_scenes_know_their_abundances(name):
    scene, sheet = load_unmixing_scene(name), CATALOGUE[name]
    assert scene.cube.shape == sheet.shape
    assert scene.simulated.startswith("SIMULATED, ")
    assert "standard deviation 0.1; noise of 30 dB, seed 0" in scene.simulated
    assert scene.simulated in scene.notes
    reference = scene.reference
    assert reference is not None
    assert reference.names == sheet.endmembers
    assert reference.endmembers is not None
    np.testing.assert_allclose(reference.abundances.sum(axis=2), 1, atol=1e-9)
    # What the mixing adds to the means is variability, not another order of pixels.
    sums = reference.abundances @ reference.endmembers.spectra
    rest = np.linalg.norm(scene.cube - sums) / np.linalg.norm(scene.cube)
    assert rest < 0.25
    swapped = sums.transpose(1, 0, 2)
    assert np.linalg.norm(scene.cube - swapped) > 1.5 * np.linalg.norm(
        scene.cube - sums
    )


@pytest.mark.usefixtures("shared_data")
def test_the_same_bytes_every_time():
    first, again = (load_scene("simulated-mixtures").cube.load() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, load_unmixing_scene("simulated-mixtures").cube)


def test_urban_keeps_its_real_abundances(shared_data):
    reference = load_unmixing_scene("urban-simulated").reference
    assert reference is not None
    assert reference.source is not None
    assert reference.source.path == shared_data / "urban/end6_groundTruth.mat"
    crop = load_unmixing_scene("urban-crop").reference
    assert crop is not None
    np.testing.assert_array_equal(
        reference.abundances[223:257, 149:227], crop.abundances
    )


def test_it_runs_without_any_data_folder(monkeypatch, tmp_path):
    pytest.importorskip("tensorly")
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    summary = describe("simulated-mixtures")
    assert (summary["rows"], summary["cols"], summary["bands"]) == (80, 80, 200)
    assert summary["notes"][0].startswith("SIMULATED")
    assert "tensorly" in summary["files"][0]["path"]

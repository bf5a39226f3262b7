"""A trained run on scenes of other sensors, sizes and scales, from the outside."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from spectral.io import envi
from spectral.io.spyfile import SpyFile
from typer.testing import CliRunner

from hsijax.classification.network import Blueprint, TrainedNetwork
from hsijax.classification.spectral import fit_spectral
from hsijax.classification.tiles import Job, TileClasses, classify_tiles
from hsijax.classification.trained import TrainedClassifier
from hsijax.cli import app
from hsijax.config import TrainConfig
from hsijax.config.opponents import CLASSICAL
from hsijax.errors import UsageError
from hsijax.io.cube import LazyCube
from hsijax.preprocessing import fit_inputs
from hsijax.runs import Run
from hsijax.scenes import Scene, load_scene
from hsijax.scenes.sensor import Sensor
from hsijax.scenes.tiles import UNIT, whole_window
from hsijax.training.checkpoint import read_metadata

rasterio = pytest.importorskip("rasterio")

ENMAP = "enmap_potsdam/{}/enmap_potsdam_tile_128_{}.tif"
AVIRIS_NG = "aviris_ng/ang20160910t185702_2rdn_img"


def classify(classifier: TrainedClassifier, scene: Scene) -> TileClasses:
    job = Job(classifier.fit_scene(scene), side=UNIT * 9)
    ((_, found),) = classify_tiles(classifier, job, [whole_window(scene.shape)])
    return found


def invoke(*arguments: str | Path, code: int = 0):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == code, done.output + done.stderr
    return done


@pytest.fixture(scope="module")
def tile(shared_data) -> Scene:
    """EnMAP over Potsdam, 32 x 32 pixels with labels."""
    labels = shared_data / ENMAP.format("labels", 0)
    return load_scene(
        str(shared_data / ENMAP.format("images", 0)), ground_truth=str(labels)
    )


@pytest.fixture(scope="module")
def other(shared_data) -> Scene:
    """The tile beside it."""
    return load_scene(str(shared_data / ENMAP.format("images", 32)))


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory) -> Run:
    """Nearest neighbours on EnMAP."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    invoke(
        *(
            "train",
            "--model",
            "knn",
            "--dataset",
            shared_data / ENMAP.format("images", 0),
        ),
        *("--ground-truth", shared_data / ENMAP.format("labels", 0)),
        *("--count", "5", "--no-map", "--quiet", "--out", folder),
    )
    return Run(folder)


def with_more_bands(scene: Scene) -> Scene:
    """The good bands in their order of wavelength, and what lies between them."""
    assert scene.wavelengths is not None
    assert scene.fwhm is not None
    order = np.argsort(scene.wavelengths[scene.good_bands])
    bands = np.flatnonzero(scene.good_bands)[order]
    lengths, cube = scene.wavelengths[bands], scene.cube.load()[..., bands]
    between = (cube[..., 1:] + cube[..., :-1]) / 2
    finer = np.concatenate([cube, between], axis=2)
    lengths = np.concatenate([lengths, (lengths[1:] + lengths[:-1]) / 2])
    order = np.argsort(lengths)
    widths = np.interp(lengths, scene.wavelengths[bands], scene.fwhm[bands])
    return replace(
        scene,
        cube=LazyCube.from_array(finer[..., order]),
        wavelengths=lengths[order],
        fwhm=1.2 * widths[order],  # so that nothing is left to be blurred
        good_bands=np.ones(lengths.size, bool),
    )


def crop(scene: Scene, rows: int, cols: int) -> Scene:
    cube = LazyCube.from_array(scene.cube.load()[:rows, :cols])
    return replace(scene, cube=cube, ground_truth=None, ground_truth_source=None)


def test_finer_bands_give_the_same_map(run, other):
    classifier = TrainedClassifier.load(run.network_file(0))
    plain, finer = (classify(classifier, s) for s in (other, with_more_bands(other)))
    assert len(np.unique(plain.classes)) > 1
    np.testing.assert_array_equal(finer.classes, plain.classes)


def test_values_of_another_scale_give_the_same_map(run, other, tmp_path):
    """Reflectance from 0 to 1 in place of 0 to 10000."""
    cube = other.cube.load() / np.float32(other.scale)
    metadata = {
        "wavelength": list(other.wavelengths),
        "fwhm": list(other.fwhm),
        "wavelength units": "Nanometers",
        "bbl": other.good_bands.astype(int).tolist(),
    }
    path = tmp_path / "floats.hdr"
    envi.save_image(str(path), cube, ext=".img", metadata=metadata)
    done = invoke("map", run.folder, path, "--scale", "1", "--quiet")
    assert "floats is multiplied by 10000" in done.stderr
    classifier = TrainedClassifier.load(run.network_file(0))
    expected = classify(classifier, other).classes
    image = envi.open(run.maps / "floats-classes.hdr")
    assert isinstance(image, SpyFile)
    found = np.asarray(image.open_memmap(interleave="bip"))[..., 0]
    assert np.mean(found == expected) > 0.999
    done = invoke("map", run.folder, path, "--quiet")
    assert "reflectance 1 is 10000 in the run's scene and unknown" in done.stderr


def test_aviris_ng_is_mapped_by_what_enmap_taught(run, tile, shared_data):
    path = shared_data / AVIRIS_NG
    done = invoke("map", run.folder, path, "--scale", "1", "--quiet")
    assert "of the run's 218 bands 0 are matched" in done.stderr
    assert "218 resampled from its 425 good ones" in done.stderr
    with rasterio.open(run.maps / f"{path.name}-classes.tif") as dataset:
        assert dataset.crs.to_epsg() == 32611
        found = dataset.read(1)
    assert found.shape == (25, 30)
    assert found.all()
    # Independently: Gaussians on a fine grid, to reflectance times 10000.
    scene = load_scene(str(path))
    good, own = tile.good_bands, 5.01
    assert scene.wavelengths is not None
    grid = np.arange(370.0, 2510.0, 0.25)
    blur = np.sqrt(np.maximum(tile.fwhm[good] ** 2 - own**2, 0.1))
    response = np.exp(
        -4 * np.log(2) * ((grid - tile.wavelengths[good, None]) / blur[:, None]) ** 2
    )
    weights = np.stack(
        [np.interp(grid, scene.wavelengths, one) for one in np.eye(425)], axis=1
    )
    weights = response @ weights / response.sum(axis=1, keepdims=True)
    cube = np.zeros((25, 30, 224), np.float32)
    cube[..., good] = 10_000 * scene.cube.load() @ weights.T
    classifier = TrainedClassifier.load(run.network_file(0))
    made = replace(tile, cube=LazyCube.from_array(cube), ground_truth=None)
    assert np.mean(classify(classifier, made).classes == found) > 0.99


def test_what_is_not_covered_is_refused(run, shared_data, tmp_path):
    scene = load_scene(str(shared_data / AVIRIS_NG))
    assert scene.wavelengths is not None
    near = scene.wavelengths < 1000
    metadata = {
        "wavelength": list(scene.wavelengths[near]),
        "wavelength units": "Nanometers",
    }
    path = tmp_path / "short.hdr"
    cube = scene.cube.load()[:9, :9, near]
    envi.save_image(str(path), cube, ext=".img", metadata=metadata)
    done = invoke("map", run.folder, path, "--quiet", code=1)
    assert "short (376.44 to 997.52 nm) does not cover, or not finely" in done.stderr
    assert "to 2445.5 nm); mark these as bad in the run's scene" in done.stderr
    assert "matched" not in done.stderr


def test_a_scene_smaller_than_a_patch_is_refused(run, other):
    classifier = TrainedClassifier.load(run.network_file(0))
    assert classify(classifier, crop(other, 1, 1)).classes.all()
    config = replace(classifier.config, patch=5)
    learned = replace(classifier.learned, config=config)
    with pytest.raises(UsageError, match="5 x 5 pixels is larger than the scene of 4"):
        classify(replace(classifier, learned=learned), crop(other, 4, 9))


def test_checkpoints_of_earlier_days_are_read(run, other, tmp_path):
    path = run.network_file(0)
    arrays, described = load_file(path), read_metadata(path)
    assert described["scene"]["scale"] == 10_000
    del arrays["fwhm"], described["scene"]
    old = tmp_path / "old.safetensors"
    save_file(arrays, old, {"hsijax": json.dumps(described)})
    before, now = (TrainedClassifier.load(each) for each in (old, path))
    assert before.sensor.scale is None
    assert now.sensor.has_widths
    np.testing.assert_array_equal(
        classify(before, other).classes, classify(now, other).classes
    )


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("no-block", {}),
        ("no-block", {"channels": 4}),
        ("no-block", {"components": "mnf", "channels": 4}),
        ("no-block", {"components": "mnf", "channels": 4, "diffuse": "1,4"}),
        ("no-block", {"diffuse": "4", "scaling": "minmax"}),
        ("svm", {}),
        ("knn", {"channels": 4, "diffuse": "4"}),
        ("random-forest", {"components": "mnf", "channels": 4}),
    ],
)
def test_preprocessing_travels_with_the_run(tile, other, tmp_path, model, settings):
    config = TrainConfig(
        "x", model=model, patch=1 if model in CLASSICAL else 3, **settings
    )
    cube, valid = tile.load()
    assert tile.ground_truth is not None
    chosen = tile.ground_truth > 0
    inputs = fit_inputs(cube, valid, chosen, config)
    if model in CLASSICAL:
        pixels = np.argwhere(chosen)[::9]
        spectra = inputs.apply(cube, valid)[tuple(pixels.T)]
        learned, _ = fit_spectral(config, spectra, tile.labels(pixels), 5, 0)
    else:
        blueprint = Blueprint(config, inputs.channels, 5)
        learned = TrainedNetwork(blueprint, blueprint.first_params(0))
    trained = TrainedClassifier(learned, inputs, Sensor.of(tile), tile.classes)
    trained.save(tmp_path / "run.safetensors")
    again = TrainedClassifier.load(tmp_path / "run.safetensors")
    small = crop(other, 9, 14)
    expected = trained.inputs.apply(*small.load())
    found = np.asarray(again.prepare(*again.fit_scene(with_more_bands(small)).load()))
    margin = config.patch // 2
    assert found.shape == (9 + 2 * margin, 14 + 2 * margin, inputs.channels)
    inner = found[margin : 9 + margin, margin : 14 + margin]
    np.testing.assert_allclose(inner, expected, rtol=1e-5, atol=1e-5)
    if model in CLASSICAL:
        one, two = (classify(c, small) for c in (trained, again))
        np.testing.assert_array_equal(one.classes, two.classes)

from dataclasses import replace

import pytest

from hsijax.errors import UsageError
from hsijax.experiments.repeat import ensure_classification
from hsijax.runs import Run
from hsijax.settings import make_config


def test_a_folder_is_not_read_for_another_scene_of_the_same_name(tmp_path):
    scenes = [tmp_path / place / "cube.npy" for place in ("here", "there")]
    for scene in scenes:
        scene.parent.mkdir()
        scene.write_bytes(b"a scene")
    config = make_config({"dataset": str(scenes[0])}, {})
    folder = tmp_path / "run"
    folder.mkdir()
    run = Run(folder)
    run.update_manifest(status="done")
    run.write_config(config)
    run.write_metrics({"oa": 1})
    assert ensure_classification(folder, config) == {"oa": 1}
    other = replace(config, dataset=str(scenes[1]))
    with pytest.raises(UsageError, match=r"there.* choose another --out"):
        ensure_classification(folder, other)
    scenes[0].unlink()  # now it may well have been moved
    assert ensure_classification(folder, other) == {"oa": 1}

"""Scenes: the catalogue, the user's own files, and where they are found."""

from hsijax.scenes.labels import load_ground_truth
from hsijax.scenes.loading import load_scene
from hsijax.scenes.scene import LandClass, Part, Scene, SourceFile
from hsijax.scenes.stack import stack_scenes

__all__ = [
    "LandClass",
    "Part",
    "Scene",
    "SourceFile",
    "load_ground_truth",
    "load_scene",
    "stack_scenes",
]

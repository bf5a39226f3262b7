"""The catalogue of public scenes: one data sheet each, found by name."""

from hsijax.scenes.catalogue import (
    agriculture,
    derived,
    towns_and_wetlands,
    unmixing,
)
from hsijax.scenes.catalogue.sheet import SceneFile, SceneSheet

CATALOGUE: dict[str, SceneSheet] = {
    sheet.name: sheet
    for sheet in (
        *agriculture.SHEETS,
        *towns_and_wetlands.SHEETS,
        *unmixing.SHEETS,
        *derived.SHEETS,
    )
}

__all__ = ["CATALOGUE", "SceneFile", "SceneSheet"]

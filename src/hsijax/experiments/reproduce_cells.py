"""The cells of the papers' tables of classification, and which of them are wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hsijax.errors import UsageError, lookup
from hsijax.experiments import printed


class Cell(NamedTuple):
    """A network, trained with a preset on a share of a scene's labelled pixels."""

    scene: str
    frac: float
    preset: str
    model: str

    @property
    def part(self) -> tuple[str, float]:
        """Its scene and share: what it is compared within."""
        return self.scene, self.frac

    @property
    def words(self) -> tuple[str, str, str]:
        """Its scene, share and network, as a user names them."""
        return self.scene, f"{100 * self.frac:g}%", self.model

    def folder(self, table: Path) -> Path:
        """Its run folder."""
        return table / f"{self.scene}-{self.frac:g}" / f"{self.preset}-{self.model}"


@dataclass(frozen=True)
class TrainingTable:
    """One table: what the paper prints, by scene and share, and what stands beside.

    `instead` is the scene that is trained on where another cannot be had.
    """

    name: str
    title: str
    printed: Mapping[tuple[str, float], Mapping[str, printed.Column]]
    instead: Mapping[str, str]
    # The paper's two networks first, then the controls that it lacks.
    models: tuple[str, ...] = ("resnet", "odenet", "resnet-tied", "resnet1", "no-block")
    presets: tuple[str, ...] = ("paper", "best")
    runs: int = 10

    @property
    def cells(self) -> list[Cell]:
        """All cells in their order, those of the scenes in place of others last."""
        replaced = [
            (self.instead[scene], frac)
            for scene, frac in self.printed
            if scene in self.instead
        ]
        return [
            Cell(*part, preset, model)
            for part in (*self.printed, *replaced)
            for preset in self.presets
            for model in self.models
        ]


TRAINING_TABLES = {
    table.name: table
    for table in (
        TrainingTable(
            "table1",
            "Table 1 of Paoletti et al., IGARSS 2019",
            printed.TABLE_1,
            {"salinas": "salinas-a"},
        ),
    )
}


def choose_cells(
    table: TrainingTable, preset: str | None, only: str | None
) -> list[Cell]:
    """Return the cells of a preset (all if None or "both") that `only` names.

    `only` has scenes, shares such as 3% and networks, separated by commas. A scene
    that is there in place of another is chosen only by its name.

    Raises:
        UsageError: a word is not of the table, or no cell fits all words.

    >>> table1 = TRAINING_TABLES["table1"]
    >>> cells = choose_cells(table1, "paper", "indian-pines,3%,odenet")
    >>> [cell.folder(Path("out")).as_posix() for cell in cells]
    ['out/indian-pines-0.03/paper-odenet']
    """
    presets = {name: (name,) for name in table.presets} | {"both": table.presets}
    chosen_presets = lookup(presets, preset or "both", "preset")
    kinds = {word: kind for cell in table.cells for kind, word in enumerate(cell.words)}
    chosen: dict[int, list[str]] = {}
    for word in () if only is None else only.split(","):
        kind = lookup(kinds, word.strip(), "scene, share or network of this table")
        chosen.setdefault(kind, []).append(word.strip())
    usual = {scene for scene, _ in table.printed}
    cells = [
        cell
        for cell in table.cells
        if cell.preset in chosen_presets
        and all(cell.words[kind] in words for kind, words in chosen.items())
        and (cell.scene in usual or cell.scene in chosen.get(0, ()))
    ]
    if not cells:
        parts = dict.fromkeys(" ".join(cell.words[:2]) for cell in table.cells)
        raise UsageError(
            f"--only {only} is no part of {table.name}: {', '.join(parts)}"
        )
    return cells

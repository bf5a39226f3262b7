"""The cells of the tables of classification, and which of them are wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hsijax.config.opponents import OPPONENTS
from hsijax.errors import UsageError, lookup
from hsijax.experiments import printed
from hsijax.reports import beyond_paper, table1


class Part(NamedTuple):
    """A scene and what trains on it: what cells are compared within."""

    scene: str
    frac: float | None  # share of the labelled pixels; None where masks decide
    split: str = "random"

    @property
    def words(self) -> tuple[str, str, str]:
        """Its scene, share and way of splitting, as a user names them."""
        share = "" if self.frac is None else f"{100 * self.frac:g}%"
        return self.scene, share, self.split

    @property
    def name(self) -> str:
        """Of its folder."""
        share = () if self.frac is None else (f"{self.frac:g}",)
        split = () if self.split == "random" else (self.split,)
        return "-".join((self.scene, *share, *split))


class Cell(NamedTuple):
    """A classifier, trained with a preset on a part of a table."""

    part: Part
    preset: str
    model: str

    @property
    def words(self) -> tuple[str, ...]:
        """Its scene, share, split and network, as a user names them."""
        return *self.part.words, self.model

    def folder(self, table: Path) -> Path:
        """Its run folder."""
        return table / self.part.name / f"{self.preset}-{self.model}"


@dataclass(frozen=True)
class TrainingTable:
    """One table: its parts and networks, and what is printed, by scene and share.

    `instead` is the scene that is trained on where another cannot be had.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    printed: Mapping[tuple[str, float], Mapping[str, printed.Column]]
    instead: Mapping[str, str]
    models: tuple[str, ...]
    presets: tuple[str, ...]
    to_markdown: Callable[[Mapping[str, Any]], str]
    runs: int = 10

    @property
    def cells(self) -> list[Cell]:
        """All cells in their order, those of the scenes in place of others last."""
        replaced = [
            part._replace(scene=self.instead[part.scene])
            for part in self.parts
            if part.scene in self.instead
        ]
        return [
            Cell(part, preset, model)
            for part in (*self.parts, *replaced)
            for preset in self.presets
            for model in self.models
        ]


TRAINING_TABLES = {
    table.name: table
    for table in (
        TrainingTable(
            "table1",
            "Table 1 of Paoletti et al., IGARSS 2019",
            tuple(Part(scene, frac) for scene, frac in printed.TABLE_1),
            printed.TABLE_1,
            {"salinas": "salinas-a"},
            # The paper's two networks first, then the controls that it lacks.
            ("resnet", "odenet", "resnet-tied", "resnet1", "no-block"),
            ("paper", "best"),
            table1.to_markdown,
        ),
        TrainingTable(
            "beyond-paper",
            "Beyond the paper: all classifiers on the same pixels",
            (
                *(Part("indian-pines", frac) for frac in (0.03, 0.05, 0.10, 0.15)),
                Part("salinas-a", 0.01),
                Part("indian-pines", 0.03, "blocks"),
                Part("salinas-a", 0.01, "blocks"),
                Part("indian-pines", None, "grss"),
            ),
            printed.TABLE_1,
            {},
            ("odenet", "resnet", *OPPONENTS),
            ("best",),
            beyond_paper.to_markdown,
        ),
    )
}


def choose_cells(
    table: TrainingTable, preset: str | None, only: str | None
) -> list[Cell]:
    """Return the cells of a preset (all if None or "both") that `only` names.

    `only` has scenes, shares such as 3%, ways of splitting and networks, separated by
    commas. A scene that is there in place of another is chosen only by its name.

    Raises:
        UsageError: a word is not of the table, or no cell fits all words.

    >>> table1 = TRAINING_TABLES["table1"]
    >>> cells = choose_cells(table1, "paper", "indian-pines,3%,odenet")
    >>> [cell.folder(Path("out")).as_posix() for cell in cells]
    ['out/indian-pines-0.03/paper-odenet']
    """
    presets = {name: (name,) for name in table.presets} | {"both": table.presets}
    chosen_presets = lookup(presets, preset or "both", "preset")
    kinds = {
        word: kind
        for cell in table.cells
        for kind, word in enumerate(cell.words)
        if word
    }
    chosen: dict[int, list[str]] = {}
    for word in () if only is None else only.split(","):
        named = "scene, share, split or network of this table"
        kind = lookup(kinds, word.strip(), named)
        chosen.setdefault(kind, []).append(word.strip())
    usual = {part.scene for part in table.parts}
    cells = [
        cell
        for cell in table.cells
        if cell.preset in chosen_presets
        and all(cell.words[kind] in words for kind, words in chosen.items())
        and (cell.part.scene in usual or cell.part.scene in chosen.get(0, ()))
    ]
    if not cells:
        parts = dict.fromkeys(_describe(cell.part) for cell in table.cells)
        raise UsageError(
            f"--only {only} is no part of {table.name}: {', '.join(parts)}"
        )
    return cells


def _describe(part: Part) -> str:
    """Name a part in a message; random draws go without saying.

    >>> _describe(Part("salinas-a", 0.01)), _describe(Part("salinas-a", None, "grss"))
    ('salinas-a 1%', 'salinas-a grss')
    """
    scene, share, split = part.words
    return " ".join(filter(None, (scene, share, "" if split == "random" else split)))

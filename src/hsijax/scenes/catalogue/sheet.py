"""What a data sheet of the catalogue holds, and the words its tables are written in."""

from dataclasses import dataclass

from hsijax.scenes.scene import LandClass

GIC = (
    "Grupo de Inteligencia Computacional, University of the Basque Country: "
    "Hyperspectral Remote Sensing Scenes, https://www.ehu.eus/ccwintco/index.php/"
    "Hyperspectral_Remote_Sensing_Scenes"
)
# Repositories that mirror several scenes.
HYBRID_SN = "gokriznastic/HybridSN"
HAUT = "mhaut/HSI-datasets"


@dataclass(frozen=True)
class SceneFile:
    """One file of a scene: how to know it, and where to get it.

    `sha256` is empty where nobody has published a hash that could be confirmed; the
    file's content is checked in its place. `size` and the first hash belong to the
    file that `urls` lead to, further hashes to files of equal content.
    """

    # "cube", "ground_truth", "train_mask", "test_mask", "abundances", "endmembers" or
    # "bundles".
    role: str
    names: tuple[str, ...]  # seen in collections; the first is the official one
    urls: tuple[str, ...]  # mirrors, in the order in which they are tried
    key: str | None = None  # the variable's name; None where collections differ
    sha256: tuple[str, ...] = ()
    size: int | None = None  # bytes
    archive_member: str | None = None  # its name inside the mirrors that are archives


@dataclass(frozen=True)
class Window:
    """The part of a larger image that a scene shows: ranges of its rows and columns."""

    size: tuple[int, int]  # rows and columns of the whole image
    rows: tuple[int, int]
    cols: tuple[int, int]


@dataclass(frozen=True)
class SceneSheet:
    """What is known about a public scene: the row that the catalogue has for it."""

    name: str
    title: str
    task: str  # "classification" or "unmixing"
    files: tuple[SceneFile, ...]
    shape: tuple[int, int, int]  # rows, columns, bands
    source: str  # who to cite, and the page
    licence: str = "none stated by the provider; cite the source"
    classes: tuple[LandClass, ...] = ()
    # Masks of the IEEE GRSS DASE website: which pixels train and, if given, which test.
    grss: tuple[SceneFile, ...] = ()
    endmembers: tuple[str, ...] = ()  # in the order of the reference abundances
    scale: float | None = None  # reflectance is the values divided by it
    # What the abundances are of, where that is more than the cube.
    window: Window | None = None
    simulated: str = ""  # how, where the cube is made by us from the files
    wavelengths: tuple[float, ...] | None = None  # nm; None where none is published
    notes: tuple[str, ...] = ()
    in_samples: bool = False  # ships with the extra `samples`

    @property
    def about(self) -> tuple[str, ...]:
        """What to tell of the scene, one sentence each."""
        return *self.notes, f"source: {self.source}", f"licence: {self.licence}"

    def file(self, role: str) -> SceneFile | None:
        """Return the scene's file of this role, or None where there is none."""
        return next((file for file in self.files if file.role == role), None)


def legend(table: str, ids: tuple[int, ...] | None = None) -> tuple[LandClass, ...]:
    """Read classes from lines of "RRGGBB name"; they are numbered from 1 or by `ids`.

    >>> legend("ff0000 Roof")
    (LandClass(id=1, name='Roof', colour=(255, 0, 0)),)
    """
    rows = [line.split(maxsplit=1) for line in table.strip().splitlines()]
    return tuple(
        LandClass(number, name.strip(), _rgb(colour))
        for number, (colour, name) in zip(
            ids or range(1, len(rows) + 1), rows, strict=True
        )
    )


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


def ehu(path: str) -> str:
    """Address of an upload at the University of the Basque Country, the page to cite.

    It answers programs with a refusal or an HTML page, so it comes last.
    """
    return f"https://www.ehu.eus/ccwintco/uploads/{path}"


def hugging_face(repository: str, file: str) -> tuple[str, str]:
    """Addresses of a file at Hugging Face and at its mirror."""
    path = f"datasets/{repository}/resolve/main/{file}"
    return f"https://huggingface.co/{path}", f"https://hf-mirror.com/{path}"


def github(repository: str, path: str) -> str:
    """Address of a file in the newest state of a GitHub repository."""
    return f"https://raw.githubusercontent.com/{repository}/HEAD/{path}"

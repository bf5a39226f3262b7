"""Text and tables that stand in Markdown and LaTeX as they are."""

from collections.abc import Collection, Sequence


def escape_latex(text: str) -> str:
    r"""Make a text stand in LaTeX as it is.

    >>> escape_latex("Grass & trees_50%")
    'Grass \\& trees\\_50\\%'
    """
    special = {letter: f"\\{letter}" for letter in "&%$#_{}"}
    special |= {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",  # the default font encoding has no straight quotation mark
    }
    return one_line(text).translate(str.maketrans(special))


def latex_cell(cell: str) -> str:
    """Escape a cell, in which a deviation may stand after its mean."""
    return escape_latex(cell).replace("±", r"$\pm$")


def escape_markdown(text: str) -> str:
    r"""Make a text stand in a Markdown table as it is, HTML too.

    >>> escape_markdown("a|b <i>_x_")
    'a\\|b &lt;i&gt;\\_x\\_'
    """
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    text = text.replace(">", "&gt;")
    special = {letter: f"\\{letter}" for letter in "\\|`*_[]"}
    return text.translate(str.maketrans(special))


def markdown_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    alignment: str,
    bold: Collection[tuple[int, int]] = (),
) -> str:
    """Return a table; `alignment` has an "l" or "r" for each column.

    `bold` are the places of cells, by row and column.
    """
    rules = {"l": ":--", "r": "--:"}
    names, *cells = [[escape_markdown(cell) for cell in row] for row in (header, *rows)]
    for row, column in bold:
        cells[row][column] = f"**{cells[row][column]}**"
    cells = [names, [rules[side] for side in alignment], *cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def one_line(text: str) -> str:
    """Replace line breaks and runs of blanks by one blank."""
    return " ".join(text.split())


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text with the first column to the left, the others to the right.

    >>> align_columns([("a", "10"), ("bcd", "2")])
    ['a    10', 'bcd   2']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]

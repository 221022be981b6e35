"""Roles of columns: which one names the image, and which has the caption."""

import re
from collections.abc import Sequence
from itertools import islice

from builders.sources.captions.images import take_image
from builders.sources.cells import Cells
from builders.sources.intake import SourceOptions
from builders.sources.listing import IMAGE_SUFFIXES
from builders.sources.tables import Table
from schemas.problems import Problem, Reason, SourceError

IMAGE_COLUMNS = (
    "image_filename",
    "file_name",
    "filename",
    "image",
    "image_path",
    "images",
    "image_id",
    "sha256",
    "id",
    "key",
)
TEXT_COLUMNS = ("caption", "text", "captions")
_LOOKS_LIKE_IMAGE = re.compile(
    rf".*({'|'.join(map(re.escape, IMAGE_SUFFIXES))})|[0-9a-f]{{16}}|[0-9a-f]{{64}}",
    re.IGNORECASE | re.DOTALL,
)
_SAMPLE_ROWS = 20


def names_image(columns: Sequence[str]) -> bool:
    """Return whether one of some columns names the image."""
    return not set(IMAGE_COLUMNS).isdisjoint(columns)


def choose_columns(table: Table, options: SourceOptions) -> dict[str, str]:
    """Choose the column that names the image and the one with the text; ask where there are several.

    Raises:
        SourceError: There are several, or the one that the settings name is not there.
    """
    if table.is_mapping:
        return {"image": "key", "caption": "value"}
    problems: list[Problem] = []
    roles: dict[str, str] = {}
    for role, candidates in (("image", IMAGE_COLUMNS), ("caption", TEXT_COLUMNS)):
        there = [name for name in candidates if name in table.columns]
        if wanted := options.columns.get(role):
            there = [wanted] if wanted in table.columns else []
            if not there:
                fix = f"the table has {', '.join(table.columns)}"
                problems.append(ask(table, f"there is no column {wanted!r}", fix))
        elif role == "image" and len(there) > 1:
            there = _columns_of_images(table, there)
        if len(there) > 1:
            choices = " or ".join(f'columns = {{ {role} = "{name}" }}' for name in there)
            message = f"more than one column may be the {role}: {', '.join(there)}"
            problems.append(ask(table, message, f"say which in release.toml, [[sources]]: {choices}"))
        roles |= {role: there[0]} if there else {}
    if problems:
        raise SourceError(problems)
    return roles


def ask(table: Table, message: str, fix: str) -> Problem:
    """Return the problem of a table that cannot be read as it stands."""
    return Problem(Reason.SOURCE, message, file=table.name, fix=fix)


def _columns_of_images(table: Table, candidates: list[str]) -> list[str]:
    """Keep the columns whose values look like image files or ids; of columns that say the same, one."""
    rows = [Cells(row, table.name) for row in islice(table.rows(), _SAMPLE_ROWS)]
    values = {
        name: [image for row in rows if (image := take_image(row, name, required=False))]
        for name in candidates
    }
    fitting = [
        name for name in candidates if values[name] and all(map(_LOOKS_LIKE_IMAGE.fullmatch, values[name]))
    ]
    different: dict[tuple[str, ...], str] = {}
    for name in fitting or candidates:
        different.setdefault(tuple(values[name]), name)
    return list(different.values())

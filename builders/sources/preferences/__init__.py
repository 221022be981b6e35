"""Preference results: people's votes between two images, in the forms that people publish them in.

Which form a file has is told from its columns. A new form is one module here and one line in `FORMS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders.sources.cells import Cells
from builders.sources.intake import InputRow, PairInput, RankInput, SourceOptions
from builders.sources.preferences import argilla, hpd, image_reward, pick_a_pic, rapidata
from builders.sources.preferences.form import Annotators, Form
from builders.sources.tables import Table, TableRow, open_table
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, SourceError, suggest

FORMS: Mapping[str, Form] = {
    "argilla": argilla.FORM,
    "pick-a-pic": pick_a_pic.FORM,
    "rapidata": rapidata.FORM,
    "hpdv2": hpd.V2,
    "hpdv3": hpd.V3,
    "image-reward-pairs": image_reward.PAIRS,
    "image-reward-ranks": image_reward.RANKS,
}


def forms_of(columns: Sequence[str]) -> list[str]:
    """Name the forms that a table with these columns can have."""
    return [name for name, form in FORMS.items() if form.fits(columns)]


class PreferenceSource:
    """A file of preference results; see `builders.sources.intake.Source` for what it gives.

    Args:
        path: The file: Parquet, JSON, JSON Lines, CSV or TSV.
        name: Name to publish it under.
        options: What the maintainer says of it.

    Raises:
        SourceError: It cannot be read, or it has no known form, or more than one.
    """

    table = TableName.PREFERENCES
    notice = None
    table_problems: tuple[Problem, ...] = ()

    def __init__(self, path: Path, name: str, options: SourceOptions) -> None:
        self.name = name
        self._table = open_table(path)
        form = _choose_form(self._table, options.form)
        self.kind, self._form = f"preferences/{form}", FORMS[form]
        self._annotators = Annotators(path, options)
        told = {"of": options.of, "license": options.license, "prompt_license": options.prompt_license}
        self._told: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        self.num_rows, self.images = self._table.num_rows, options.images
        self.sha256 = f"{self._table.sha256} {self._annotators.fingerprint} {options.fingerprint}"

    def rows(self) -> Iterator[InputRow]:
        """Yield every row: a pair with its votes, one vote, or one image's rank."""
        for row in self._table.rows():
            cells = Cells(row, self._table.name)
            content = None if row.problems else self._form.read(cells, self._annotators)
            yield self._input_row(row, content, cells)

    def _input_row(self, row: TableRow, content: PairInput | RankInput | None, cells: Cells) -> InputRow:
        name = ""
        if content is not None:
            name = content.id if isinstance(content, PairInput) else content.prompt_id
            content = replace(content, **self._told) if self._told else content
        return InputRow(
            self.name, self._table.name, row.number, row.raw, name, content, tuple(cells.problems)
        )


def _choose_form(table: Table, asked: str | None) -> str:
    """Choose the form of a table: the one that is asked for, or else the only one that fits.

    Raises:
        SourceError: None fits, or several do.
    """
    fitting = [] if table.is_mapping else forms_of(table.columns)
    if asked is None and len(fitting) == 1:
        return fitting[0]
    there = f"the table has {', '.join(table.columns) or 'no columns'}"
    if asked is not None and asked not in FORMS:
        message, fix = f"there is no form of preferences {asked!r}", suggest(asked, FORMS)
    elif asked is not None and not table.is_mapping:
        missing = FORMS[asked].missing(table.columns)
        if not missing:
            return asked
        message, fix = f"the form {asked} needs {' and '.join(missing)}", there
    elif fitting:
        choices = " or ".join(f'form = "{name}"' for name in fitting)
        message = f"this may be {' or '.join(fitting)}"
        fix = f"say which in release.toml, [[sources]]: {choices}"
    else:
        forms = "; ".join(f"{name} has {form.describe()}" for name, form in FORMS.items())
        message, fix = "no known form of preferences has these columns", f"{there}; {forms}"
    raise SourceError(Problem(Reason.SOURCE, message, file=table.name, fix=fix))

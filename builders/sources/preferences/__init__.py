"""Preference results: people's votes between two images, in the forms that people publish them in.

Which form a file has is told from its columns. A new form is one module here and one line in `FORMS`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from builders.sources.cells import Cells, settle_prompt
from builders.sources.intake import InputRow, PairInput, RankInput, SourceOptions, VotesInput
from builders.sources.preferences import (
    annotator_columns,
    argilla,
    binarized,
    campaign,
    diffusers_dpo,
    genai_bench,
    hpd,
    image_reward,
    imgsys,
    label_studio,
    pick_a_pic,
    rapidata,
    release_pairs,
)
from builders.sources.preferences.form import Annotators, Form
from builders.sources.tables import Table, TableRow, open_table
from schemas.configs import Table as TableName
from schemas.problems import Problem, Reason, SourceError, name_some, suggest

FORMS: Mapping[str, Form] = {
    "argilla": argilla.FORM,
    "pick-a-pic": pick_a_pic.FORM,
    "rapidata": rapidata.FORM,
    "hpdv2": hpd.V2,
    "hpdv2-ranks": hpd.V2_RANKS,
    "hpdv3": hpd.V3,
    "image-reward-pairs": image_reward.PAIRS,
    "image-reward-ranks": image_reward.RANKS,
    "image-reward-rankings": image_reward.RANKINGS,
    "argilla-records": argilla.RECORDS,
    "genai-bench": genai_bench.FORM,
    "imgsys": imgsys.FORM,
    "binarized": binarized.FORM,
    "diffusers-dpo": diffusers_dpo.FORM,
    "rapidata-results": rapidata.RESULTS,
    "campaign": campaign.FORM,
    "label-studio": label_studio.FORM,
    "release": release_pairs.FORM,
    "annotator-columns": annotator_columns.FORM,
}
_SAMPLE_ROWS, _MAX_NAMED = 100, 20


def forms_of(table: Table) -> list[str]:
    """Name the forms that a table can have, by its columns, or else by its first rows."""
    if table.is_mapping:
        return []
    fitting = [name for name, form in FORMS.items() if form.fits(table.columns)]
    plain = [name for name in fitting if FORMS[name].looks is None]
    if plain or not fitting:
        return plain
    rows = _first_rows(table)
    return [name for name in fitting if (looks := FORMS[name].looks) is not None and looks(rows)]


def _first_rows(table: Table) -> list[TableRow]:
    rows = []
    try:
        for row in islice(table.rows(), _SAMPLE_ROWS):
            rows.append(row)  # noqa: PERF402 - those before an error are kept
    except SourceError:  # the reader of the rows gets the error
        pass
    return rows


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

    def __init__(self, path: Path, name: str, options: SourceOptions) -> None:
        self.name = name
        self._table = open_table(path)
        form = _choose_form(self._table, options.form)
        self.kind, self._form = f"preferences/{form}", FORMS[form]
        self._annotators = Annotators(path, options)
        told = {"of": options.of, "license": options.license, "prompt_license": options.prompt_license}
        self._told: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        self.num_rows = self._table.num_rows
        self.images = options.images or (path.parent if self._form.images_beside else None)
        self._null_texts = options.null_texts
        self.table_problems = self._unpublished_columns()
        self.sha256 = f"{self._table.sha256} {self._annotators.fingerprint} {options.fingerprint}"

    def rows(self) -> Iterator[InputRow]:
        """Yield every row: a pair with its votes, one vote, one image's rank, or a ranking of several."""
        last = self._last_rows()
        for row in self._table.rows():
            cells = Cells(row, self._table.name)
            content = None if row.problems else self._form.read(cells, self._annotators)
            if isinstance(content, PairInput) and last and row.number not in last:
                content = replace(content, votes=())
            yield self._input_row(row, content, cells)

    def _last_rows(self) -> frozenset[int]:
        """Return the rows that hold, where the form has several for one vote: the last one of each vote."""
        column = self._form.last_of
        if column is None:
            return frozenset()
        last: dict[str, int] = {}
        for row in self._table.rows():
            name = row.cells.get(column)
            if isinstance(name, str | int):
                last[str(name)] = row.number
        return frozenset(last.values())

    def _input_row(self, row: TableRow, content: VotesInput | None, cells: Cells) -> InputRow:
        name = ""
        if content is not None:
            name = (content.prompt_id if isinstance(content, RankInput) else content.id) or ""
            content = replace(content, prompt=self._check_prompt(cells, content.prompt), **self._told)
        return InputRow(
            self.name, self._table.name, row.number, row.raw, name, content, tuple(cells.problems)
        )

    def _check_prompt(self, cells: Cells, prompt: str | None) -> str | None:
        """Return the prompt to publish, and note one that says that there is none.

        An id that follows from the prompt stays that of the file's text, so `null_texts` changes no id.
        """
        column = cells.first(self._form.prompts)
        if column is None:
            return prompt
        prompt, note = settle_prompt(prompt, self._null_texts)
        if note is not None:
            reason, message, fix = note
            cells.wrong(column, message, fix, reason)
        return prompt

    def _unpublished_columns(self) -> tuple[Problem, ...]:
        others = self._form.others(self._table.columns)
        if not others:
            return ()
        what = "1 column is" if len(others) == 1 else f"{len(others)} columns are"
        message = f"{what} not published: {name_some(others, _MAX_NAMED)}"
        fix = "no action is needed, unless a column of the form has another name"
        return (Problem(Reason.UNPUBLISHED_COLUMNS, message, file=self._table.name, fix=fix),)


def _choose_form(table: Table, asked: str | None) -> str:
    """Choose the form of a table: the one that is asked for, or else the only one that fits.

    Raises:
        SourceError: None fits, or several do.
    """
    fitting = forms_of(table)
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

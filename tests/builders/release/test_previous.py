"""What of a row decides whether a new version edits it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.release.previous import PreviousRelease, row_digest
from publish.checks.files import read_manifest
from schemas.columns import arrow_schema, type_names
from schemas.configs import CONFIG_OF, Table

PLACES = {"source", "other_origins", "file", "row"}


@pytest.mark.parametrize("table", Table)
def test_every_column_that_speaks_of_a_place_is_known(table: Table) -> None:
    """One that is new must be entered here, or a moved folder edits every row."""
    of_places = ("Source ", "Source that", "File of that source", "Row of that file", "Where else")
    named = {column.name for column in CONFIG_OF[table].columns if column.description.startswith(of_places)}
    assert "source" in named
    assert named <= PLACES


@given(data=st.data())
def test_no_fact_about_the_place_of_a_source_is_in_the_digest_of_a_row(
    data: st.DataObject, sample_release: Path
) -> None:
    manifest = read_manifest(sample_release)
    every = {config.name: type_names(arrow_schema(config.columns)) for config in CONFIG_OF.values()}
    previous = PreviousRelease(sample_release, manifest.model_copy(update={"columns": every}))
    config = CONFIG_OF[data.draw(st.sampled_from(list(Table)))]
    columns = previous.shared_columns(config)
    names = [column.name for column in config.columns]
    row = {name: data.draw(st.text(max_size=5)) for name in names}
    moved = {name: data.draw(st.text(max_size=5)) if name in PLACES else row[name] for name in names}
    assert row_digest(row, columns) == row_digest(moved, columns)
    name = data.draw(st.sampled_from(sorted(set(columns))))
    assert row_digest(row, columns) != row_digest({**row, name: f"{row[name]}."}, columns)

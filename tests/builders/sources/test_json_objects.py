"""Tables that are one JSON object: every layout of pandas, and COCO's captions."""

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.sources import tell_kind
from builders.sources.intake import SourceOptions
from builders.sources.preferences import PreferenceSource
from builders.sources.tables import open_table
from schemas.problems import Problem, Reason, SourceError
from tests.builders.sources.caption_files import names_of, read, said, told
from tests.support import good_folder

Orient = Literal["records", "columns", "index", "split", "table"]
ORIENTS: tuple[Orient, ...] = ("records", "columns", "index", "split", "table")
RECORDS: list[dict[str, Any]] = [
    {"image": "a.jpg", "caption": 'a "face"\n人', "score": 0.5, "words": ["x", "y"]},
    {"image": "b/c.jpg", "caption": None, "score": None, "words": []},
    {"image": "d.jpg", "caption": "x", "score": 2.5, "words": None},
]


def write(path: Path, content: object, **options: Any) -> Path:
    """Write a value as JSON."""
    path.write_text(json.dumps(content, **options), encoding="utf-8")
    return path


def frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a frame with numbers for an index that has gaps, as a filtered one has."""
    return pd.DataFrame(records, index=range(3, 3 + 7 * len(records), 7))


@pytest.mark.parametrize("orient", ORIENTS)
@pytest.mark.parametrize("indent", [None, 2])
def test_every_layout_of_pandas_comes_back(orient: Orient, indent: int | None, tmp_path: Path) -> None:
    frame(RECORDS).to_json(tmp_path / "t", orient=orient, indent=indent)
    table = open_table(tmp_path / "t")
    rows = list(table.rows())
    assert [row.cells for row in rows] == RECORDS
    assert [row.number for row in rows] == [1, 2, 3]
    assert all(not row.problems and row.raw.encode() for row in rows)
    assert (table.is_mapping, table.columns) == (False, ("image", "caption", "score", "words"))
    assert 1 <= table.num_rows <= 4
    assert tell_kind(tmp_path / "t") == "captions"


@pytest.mark.parametrize("orient", ORIENTS)
def test_votes_in_every_layout_of_pandas(orient: Orient, tmp_path: Path) -> None:
    records = [{"prompt": f"p{n}", "img_better": f"{n}.jpg", "img_worse": f"{n}x.jpg"} for n in range(3)]
    frame(records).to_json(tmp_path / "t", orient=orient)
    assert tell_kind(tmp_path / "t") == "preferences"
    source = PreferenceSource(tmp_path / "t", "votes", SourceOptions())
    assert [row.problems for row in source.rows()] == [()] * 3


def test_what_has_no_names_for_its_columns_is_refused(tmp_path: Path) -> None:
    pd.DataFrame(RECORDS).to_json(tmp_path / "values", orient="values")
    pd.DataFrame(RECORDS).set_index("image").to_json(tmp_path / "named")
    for name, says in (
        ("values", "a row is an array, and not an object"),
        ("named", "rows have names in place of numbers"),
    ):
        with pytest.raises(SourceError, match=rf'{says}.*orient="records", lines=True'):
            open_table(tmp_path / name)


def test_an_index_of_names_makes_a_mapping_of_records(tmp_path: Path) -> None:
    pd.DataFrame(RECORDS).set_index("image").to_json(tmp_path / "t", orient="index")
    table = open_table(tmp_path / "t")
    assert table.is_mapping
    assert [row.cells["key"] for row in table.rows()] == ["a.jpg", "b/c.jpg", "d.jpg"]


BAD_ROWS: Mapping[str, tuple[str, Reason, str]] = {
    "split: too few": (
        '{"columns":["image","text"],"data":[["a"],["b","x"]]}',
        Reason.WRONG_CELL_COUNT,
        "1 cells",
    ),
    "split: no array": (
        '{"columns":["image","text"],"data":[{"image":1},["b","x"]]}',
        Reason.BAD_JSON,
        "dict",
    ),
    "split: NaN": (
        '{"data":[["a",NaN],["b","x"]],"columns":["image","text"]}',
        Reason.BAD_JSON,
        "NaN is not",
    ),
    "table: no object": ('{"schema":{},"data":[7,{"image":"b","text":"x"}]}', Reason.BAD_JSON, "JSON int"),
    "index: NUL": ('{"0":{"image":"a\\u0000"},"1":{"image":"b","text":"x"}}', Reason.BAD_JSON, "NUL"),
    "columns: key twice": (
        '{"image":{"0":"a","1":"b","0":"c"},"text":{"0":"x","1":"x","0":"y"}}',
        Reason.BAD_JSON,
        "stands twice",
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_of_a_layout_costs_nothing_else(name: str, tmp_path: Path) -> None:
    text, reason, says = BAD_ROWS[name]
    (tmp_path / "t").write_text(text)
    bad, good = open_table(tmp_path / "t").rows()
    assert dict(good.cells) == {"image": "b", "text": "x"}
    (problem,) = bad.problems
    assert (problem.reason, problem.row, problem.file) == (reason, 1, "t")
    assert says in problem.message
    assert problem.fix


@pytest.mark.parametrize("orient", ORIENTS)
def test_a_layout_that_is_cut_off_says_so(orient: Orient, tmp_path: Path) -> None:
    frame(RECORDS).to_json(tmp_path / "t", orient=orient)
    whole = (tmp_path / "t").read_bytes()
    for length in range(1, len(whole)):
        (tmp_path / "t").write_bytes(whole[:length])
        with pytest.raises(SourceError) as caught:
            list(open_table(tmp_path / "t").rows())
        assert all(problem.fix for problem in caught.value.problems)


def test_repeated_columns_of_a_split_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t", {"columns": ["image", "image"], "data": [["a", "b"]]})
    with pytest.raises(SourceError, match="no list of different names"):
        open_table(path)


def coco(names: list[str]) -> dict[str, Any]:
    """Return COCO captions: two of each image, the second ones first."""
    return {
        "info": {"description": "faces", "year": 2026},
        "licenses": [{"id": 1, "name": "CC"}],
        "images": [{"id": n, "file_name": f"val/{name}", "license": 1} for n, name in enumerate(names, 40)],
        "annotations": [
            {"image_id": n, "id": 100 * time + n, "caption": f"{time} of {name}"}
            for time in (2, 1)
            for n, name in enumerate(names, 40)
        ],
    }


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("indent", [None, 1])
def test_captions_of_coco(order: int, indent: int | None, tmp_path: Path) -> None:
    images = good_folder(tmp_path / "images").write()
    names = names_of(images)
    path = write(tmp_path / "captions.json", dict(list(coco(names).items())[::order]), indent=indent)
    assert tell_kind(path) == "captions"
    reading = read(images, path)
    assert told(reading) == []
    expected = sorted((name, f"{time} of {name}") for name in names for time in (1, 2))
    assert said(reading, "caption") == expected
    extras = json.loads(str(said(reading, "extras")[0][1]))
    assert extras == {"annotation_id": 140, "coco_image_id": 40}
    assert open_table(path).num_rows == 2 * len(names)


def test_annotations_of_coco_without_an_image_are_set_aside(tmp_path: Path) -> None:
    images = good_folder(tmp_path / "images").write()
    name, other, *_ = names_of(images)
    content = {
        "images": [
            {"id": 1, "file_name": name},
            *({"id": 2, "file_name": each} for each in (name, other)),
            {"id": 3},
            *({"id": "4", "file_name": other} for _ in range(2)),
            "no image",
        ],
        "annotations": [{"image_id": n, "id": n, "caption": "x"} for n in (1, 2, 3, "4", 5, None)] + [7],
    }
    reading = read(images, write(tmp_path / "t", content))
    assert said(reading, "caption") == [(name, "x"), (other, "x")]
    assert [text.partition(" (value")[0] for text in sorted(told(reading))] == [
        't:2:image_id: several elements of "images" have this id',
        "t:3:image_id: the image of this id has no file_name",
        't:5:image_id: no element of "images" has this id',
        't:6:image_id: no element of "images" has this id',
        "t:7: the element is a JSON int, and not an object",
    ]


def test_coco_that_is_cut_off_says_so_after_its_first_rows(tmp_path: Path) -> None:
    whole = json.dumps(coco(["a.jpg", "b.jpg"])).encode()
    (tmp_path / "t").write_bytes(whole[:-30])
    rows = open_table(tmp_path / "t").rows()
    assert next(rows).cells["file_name"] == "val/a.jpg"
    with pytest.raises(SourceError, match="cannot be read on from line 1"):
        list(rows)


@given(
    orient=st.sampled_from([*ORIENTS, "coco"]),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 6),
            st.sampled_from([*'[]{},:"\\0-', "\\u0000", "\\ud83d", "\xff"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(max_examples=60, deadline=None)
def test_nothing_escapes_from_a_damaged_layout(
    orient: Any, edits: list[tuple[float, int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "t"
    whole = (
        json.dumps(coco(["a.jpg", "b.jpg"])) if orient == "coco" else frame(RECORDS).to_json(orient=orient)
    )
    for place, length, text in edits:
        start = int(place * len(whole))
        whole = whole[:start] + text + whole[start + length :]
    path.write_bytes(whole.encode("latin-1", "replace"))
    problems: tuple[Problem, ...] = ()
    try:
        table = open_table(path)
        ", ".join(table.columns).encode()
        for row in table.rows():
            row.raw.encode()
            json.dumps(row.cells, ensure_ascii=False).encode()
    except SourceError as error:
        problems = tuple(error.problems)
    assert all(problem.fix and str(problem).isprintable() for problem in problems)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["coco", "columns", "split"])
def test_a_layout_is_not_held_in_memory(form: str, tmp_path: Path) -> None:
    names, caption = [f"{number}.jpg" for number in range(1600)], "x" * 10_000
    if form == "coco":
        content = coco(names)
        for each in content["annotations"]:
            each["caption"] = caption
        write(tmp_path / "t", content)
    else:
        records = pd.DataFrame({"image": names, "caption": [caption] * len(names)})
        records.to_json(tmp_path / "t", orient="split" if form == "split" else "columns")
    assert (tmp_path / "t").stat().st_size > 16_000_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in open_table(tmp_path / "t").rows()) >= len(names)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000  # the text is read by the megabyte

"""Captions in every form that people write them in: what goes in comes out, and what is wrong is told."""

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources.captions import CaptionSource
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from schemas.attributes import preset_of, publish_value
from schemas.configs import Table
from schemas.problems import Severity, SourceError
from tests.builders.sources.caption_files import (
    WRITERS,
    Record,
    delimited,
    jsonl,
    names_of,
    parquet,
    read,
    said,
    told,
)
from tests.support import good_folder, image_bytes, read_into_catalog


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of four images, all five generators in turn."""
    return good_folder(tmp_path / "images").write()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_table_comes_out_as_it_went_in(writer: str, images: Path, tmp_path: Path) -> None:
    names = names_of(images)
    records = [
        {
            "image_filename": name,
            "caption": f'a "face", {index}\nwith é — 人',
            "captioner": "blip",
            "captioner_version": "2.1",
            "language": "pt-BR",
            "score": 0.25 * index,
            "method": "beam",
            "attributes": [{"attribute": "hair", "value": "red", "confidence": 0.5, "source_model": "m"}],
            "bag_of_words": ["red", "hair"],
            "rank": index + 1,
        }
        for index, name in enumerate(names)
    ]
    reading = read(images, WRITERS[writer](tmp_path / "t", records))
    assert told(reading) == []
    fields = ("caption", "captioner", "captioner_version", "language", "score", "method", "bag_of_words")
    expected = [(r["image_filename"], *(r[field] for field in fields)) for r in records]
    assert said(reading, *fields) == sorted(expected, key=lambda row: tuple(map(str, row)))
    for row in reading.captions:
        assert row["attributes"] == records[0]["attributes"]
        assert json.loads(str(row["extras"])).keys() == {"rank"}
        assert row["file"] == "t"
    first = {"JSON Lines": 1, "JSON": 1, "Parquet": 1, "CSV": 2, "TSV": 2}[writer]
    if writer in ("CSV", "TSV"):  # rows, not lines, are counted
        assert sorted(int(str(row["row"])) for row in reading.captions) == list(range(first, first + 4))


@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_comes_out_as_it_went_in(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("any")
    images = good_folder(place / "images", 1).write()
    (name,) = names_of(images)
    kept = [text for text in dict.fromkeys(texts) if text.strip()]
    records = [{"file_name": name, "caption": text} for text in texts]
    for writer in ("JSON Lines", "Parquet"):
        reading = read(images, WRITERS[writer](place / writer, records))
        assert sorted(str(row["caption"]) for row in reading.captions) == sorted(kept)
        (image,) = reading.published
        assert image["captions"] == [row["caption"] for row in reading.captions]
        counts = reading.tables[Table.CAPTIONS]
        assert counts.read == len(texts)
        assert sum(counts.rejected.values()) == len(texts) - len(kept)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_metadata_of_an_image_folder(kind: str, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "imagefolder"
    folder.mkdir()
    write = {"jsonl": jsonl, "csv": delimited(","), "parquet": parquet}[kind]
    write(folder / f"metadata.{kind}", [{"file_name": f"images/{n}", "text": "x"} for n in names_of(images)])
    assert [row[1] for row in said(read(images, folder), "caption")] == ["x"] * 4


def test_an_object_of_names_and_captions(images: Path, tmp_path: Path) -> None:
    first, second, third, _ = names_of(images)
    path = tmp_path / "t"
    path.write_text(json.dumps({first: "one", second: ["two", "three"], third.rpartition(".")[0]: "four"}))
    reading = read(images, path)
    assert said(reading, "caption") == [(first, "one"), (second, "three"), (second, "two"), (third, "four")]
    assert reading.tables[Table.CAPTIONS].read == 4


@pytest.mark.parametrize("writer", ["JSON Lines", "JSON", "CSV", "Parquet"])
def test_conversations(writer: str, images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    turns = [
        {"from": "system", "value": "be kind"},
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": "A face."},
        {"from": "human", "value": "Whose?"},
        {"from": "gpt", "value": "Nobody's."},
    ]
    record = {"id": "7", "image": f"sam/images/{name}", "conversations": turns, "model": "share-captioner"}
    reading = read(images, WRITERS[writer](tmp_path / "t", [record]))
    assert said(reading, "caption", "instruction", "captioner") == [
        (name, "A face.", "What is this?", "share-captioner"),
        (name, "Nobody's.", "Whose?", "share-captioner"),
    ]


def test_one_attribute_a_row_becomes_one_record_of_an_image(images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    rows = [(first, "hair", "red", 0.9), (second, "age", "30-39", 0.5), (first, "Smiling", "1", 0.7)]
    records = [
        {"image": name, "attribute": attribute, "value": value, "confidence": sure, "model": "m"}
        for name, attribute, value, sure in rows
    ]
    reading = read(images, delimited(",")(tmp_path / "t", records))
    found = {
        row[0]: [(one["attribute"], one["value"], one["confidence"], one["source_model"]) for one in row[1]]
        for row in said(reading, "attributes")
    }
    assert found == {
        first: [("hair", "red", 0.9, "m"), ("Smiling", "yes", 0.7, "m")],
        second: [("age", "30-39", 0.5, "m")],
    }
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.published, counts.num_rows) == (3, 3, 2)


def test_a_column_for_each_attribute(images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    records = [
        {"image_id": first, "Smiling": -1, "Eyeglasses": 1, "age": "20-29", "gender": "Male", "service": "x"},
        {"image_id": second, "Smiling": 1, "Eyeglasses": None, "age": "more than 70", "gender": None},
    ]
    reading = read(images, delimited(",")(tmp_path / "t", records))
    assert told(reading) == []
    values = {
        row[0]: {one["attribute"]: one["value"] for one in row[1]} for row in said(reading, "attributes")
    }
    assert values == {
        first: {"Smiling": "no", "Eyeglasses": "yes", "age": "20-29", "gender": "Male"},
        second: {"Smiling": "yes", "age": "more than 70"},
    }
    assert [row[1] for row in said(reading, "extras")] == ['{"service": "x"}', None]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (["Smiling", "Young"], [("Smiling", "yes", None), ("Young", "yes", None)]),
        ({"hair": "red", "age": 34}, [("age", "34", None), ("hair", "red", None)]),
        ({"glasses": ["round", "thin"]}, [("glasses", "round", None), ("glasses", "thin", None)]),
        ({"hair": {"value": "red", "confidence": 0.5}}, [("hair", "red", 0.5)]),
        ([{"attribute": "Male", "value": True}], [("Male", "yes", None)]),
    ],
)
def test_attributes_in_one_cell(
    attributes: object, expected: list[tuple[object, ...]], images: Path, tmp_path: Path
) -> None:
    record = {"file_name": names_of(images)[0], "attributes": attributes}
    for writer in ("JSON Lines", "CSV"):
        reading = read(images, WRITERS[writer](tmp_path / writer, [record]))
        ((_, found),) = said(reading, "attributes")
        assert sorted((one["attribute"], one["value"], one["confidence"]) for one in found) == expected


def test_sidecars(images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    folder = tmp_path / "texts" / "deep"
    folder.mkdir(parents=True)
    (folder / f"{first.rpartition('.')[0]}.txt").write_text("  one\n", encoding="utf-8")
    (tmp_path / "texts" / f"{second}.caption").write_bytes(b"\xef\xbb\xbftwo lines\nof it")
    (tmp_path / "texts" / "large.txt").write_text("x" * (1 << 20) + "x")
    (tmp_path / "texts" / "bad.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "texts" / "link.txt").symlink_to("/etc/passwd")
    reading = read(images, tmp_path / "texts")
    assert said(reading, "caption", "file") == [
        (first, "one", f"deep/{first.rpartition('.')[0]}.txt"),
        (second, "two lines\nof it", f"{second}.caption"),
    ]
    assert [problem.split(" (value")[0].split(" →")[0] for problem in told(reading)] == [
        "bad.txt:1: the file is UTF-16",
        "large.txt:1: the file is too large to be a caption",
        "link.txt:1: this is not a regular file",
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (b"a.txt", "x" * 100_001, "caption: String should have at most"),
        (b"caf\xe9.txt", "x", "the name of the file is not UTF-8"),
        (b"caf\xe9/a.caption", "x", "the name of the file is not UTF-8"),
        (b"a.txt", "version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"a.TXT", "<!doctype html><p>Not found", "a web page"),
        (b"a.Caption", "\0f\0a\0c\0e\0s\0", "UTF-16 without a byte order mark"),
    ],
    ids=["too long", "name not UTF-8", "folder not UTF-8", "LFS", "web page", "UTF-16"],
)
def test_a_sidecar_that_cannot_be_published_costs_nothing_else(
    name: bytes, content: str, says: str, images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sidecars"
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    path.parent.mkdir(parents=True)
    path.write_text(content)
    (folder / f"{names_of(images)[0]}.txt").write_text("good")
    reading = read(images, folder)
    assert any(says in problem and "→" in problem for problem in told(reading)), told(reading)
    assert [row["caption"] for row in reading.captions] == ["good"]
    assert reading.tables[Table.CAPTIONS].read == 2


def test_every_way_to_name_an_image(images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    record = next(
        row
        for row in read(images, jsonl(tmp_path / "t", [{"id": name, "text": "x"}])).published
        if row["file_name"] == name
    )
    image_id, sha256 = str(record["image_id"]), str(record["sha256"])
    ways = [
        *(name, name.rpartition(".")[0], f"images/{name}", f"/home/x/{name}", f"C:\\faces\\{name}"),
        *(f"https://host.example/a/{name}?token=1#x", f"s3://bucket/{name}", image_id, sha256),
        *(f"{image_id}.jpg", f"images/images/{name}"),
    ]
    reading = read(images, jsonl(tmp_path / "t", [{"id": way, "text": f"{i}"} for i, way in enumerate(ways)]))
    assert told(reading) == []
    assert {row[0] for row in said(reading)} == {name}
    assert len(reading.captions) == len(ways)


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "\\\\host\\share",
    "x" * 10_000,
    "file:///etc/passwd",
]


@pytest.mark.parametrize("reference", HOSTILE)
def test_a_hostile_name_leads_nowhere(reference: str, images: Path, tmp_path: Path) -> None:
    reading = read(images, jsonl(tmp_path / "t", [{"file_name": reference, "text": "x"}]))
    assert reading.tables[Table.CAPTIONS].rejected == {"unknown_image": 1}


# Record → what must be said of it, at row 1.
BAD: Mapping[str, tuple[Record, str]] = {
    "no image": ({"file_name": "", "caption": "x"}, "t:1:file_name: the cell is empty or missing"),
    "null image": ({"file_name": None, "caption": "x"}, "t:1:file_name: the cell is empty or missing"),
    "image of a wrong type": ({"file_name": [1], "caption": "x"}, "the cell holds a list, not a text"),
    "no caption": (
        {"file_name": "IMAGE", "caption": ""},
        "t:1: the row has neither a caption nor attributes",
    ),
    "blank caption": ({"file_name": "IMAGE", "caption": " \n"}, "neither a caption nor attributes"),
    "caption of a wrong type": (
        {"file_name": "IMAGE", "caption": {"a": 1}},
        "neither a caption nor attributes",
    ),
    "caption is a truth value": (
        {"file_name": "IMAGE", "caption": True},
        "t:1:caption: the cell holds a bool",
    ),
    "language": (
        {"file_name": "IMAGE", "caption": "x", "language": "English!"},
        "t:1:language: language: String",
    ),
    "score": ({"file_name": "IMAGE", "caption": "x", "score": "high"}, "t:1:score: the cell is not a number"),
    "infinite score": ({"file_name": "IMAGE", "caption": "x", "score": 1e999}, "the cell is not a number"),
    "confidence": (
        {"file_name": "IMAGE", "attributes": [{"attribute": "a", "value": "b", "confidence": 2}]},
        "t:1:attributes: an attribute is wrong: confidence",
    ),
    "attribute without value": (
        {"file_name": "IMAGE", "attributes": [{"attribute": "hair"}]},
        "an attribute is wrong: value",
    ),
    "attributes of a wrong type": (
        {"file_name": "IMAGE", "attributes": "red"},
        "neither a list nor an object",
    ),
    "unknown image": (
        {"file_name": "FLUX1_dev_image_0000002.jpg", "caption": "x"},
        "no source has such an image",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_told_and_the_others_are_published(name: str, images: Path, tmp_path: Path) -> None:
    record, says = BAD[name]
    image = names_of(images)[0]
    record = {key: image if value == "IMAGE" else value for key, value in record.items()}
    text = json.dumps(record).replace("Infinity", "1e999")
    good = json.dumps({"file_name": image, "caption": "good"})
    path = tmp_path / "t"
    path.write_text(f"{text}\n{good}\n")
    reading = read(images, path)
    assert any(says in problem for problem in told(reading)), told(reading)
    assert all("→" in problem for problem in told(reading))
    assert [row["caption"] for row in reading.captions] == ["good"]
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.published) == (2, 1)


def test_the_nearest_names_are_suggested(images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    for wrong in (name.replace("image", "imag"), name[1:], name.replace(".jpg", ".jpgg")):
        reading = read(images, jsonl(tmp_path / "t", [{"file_name": wrong, "caption": "x"}]))
        assert any(f"did you mean {name}" in problem for problem in told(reading)), told(reading)


def test_lines_that_are_no_records_cost_nothing_else(images: Path, tmp_path: Path) -> None:
    good = json.dumps({"file_name": names_of(images)[0], "caption": "x"}).encode()
    bad = [
        b'{"file_name": ',
        b"[1]",
        b'{"file_name": "a", "caption": "\\u0000"}',
        b'{"a": "\xff"}',
        b'{"a": 1, "a": 2}',
    ]
    (tmp_path / "t").write_bytes(b"\n".join([good, *bad, b""]))
    reading = read(images, tmp_path / "t")
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.published) == (6, 1)
    assert set(counts.rejected) <= {"bad_json", "not_utf8", "control_character"}


def test_all_that_is_wrong_with_a_row_is_told_at_once(images: Path, tmp_path: Path) -> None:
    record = {"file_name": None, "caption": "x", "score": "no", "attributes": "red"}
    reading = read(images, jsonl(tmp_path / "t", [record]))
    assert len(told(reading)) == 3


def test_repeated_captions_are_published_once(images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    same: Record = {"file_name": name, "caption": "x", "captioner": "a"}
    records: list[Record] = [
        same,
        same | {"rank": 2},
        same | {"captioner": "b"},
        same | {"file_name": f"images/{name}"},
    ]
    reading = read(images, jsonl(tmp_path / "t", records))
    assert said(reading, "captioner", "row") == [(name, "a", 1), (name, "b", 3)]
    assert reading.tables[Table.CAPTIONS].rejected == {"duplicate_row": 2}
    assert "t:2: row 1 of t says the same of the same image (value: 'x') → remove one of them" in told(
        reading
    )


def test_an_image_that_is_rejected_takes_its_captions_along(images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    (images / "images" / first).write_bytes(b"no image")
    (images / "images" / "copy.jpg").write_bytes((images / "images" / second).read_bytes())
    with (images / "SFHQ_T2I_dataset.csv").open("a") as table:
        table.write("copy.jpg,SDXL,another,\n")
    records = [
        {"file_name": first, "caption": "x"},
        {"file_name": "copy.jpg", "caption": "of the same bytes"},
    ]
    reading = read(images, jsonl(tmp_path / "t", records))
    assert reading.tables[Table.CAPTIONS].rejected == {"rejected_image": 1}
    assert any(f"the image images/{first} is rejected itself (image format)" in p for p in told(reading))
    assert len(reading.captions) == 1


def test_a_name_in_two_folders_is_a_question_that_path_or_setting_answers(tmp_path: Path) -> None:
    first, second = good_folder(tmp_path / "A", 1), good_folder(tmp_path / "B", 1)
    name = first.rows[0][0]
    second.images = {f"images/{name}": image_bytes(77)}
    folders = [open_sfhq_folder(first.write(), "A"), open_sfhq_folder(second.write(), "B")]
    records = [{"file_name": way, "caption": way} for way in (name, f"A/{name}", f"x/B/images/{name}")]

    def origins(**options: Any) -> dict[object, object]:
        work = tmp_path / f"work{len(options)}"
        work.mkdir()
        captions = CaptionSource(jsonl(tmp_path / "t", records), "said", SourceOptions(**options))
        reading = read_into_catalog(work, *folders, captions)
        sources = {row["image_id"]: row["source"] for row in reading.published}
        return {row["caption"]: sources[row["image_id"]] for row in reading.captions}

    assert origins() == {f"A/{name}": "A", f"x/B/images/{name}": "B"}
    assert set(origins(of="B").values()) == {"B"}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"caption": "x"}, "no column names an image"),
        ({"file_name": "x"}, "no column says anything of the image"),
        (
            {"file_name": "a.jpg", "caption": "x", "text": "y"},
            "more than one column may be the caption: caption, text",
        ),
        ({"file_name": "a.jpg", "image": "b.jpg", "caption": "x"}, "more than one column may be the image"),
    ],
)
def test_a_file_that_can_be_read_in_no_way_or_in_several_is_a_question(
    columns: Record, says: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=says):
        CaptionSource(delimited(",")(tmp_path / "t.csv", [columns]), "said", SourceOptions())


def test_the_question_has_an_answer(images: Path, tmp_path: Path) -> None:
    record = {"file_name": names_of(images)[0], "caption": "x", "text": "y"}
    path = jsonl(tmp_path / "t", [record])
    reading = read(images, path, columns={"caption": "text"})
    assert [row["caption"] for row in reading.captions] == ["y"]
    with pytest.raises(
        SourceError, match="there is no column 'words' → the table has file_name, caption, text"
    ):
        CaptionSource(path, "said", SourceOptions(columns={"caption": "words"}))


def test_of_columns_that_may_name_the_image_values_decide(images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    record = {"id": "17", "image": f"a/{name}", "caption": "x"}
    assert len(read(images, jsonl(tmp_path / "t", [record])).captions) == 1


def test_a_folder_with_two_tables_is_a_question(tmp_path: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        (tmp_path / name).write_text("file_name,text\n")
    with pytest.raises(SourceError, match=r"the folder has metadata.jsonl or metadata.csv"):
        CaptionSource(tmp_path, "said", SourceOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="neither"):
        CaptionSource(tmp_path / "empty", "said", SourceOptions())


def test_unknown_attributes_are_kept_and_noted_once(images: Path, tmp_path: Path) -> None:
    records = [
        {"file_name": name, "attributes": {"aura": "blue", "age": "old", "emotion": "happy"}}
        for name in names_of(images)
    ]
    reading = read(images, jsonl(tmp_path / "t", records))
    warnings = [problem for problem in reading.problems if problem.severity is Severity.WARNING]
    assert sorted(problem.reason for problem in warnings) == ["unknown_attribute", "unusual_value"]
    assert len(reading.captions) == 4


def test_numbers_that_json_does_not_have_are_null_and_counted(images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    rows = [
        {"file_name": name, "text": "one", "loss": float("nan"), "nested": {"deep": [1.5, float("inf")]}},
        {"file_name": other, "text": "two", "loss": -0.5, "nested": {"deep": []}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    reading = read(images, tmp_path / "t.parquet")
    assert reading.tables[Table.CAPTIONS].warnings == {"number_not_finite": 2}
    assert reading.tables[Table.CAPTIONS].published == 2
    extras = [json.loads(text, parse_constant=pytest.fail) for _, text in said(reading, "extras")]
    assert {"loss": None, "nested.deep": [1.5, None]} in extras
    (tmp_path / "t.jsonl").write_text(f'{{"file_name": "{name}", "text": "x", "loss": 1e999}}\n')
    reading = read(images, tmp_path / "t.jsonl")
    assert [text for _, text in said(reading, "extras")] == ['{"loss": null}']


@pytest.mark.parametrize("form", ["rows", "mapping", "text"])
def test_empty_captions_in_a_list_are_counted_and_named(form: str, images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    captions, alone = ["one", None, "", " ", "two"], [None, ""]
    if form == "mapping":
        path = tmp_path / "t.json"
        path.write_text(json.dumps({name: captions, other: alone}))
    else:
        cells = [captions, alone] if form == "rows" else [json.dumps(captions), json.dumps(alone)]
        path = jsonl(
            tmp_path / "t",
            [{"image": image, "caption": cell} for image, cell in zip((name, other), cells, strict=True)],
        )
    reading = read(images, path)
    assert said(reading, "caption") == [(name, "one"), (name, "two")]
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.rejected) == (6, {"empty_caption": 4})
    for place in ("2 of 5", "3 of 5", "4 of 5"):
        assert any(f"caption {place} of the list is empty" in text for text in told(reading))


def test_sidecars_beside_a_table_are_counted_and_named(images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    jsonl(folder / "metadata.jsonl", [{"file_name": name, "text": "one"}])
    (folder / "deep" / f"{other}.TXT").write_text("two")
    reading = read(images, folder)
    assert said(reading, "caption") == [(name, "one")]
    assert reading.tables[Table.CAPTIONS].rejected == {"sidecar_not_read": 1}
    (problem,) = told(reading)
    assert problem.startswith(
        f"deep/{other}.TXT: metadata.jsonl is read in place of this file → add its text"
    )


def test_a_caption_that_says_that_there_is_none_is_published_and_noted(images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    reading = read(
        images, jsonl(tmp_path / "t", [{"image": name, "text": "NaN"}, {"image": other, "text": "Nan is"}])
    )
    assert said(reading, "caption") == [(name, "NaN"), (other, "Nan is")]
    assert reading.tables[Table.CAPTIONS].warnings == {"looks_empty": 1}


def test_presets() -> None:
    age, smiling = preset_of("Age"), preset_of("smiling")
    assert age is not None
    assert smiling is not None
    assert all(age.allows(value) for value in ("34", "0-2", "30 - 39", "70+", "more than 70"))
    assert not age.allows("old")
    assert smiling.allows("yes")
    assert not smiling.allows("1")
    assert [publish_value("Smiling", value) for value in ("1", "-1", "True", "0")] == [
        "yes",
        "no",
        "yes",
        "no",
    ]
    assert preset_of("aura") is None


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing_but_places(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("order")
    images = good_folder(place / "images").write()
    records = [{"file_name": name, "caption": f"{i}"} for name in names_of(images) for i in range(3)]
    first = read(images, jsonl(place / "t", records))
    random.Random(seed).shuffle(records)
    second = read(images, jsonl(place / "t", records))
    for one, two in zip(first.captions, second.captions, strict=True):
        assert one | {"row": 0} == two | {"row": 0}
    assert first.published == second.published


def test_the_real_captions(sfhq_sample: Path, work: Path) -> None:
    reading = read(sfhq_sample, sfhq_sample / "captions.jsonl", work=work)
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.published, counts.num_rows, counts.rejected) == (502, 502, 502, {})
    assert len({row["image_id"] for row in reading.captions}) == 362
    extras = [json.loads(str(row["extras"])) for row in reading.captions]
    assert all("figure" in one and "query_shown" in one for one in extras)
    assert {row["method"] for row in reading.captions} == {"clip-textual-search"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file"):
        CaptionSource(tmp_path / "pipe", "said", SourceOptions())

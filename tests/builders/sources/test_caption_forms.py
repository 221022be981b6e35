"""Captions in the forms of other tools: embedded images, kohya's metadata, a column for each captioner."""

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Image
from datasets.table import embed_table_storage
from PIL import Image as Picture

from builders.sources import tell_kind
from builders.sources.captions import CaptionSource
from builders.sources.captions.captioners import fields_of
from builders.sources.intake import SourceOptions
from schemas.configs import Table
from schemas.problems import SourceError
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
from tests.support import good_folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of four images, all five generators in turn."""
    return good_folder(tmp_path / "images").write()


def encode_again(path: Path) -> bytes:
    """Return the bytes of a copy of an image that another program saved."""
    file = io.BytesIO()
    with Picture.open(path) as picture:
        picture.convert("RGB").save(file, "JPEG", quality=50)
    return file.getvalue()


def test_images_in_parquet_of_datasets_are_found_by_their_bytes(images: Path, tmp_path: Path) -> None:
    names = names_of(images)
    paths = [str(images / "images" / name) for name in names]
    rows = Dataset.from_dict({"image": paths, "text": [f"of {name}" for name in names]})
    rows = rows.cast_column("image", Image()).with_format("arrow")  # and as `push_to_hub` embeds them
    rows.map(embed_table_storage, batched=True).to_parquet(str(tmp_path / "train.parquet"))
    assert pq.read_table(tmp_path / "train.parquet")["image"][0]["bytes"].as_py()
    with pytest.raises(SourceError, match="this may be images or captions"):
        tell_kind(tmp_path / "train.parquet")
    reading = read(images, tmp_path / "train.parquet")
    assert told(reading) == []
    assert said(reading, "caption", "extras") == [(name, f"of {name}", None) for name in names]


def test_an_embedded_copy_that_was_encoded_again_is_set_aside(images: Path, tmp_path: Path) -> None:
    first, second, third, _ = names_of(images)
    rows = [
        {"image": {"bytes": encode_again(images / "images" / first), "path": first}, "text": "one"},
        {"image": {"bytes": None, "path": f"train/{second}"}, "text": "two"},
        {"image": {"bytes": None, "path": None}, "text": "three"},
        {"image": {"bytes": b"", "path": third}, "text": "four"},
    ]
    reading = read(images, parquet(tmp_path / "t", rows))
    assert said(reading, "caption") == [(second, "two")]
    copied, empty, missing = sorted(told(reading))
    assert copied.startswith(
        "t:1: no source has an image of these bytes: this is a SHA-256, and a re-encoded"
    )
    assert missing.startswith("t:4:image: the cell holds no bytes of an image")
    assert empty.startswith("t:3:image: the cell")
    counts = reading.tables[Table.CAPTIONS]
    assert (counts.read, counts.published) == (4, 1)


def test_bytes_alone_and_a_digest_lead_to_an_image(images: Path, tmp_path: Path) -> None:
    name = names_of(images)[0]
    data = (images / "images" / name).read_bytes()
    pq.write_table(pa.table({"image": pa.array([data, b"x"]), "text": ["one", "two"]}), tmp_path / "t")
    reading = read(images, tmp_path / "t")
    assert said(reading, "caption") == [(name, "one")]
    assert "re-encoded copy" in "".join(told(reading))


@pytest.mark.parametrize("column", ["image", "images", "file_name"])
@pytest.mark.parametrize("writer", ["JSON Lines", "CSV", "Parquet"])
def test_a_list_with_one_name_names_the_image(writer: str, column: str, images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    records = [
        {column: [name], "caption": "one"},
        {column: [name, other], "caption": "both"},
        {column: [], "caption": "no image"},
    ]
    reading = read(images, WRITERS[writer](tmp_path / "t", records))
    assert said(reading, "caption") == [(name, "one")]
    assert sorted(text.partition(" (")[0].partition(f":{column}: ")[2] for text in told(reading)) == [
        "the row names 0 images, and a caption is of one",
        "the row names 2 images, and a caption is of one",
    ]


def test_a_list_of_one_embedded_image(images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    data = (images / "images" / name).read_bytes()
    turns = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A face."}]
    records = [
        {"images": [{"bytes": data, "path": "0.jpg"}], "conversations": turns},
        {"images": [{"bytes": None, "path": other}], "conversations": turns},
    ]
    reading = read(images, parquet(tmp_path / "t", records))
    assert told(reading) == []
    assert said(reading, "caption", "instruction") == sorted(
        (each, "A face.", "What?") for each in (name, other)
    )


def test_metadata_of_kohya(images: Path, tmp_path: Path) -> None:
    first, second, third, fourth = names_of(images)
    stem = f"/data/train/{second.rpartition('.')[0]}"
    members: Record = {
        first: {"caption": "a face", "tags": "red hair, smile", "train_resolution": [512, 512]},
        stem: {"tags": ["1girl", "hat"]},
        third: {"caption": ["one", "", "two"], "captioner": "blip", "score": 0.5},
        fourth: {"caption": "x", "text": "y"},
        f"folder/{fourth}": {"train_resolution": [512, 512]},
    }
    path = tmp_path / "meta.json"
    path.write_text(json.dumps(members, indent=2))
    assert tell_kind(path) == "captions"
    reading = read(images, path)
    assert said(reading, "caption", "bag_of_words", "captioner", "score", "extras") == [
        (first, "a face", ["red hair", "smile"], None, None, '{"train_resolution": [512, 512]}'),
        (second, None, ["1girl", "hat"], None, None, None),
        (third, "one", [], "blip", 0.5, None),
        (third, "two", [], "blip", 0.5, None),
    ]
    problems = "\n".join(sorted(told(reading)))
    assert "meta.json:3:caption: caption 2 of 3 of the list is empty" in problems
    assert "meta.json:4:caption: more than one key may be the caption: caption, text" in problems
    assert "meta.json:5: the row has neither a caption nor attributes" in problems
    assert reading.tables[Table.CAPTIONS].read == 7


@pytest.mark.parametrize("writer", WRITERS)
def test_a_column_for_each_captioner(writer: str, images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    records: list[Record] = [
        {
            "image": first,
            "caption_blip": "one",
            "llava_caption": "two",
            "caption_score": 0.5,
            "language": "en",
        },
        {
            "image": second,
            "caption_blip": None,
            "llava_caption": "three",
            "caption_score": 1,
            "language": "en",
        },
    ]
    path = WRITERS[writer](tmp_path / "t", records)
    assert tell_kind(path) == "captions"
    reading = read(images, path)
    assert told(reading) == []
    assert said(reading, "caption", "captioner", "language") == [
        (first, "one", "blip", "en"),
        (first, "two", "llava", "en"),
        (second, "three", "llava", "en"),
    ]
    assert [list(json.loads(row[1])) for row in said(reading, "extras")] == [["caption_score"]] * 3
    reading = read(images, path, columns={"caption": "llava_caption"})
    assert said(reading, "caption", "captioner") == [(first, "two", None), (second, "three", None)]


def test_captions_by_number_have_the_captioner_of_the_row(images: Path, tmp_path: Path) -> None:
    name, other, *_ = names_of(images)
    records = [
        {"image": name, "captioner": "people", **{f"caption_{n}": f"text {n}" for n in range(1, 6)}},
        {"image": other, "captioner": "people", **{f"caption_{n}": "" for n in range(1, 6)}},
    ]
    reading = read(images, delimited(",")(tmp_path / "t", records))
    assert said(reading, "caption", "captioner") == [(name, f"text {n}", "people") for n in range(1, 6)]
    assert "neither a caption nor attributes" in "".join(told(reading))


def test_a_plain_caption_beside_those_of_captioners_is_read_if_asked_for(
    images: Path, tmp_path: Path
) -> None:
    name = names_of(images)[0]
    record = {"image": name, "caption": "plain", "caption_blip": "one", "llava_caption": "two"}
    path = jsonl(tmp_path / "t", [record])
    assert [text for _, text in said(read(images, path), "caption")] == ["plain"]
    reading = read(images, path, form="captioners")
    expected = [(name, "one", "blip"), (name, "plain", None), (name, "two", "llava")]
    assert said(reading, "caption", "captioner") == expected


@pytest.mark.parametrize(
    ("column", "fields"),
    [
        ("caption_blip", {"captioner": "blip"}),
        ("gpt4o_mini_caption", {"captioner": "gpt4o_mini"}),
        ("Caption-LLaVA", {"captioner": "LLaVA"}),
        ("caption_model_b", {"captioner": "model_b"}),
        ("caption_en", {"language": "en"}),
        ("caption_pt_BR", {"language": "pt-BR"}),
        ("re_caption", {"captioner": "re"}),
        ("caption_3", {}),
        ("caption3", {}),
        ("caption", None),
        ("caption_model", None),
        ("caption_blip_score", None),
        ("num_captions", None),
        ("recaption", None),
    ],
)
def test_the_name_of_a_column_tells_its_captioner_or_language(column: str, fields: Record | None) -> None:
    assert fields_of(column) == fields


def test_a_missing_score_is_null_and_counted(images: Path, tmp_path: Path) -> None:
    first, second, *_ = names_of(images)
    scores = {first: 0.5, second: float("nan")}
    records: list[Record] = [
        {"image": name, "caption": "x", "score": score} for name, score in scores.items()
    ]
    parquet(tmp_path / "nan", records)
    pd.DataFrame(records).to_csv(tmp_path / "words", index=False, na_rep="N/A")
    for name in ("nan", "words"):
        reading = read(images, tmp_path / name)
        assert said(reading, "score") == [(first, 0.5), (second, None)]
        assert reading.tables[Table.CAPTIONS].warnings == {"number_not_finite": 1}
        assert "score: the value is missing, and is published as null" in told(reading)[0]


def test_what_is_wrong_with_a_row_rejects_all_of_its_captions(images: Path, tmp_path: Path) -> None:
    record = {"image": names_of(images)[0], "caption": ["one", "two"], "score": "high"}
    reading = read(images, jsonl(tmp_path / "t", [record]))
    assert reading.captions == []
    assert reading.tables[Table.CAPTIONS].rejected == {"bad_value": 2}


def put(path: Path, content: object) -> None:
    """Write text as it is, and anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_sidecars_of_img2dataset(images: Path, tmp_path: Path) -> None:
    """https://github.com/rom1504/img2dataset writes .txt and .json of one caption; a caption counts once."""
    first, second, third, fourth = (name.rpartition(".")[0] for name in names_of(images))
    shard = tmp_path / "laion" / "00000"
    facts = {"key": "000000001", "url": "https://example.org/1.jpg", "status": "success", "width": 512}
    put(shard / f"{first}.json", {"caption": "a face", "similarity": 0.31, "error_message": None} | facts)
    put(shard / f"{first}.txt", "a face")
    put(shard / f"{second}.json", {"caption": "one"} | facts)
    put(shard / f"{second}.txt", "another")
    put(shard / f"{third}.json", {"caption": "bad", "similarity": "high"})
    put(shard / f"{third}.txt", "bad")
    put(shard / f"{fourth}.json", {"caption": None} | facts)
    put(shard.parent / "00000_stats.json", {"count": 4, "status_dict": {"success": 4}})
    reading = read(images, shard.parent)
    named = [(name.rpartition(".")[0], *rest) for name, *rest in said(reading, "caption", "score", "file")]
    assert named == [
        (first, "a face", 0.31, f"00000/{first}.json"),
        (second, "another", None, f"00000/{second}.txt"),
        (second, "one", None, f"00000/{second}.json"),
        (third, "bad", None, f"00000/{third}.txt"),
    ]
    extras = json.loads(str(said(reading, "extras")[0][1]))
    assert extras == facts
    assert sorted(text.partition(" (value")[0] for text in told(reading)) == sorted(
        [
            f"00000/{third}.json:1:similarity: the cell is not a number",
            f"00000/{fourth}.json:1: the row has neither a caption nor attributes",
        ]
    )


def test_json_beside_images_is_a_sidecar_and_other_json_is_not(images: Path, tmp_path: Path) -> None:
    first, second, third, fourth = names_of(images)
    folder = tmp_path / "train"
    for name in (first, second, third):
        put(folder / name, "the image itself is read elsewhere")
    put(folder / f"{first}.json", {"prompt": "a red fox", "seed": 7})
    put(
        folder / f"{second.rpartition('.')[0]}.JSON",
        {"text": ["one", "two"], "tags": "a, b", "language": "en"},
    )
    put(folder / f"{third.rpartition('.')[0]}.json", '{"caption": ')
    put(folder / f"{fourth.rpartition('.')[0]}.json", {"caption": "in place of the image"})
    put(folder / "config.json", {"learning_rate": 0.1})
    put(folder / "broken.json", "{")
    with pytest.raises(SourceError, match="this may be images or captions"):
        tell_kind(folder)
    reading = read(images, folder)
    assert said(reading, "caption", "bag_of_words", "language", "extras") == sorted(
        [
            (first, "a red fox", [], None, '{"seed": 7}'),
            (second, "one", ["a", "b"], "en", None),
            (second, "two", ["a", "b"], "en", None),
            (fourth, "in place of the image", [], None, None),
        ],
        key=lambda row: tuple(map(str, row)),
    )
    problems = sorted(told(reading))
    assert [text.partition(": ")[2].partition(":")[0] for text in problems] == ["the file is not JSON"] * 2


def test_json_that_no_caption_is_in_makes_no_folder_of_sidecars(tmp_path: Path) -> None:
    put(tmp_path / "train" / "config.json", {"learning_rate": 0.1})
    put(tmp_path / "train" / "broken.json", "{")
    with pytest.raises(
        SourceError, match=r"neither metadata.jsonl.* nor a sidecar .*broken.json, config.json"
    ):
        CaptionSource(tmp_path / "train", "said", SourceOptions())


def test_sidecars_that_say_that_there_is_no_caption_are_noted(images: Path, tmp_path: Path) -> None:
    first, second, *_ = (name.rpartition(".")[0] for name in names_of(images))
    put(tmp_path / "texts" / f"{first}.txt", "nan\n")
    put(tmp_path / "texts" / f"{second}.json", {"caption": "N/A"})
    reading = read(images, tmp_path / "texts")
    assert reading.tables[Table.CAPTIONS].warnings == {"looks_empty": 2}
    assert len(reading.captions) == 2

"""A release of a generated folder: the config `generation`, what images were asked to show, and versions."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from builders.card.readme import read_numbers
from builders.release.reader import open_table
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from publish.release import main
from schemas.columns import flatten, type_names
from schemas.configs import CONFIGS
from schemas.manifest import Manifest
from tests.support import (
    ROOT,
    SfhqFolder,
    good_folder,
    image_bytes,
    refused_record,
    request_record,
    rewrite_manifest,
    write_requests,
)

NUM_IMAGES, NUM_REFUSED = 4, 30
SEX = {True: "woman", False: "man"}


class Folder:
    """A generated folder and its releases."""

    def __init__(self, place: Path, num_images: int = NUM_IMAGES) -> None:
        self.place, self.out = place, place / "dist"
        self.images = good_folder(place / "faces", num_images)
        # Of 30 refused requests 20 ask for a woman and 10 for a man.
        self.records = [request_record(self.images, number) for number in range(num_images)]
        self.records += [
            refused_record(
                self.images, number, prompt=f"refused {number}", attributes=_sex(SEX[number % 3 > 0])
            )
            for number in range(100, 100 + NUM_REFUSED)
        ]

    def release(self, version: str, *flags: str, settings: str = "[release]") -> int:
        """Write the folder, without a file of requests if there are none, and release it."""
        write_requests(self.images.write(), self.records)
        if not self.records:
            (self.images.path / "generation.jsonl").unlink()
        text = (ROOT / "release.toml").read_text()
        (self.place / "release.toml").write_text(text.replace("[release]", settings))
        for name in ("CITATION.cff", "CHANGELOG.md"):
            shutil.copy(ROOT / name, self.place)
        arguments = ["--config", str(self.place / "release.toml"), "--sfhq", str(self.images.path)]
        return main(["--version", version, "--out", str(self.out), *arguments, *flags])

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a release."""
        return read_manifest(self.out / version)

    def changes(self, version: str) -> dict[str, tuple[int, ...]]:
        """Return config → rows added, edited and removed."""
        changes = self.manifest(version).changes
        assert changes is not None
        return {name: tuple(rows.model_dump().values()) for name, rows in changes.rows.items()}


def _sex(value: str) -> list[dict[str, str]]:
    return [{"attribute": "sex", "value": value}]


def images_with_requests(folder: SfhqFolder, numbers: Sequence[int]) -> list[dict[str, object]]:
    """Add images to a folder; return their requests."""
    for number in numbers:
        name = f"SDXL_image_{number:07d}.jpg"
        folder.rows.append([name, "SDXL", f"prompt {number}", '{"seed": 9}'])
        folder.images[f"images/{name}"] = image_bytes(number)
    return [
        request_record(folder, number, image_filename=row[0], prompt=row[2], generator="SDXL")
        for number, row in zip(numbers, folder.rows[-len(numbers) :], strict=True)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a folder with its release 1.0, read-only."""
    folder = Folder(tmp_path_factory.mktemp("made"))
    assert folder.release("1.0") == 0
    return folder


def spoil(made: Folder, tmp_path: Path) -> Path:
    """Return a copy of the release, to spoil."""
    return Path(shutil.copytree(made.out / "1.0", tmp_path / "1.0", copy_function=shutil.copyfile))


def test_the_release_is_sound_and_counts_every_record(made: Folder) -> None:
    assert check_release(made.out / "1.0") == []
    counts = made.manifest("1.0").counts
    assert {str(table): (each.read, each.published, each.num_rows) for table, each in counts.items()} == {
        "images": (4, 4, 4),
        "generation": (34, 34, 34),
    }


@pytest.mark.slow
@pytest.mark.loads
def test_the_release_loads_as_a_user_loads_it(made: Folder) -> None:
    assert check_release(made.out / "1.0") == []


def test_datasets_duckdb_and_pandas_read_the_same_values(made: Folder) -> None:
    release = made.out / "1.0"
    rows = {
        row["request_key"]: row for row in load_dataset(str(release), "generation", split="train").to_list()
    }
    names = {row["file_name"]: row["image_id"] for row in load_dataset(str(release), "prompts")["train"]}
    for number, record in enumerate(made.records, 1):
        row = dict(rows[record["request_key"]])
        assert row.pop("image_id") == names.get(str(record["image_filename"]))
        assert row.pop("requested_at") == f"{str(record['requested_at'])[:10]}T10:00:00.000Z"
        assert (row.pop("source"), row.pop("file"), row.pop("row"), row.pop("split")) == (
            *("faces-generation", "generation.jsonl"),
            *(number, "train"),
        )
        assert row == {name: record[name] for name in row}
    files = f"'{release}/generation/*.parquet'"
    query = (
        "SELECT list_extract(attributes, 1).value AS sex, count(*), sum(cost_usd), "
        f"min(requested_at::TIMESTAMPTZ) < now() FROM {files} WHERE image_id IS NULL GROUP BY 1 ORDER BY 1"
    )
    assert duckdb.execute(query).fetchall() == [("man", 10, None, True), ("woman", 20, None, True)]
    joined = f"SELECT count(*) FROM {files} g JOIN '{release}/images/*.parquet' i USING (image_id) WHERE "
    assert duckdb.execute(f"{joined} g.attributes = i.prompt_attributes").fetchall() == [(NUM_IMAGES,)]
    frame = pd.read_parquet(release / "generation")
    assert frame["cost_usd"].sum() == NUM_IMAGES * 0.125
    assert frame["cost_usd"].dtype == "float64"
    times = pd.to_datetime(frame["requested_at"])
    assert str(times.dt.tz) == "UTC"
    assert (frame["status"] == "refused").sum() == NUM_REFUSED
    assert frame[frame["status"] == "refused"]["image_id"].isna().all()


def test_every_config_of_images_says_what_was_asked_for(made: Folder) -> None:
    asked = {record["image_filename"]: record["attributes"] for record in made.records}
    for config in ("default", "prompts"):
        for row in load_dataset(str(made.out / "1.0"), config, split="train").remove_columns(
            ["image"] if config == "default" else []
        ):
            assert row["prompt_attributes"] == asked[row["file_name"]]
    tars = str(made.out / "1.0" / "webdataset" / "train-*.tar")
    for sample in load_dataset("webdataset", data_files=tars, split="train").remove_columns("jpg"):
        fields = sample["json"]
        assert json.loads(fields["prompt_attributes"]) == asked[fields["file_name"]]


def test_the_card_and_croissant_tell_what_was_asked_and_refused(made: Folder) -> None:
    release = made.out / "1.0"
    card = (release / "README.md").read_text()
    numbers = read_numbers(card)
    assert numbers["requests"] == 34
    assert numbers["requests with an image"] == 4
    assert (numbers["refused requests"], numbers["rate of refused requests"]) == (30, 88.2)
    model = "requests `FLUX1_schnell` | `fal-ai` | `fal-ai/FLUX1_schnell`, "
    assert (numbers[f"{model}requests"], numbers[f"{model}refused"]) == (9, 8)
    assert numbers[f"{model}cost"] == 0.12  # dollars, of 0.125
    # 22 requests asked for a woman, and fewer than 20 for a man or an adult
    assert [name for name in numbers if name.startswith("refused ") and name.endswith(", rate")] == [
        "refused sex: woman, rate"
    ]
    assert (numbers["refused sex: woman, refused"], numbers["refused sex: woman, rate"]) == (20, 90.9)
    assert "2 of 3 values were asked for in fewer than 20 requests." in card
    assert "`content_policy_violation` (30)" in card
    columns = (release / "COLUMNS.md").read_text()
    for name, column in flatten(CONFIGS["generation"].columns):
        assert f"| `{name}` |" in columns
        assert column.description
        assert column.description in columns
    croissant = json.loads((release / "croissant.json").read_text())
    (record_set,) = (each for each in croissant["recordSet"] if each["@id"] == "generation")
    assert record_set["key"] == {"@id": "generation/request_key"}
    activities = {each["prov:label"]: each for each in croissant["prov:wasGeneratedBy"]}
    assert activities["Requests to providers"]["description"] == (
        "34 requests for images: 4 led to an image, and 30 were refused."
    )


def _raise_numbers(folder: Path) -> None:
    path = folder / "README.md"
    path.write_text(path.read_text().replace("| 22 | 20 | 90.9 % |", "| 22 | 2 | 9.1 % |"))


def _edit_column(config: str, name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (path,) = (folder / config).glob("*.parquet")
        table = pq.read_table(path)
        place = table.schema.get_field_index(name)
        values = pa.array(change(table[name].to_pylist()), type=table.schema.field(name).type)
        pq.write_table(table.set_column(place, table.schema.field(name), values), path)

    return edit


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_raise_numbers, "the card's number for refused sex: woman, rate is not true"),
        (
            _edit_column("generation", "attributes", lambda values: [[] for _ in values]),
            "images and attributes of requests are not those of the configs default and prompts",
        ),
        (
            _edit_column("prompts", "prompt_attributes", lambda values: [*values[1:], values[0]]),
            "images and attributes of requests are not those of the configs default and prompts",
        ),
        (
            _edit_column("generation", "image_id", lambda values: ["0" * 16 for _ in values]),
            "images and attributes of requests are not those of the configs default and prompts",
        ),
        (
            _edit_column("generation", "request_key", lambda values: [values[0] for _ in values]),
            "more than one row has the same request_key",
        ),
    ],
    ids=["card", "attributes", "prompt attributes", "unknown images", "keys"],
)
def test_a_release_that_contradicts_itself_is_found(
    change: Callable[[Path], None], told: str, made: Folder, tmp_path: Path
) -> None:
    release = spoil(made, tmp_path)
    change(release)
    rewrite_manifest(release)
    assert told in [problem.message for problem in check_release(release)]


@pytest.mark.slow
def test_versions_count_records_that_are_added_edited_or_gone(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.release("1.0") == 0
    folder.records += [*images_with_requests(folder.images, [50, 51]), refused_record(folder.images, 60)]
    assert folder.release("1.1") == 0
    assert folder.changes("1.1") == {
        name: (3 if name == "generation" else 2, 0, 0)
        for name in ("default", "prompts", "webdataset", "generation")
    }
    first = {shard.path for shard in folder.manifest("1.0").shards}
    assert first <= {shard.path for shard in folder.manifest("1.1").shards}  # nothing was written again
    folder.records[0] = folder.records[0] | {"attributes": _sex("woman")}
    folder.records[-1] = folder.records[-1] | {"refusal": "other"}
    del folder.records[NUM_IMAGES]
    assert folder.release("2.0") == 0
    assert folder.changes("2.0") == {
        name: (0, 2, 1) if name == "generation" else (0, 1, 0)
        for name in ("default", "prompts", "webdataset", "generation")
    }
    listed = pq.read_table(folder.out / "2.0" / "changes.parquet").to_pylist()
    removed = [row for row in listed if row["change"] == "removed"]
    assert [row["config"] for row in removed] == ["generation"]
    assert all(re.fullmatch("[0-9a-f]{24}", row["id"]) for row in listed if row["config"] == "generation")
    for version in ("1.1", "2.0"):
        assert check_release(folder.out / version) == []
    folder.images.path.rename(tmp_path / "elsewhere")
    folder.images.path = tmp_path / "elsewhere"
    assert folder.release("2.0.1") == 0
    assert set(folder.changes("2.0.1").values()) == {(0, 0, 0)}
    folder.records.clear()
    assert folder.release("3.0") == 0
    changes = folder.manifest("3.0").changes
    assert changes is not None
    assert changes.lost_configs == ("generation",)
    assert folder.changes("3.0")["prompts"] == (0, NUM_IMAGES + 2, 0)
    assert check_release(folder.out / "3.0") == []


@pytest.mark.slow
def test_a_release_of_an_older_kit_gets_the_new_columns_and_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of before there were requests, and settings of GPT Image, FLUX.2 and drawn portraits."""
    folder = Folder(tmp_path)
    records, folder.records = folder.records, []
    assert folder.release("1.0", settings='[release]\nformats = { folder = ["parquet"] }') == 0
    columns = {}
    for config in ("default", "prompts"):
        (path,) = (folder.out / "1.0" / CONFIGS[config].folder).glob("*.parquet")
        columns[config] = _make_older(path)

    def forget(values: dict[str, object]) -> None:
        values["columns"] = columns

    rewrite_manifest(folder.out / "1.0", forget)
    folder.records = records
    capsys.readouterr()
    assert folder.release("1.1", "--plan") == 0
    out = capsys.readouterr().out
    assert "rewritten prompts train-00000: the columns of its config have changed" in out
    for name in ("prompt_attributes", "settings.look", "settings.output_compression"):
        assert f"+prompts.{name}" in out
    assert folder.release("1.1") == 0
    assert folder.changes("1.1")["prompts"] == (0, 0, 0)
    assert folder.changes("1.1")["generation"] == (len(records), 0, 0)
    assert check_release(folder.out / "1.1") == []
    rows = load_dataset(str(folder.out / "1.1"), "prompts", split="train")
    assert all(row["prompt_attributes"] and row["settings"]["look"] is None for row in rows)


def _make_older(path: Path) -> dict[str, str]:
    """Write a file of images without the columns that are new; return the types of its columns."""
    new_settings = {"output_format", "output_compression", "background", "moderation", "look"}
    with open_table(path) as file:
        table = file.read().drop_columns(["prompt_attributes"])
    field = table.schema.field("settings")
    kept = [each for each in field.type if each.name not in new_settings]
    rows = [row and {each.name: row[each.name] for each in kept} for row in table["settings"].to_pylist()]
    place = table.schema.get_field_index("settings")
    older = table.set_column(place, "settings", pa.array(rows, type=pa.struct(kept)))
    pq.write_table(older.replace_schema_metadata(None), path)
    return type_names(older.schema)


@pytest.mark.slow
def test_rejected_lines_are_listed_and_strict_refuses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path)
    folder.records += [request_record(folder.images, 70, image_filename="gone.jpg"), {"seed": "x"}]
    assert folder.release("1.0", "--strict") == 1
    assert not (folder.out / "1.0").exists()
    err = capsys.readouterr().err
    assert "generation.jsonl:35:image_filename: no source has such an image" in err
    assert folder.release("1.0") == 0
    assert check_release(folder.out / "1.0") == []
    assert folder.manifest("1.0").counts["generation"].rejected == {"bad_value": 1, "unknown_image": 1}  # type: ignore[index]
    rejected = pq.read_table(folder.out / "rejected" / "1.0.parquet").to_pylist()
    assert [(row["table"], row["row"]) for row in rejected] == [("generation", 35), ("generation", 36)]
    card = (folder.out / "1.0" / "README.md").read_text()
    assert "- Rejected generation: 1 as bad value, 1 as unknown image." in card


@pytest.mark.slow
def test_a_refused_request_is_in_the_split_of_images_with_its_prompt(tmp_path: Path) -> None:
    folder = Folder(tmp_path, 8)
    for number in range(8):
        again = refused_record(folder.images, 200 + number, prompt=folder.images.rows[number][2])
        folder.records.append(again)
    assert folder.release("1.0", settings="[build]\nsplits = { test = 0.4 }\n[release]") == 0
    assert check_release(folder.out / "1.0") == []
    splits = {row["prompt"]: row["split"] for rows in _splits(folder, "prompts") for row in rows}
    assert set(splits.values()) == {"train", "test"}
    for rows in _splits(folder, "generation"):
        for row in rows:
            assert row["split"] == splits.get(row["prompt"], row["split"])


def _splits(folder: Folder, config: str) -> list[Any]:
    return list(load_dataset(str(folder.out / "1.0"), config).values())

"""Files of requests: each line becomes a row of `generation`, or a rejected row with its reason and place."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources import open_source
from builders.sources.exclusions import read_exclusions
from builders.sources.generation import MAX_LINE_BYTES
from builders.sources.intake import Source, SourceOptions
from schemas.configs import Table
from schemas.problems import Reason, SourceError
from schemas.prompts import PromptOrigin
from schemas.records import ALGORITHMIC_MEDIA, TRAINED_ALGORITHMIC_MEDIA
from schemas.settings import PrivacySettings
from tests.support import (
    Reading,
    SfhqFolder,
    good_folder,
    image_bytes,
    read_into_catalog,
    refused_record,
    request_record,
    write_requests,
)


def open_all(*folders: Path) -> tuple[Source, ...]:
    """Open folders as the command does, without saying what they are."""
    options = SourceOptions()
    return tuple(source for each in folders for source in open_source(None, each, each.name, options))


def read(work: Path, *folders: Path, privacy: PrivacySettings | None = None) -> Reading:
    return read_into_catalog(work, *open_all(*folders), privacy=privacy or PrivacySettings())


def rejected_of(reading: Reading) -> list[tuple[int | None, str, str | None]]:
    """Return line, reason and column of each rejected line."""
    rows = (row for row in reading.rejected if row.table == "generation")
    return [(row.row, row.reason, row.problems[0].column) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> SfhqFolder:
    """Return a folder of five images, written, without requests."""
    made = good_folder(tmp_path / "faces", 5)
    made.write()
    return made


def test_a_folder_without_the_file_is_one_source(folder: SfhqFolder, work: Path) -> None:
    (source,) = open_all(folder.path)
    assert source.table is Table.IMAGES
    reading = read(work, folder.path)
    assert Table.GENERATION not in reading.tables
    assert all(row["prompt_attributes"] == [] for row in reading.published)


def test_every_fact_of_a_record_is_right(folder: SfhqFolder, work: Path) -> None:
    delivered, refused = request_record(folder, 3), refused_record(folder, 4, flags=["nsfw"])
    write_requests(folder.path, [delivered, refused])
    reading = read(work, folder.path)
    counts = reading.tables[Table.GENERATION]
    assert (counts.read, counts.published, counts.num_rows, counts.rejected) == (2, 2, 2, {})
    ids = {row["file_name"]: row["image_id"] for row in reading.published}
    rows = {row["request_key"]: row for row in reading.requests}
    for number, record in ((1, delivered), (2, refused)):
        row = rows[record["request_key"]]
        name = record.pop("image_filename")
        time = f"2026-11-{4 if number == 1 else 5:02d}T10:00:00.000Z"  # two hours before noon, in UTC
        place = {"source": "faces-generation", "file": "generation.jsonl", "row": number, "split": "train"}
        expected = record | place | {"image_id": ids.get(name), "requested_at": time}
        assert json.loads(json.dumps(row)) == expected
    attributes = {row["file_name"]: row["prompt_attributes"] for row in reading.published}
    assert attributes.pop(folder.rows[3][0]) == delivered["attributes"]
    assert list(attributes.values()) == [[]] * 4


def test_a_file_of_an_older_kit_says_nothing_of_where_prompts_are_from(
    folder: SfhqFolder, work: Path
) -> None:
    record = request_record(folder, 3)
    for name in PromptOrigin.model_fields:
        del record[name]
    write_requests(folder.path, [record])
    (row,) = read(work, folder.path).requests
    assert {row[name] for name in PromptOrigin.model_fields} == {None}


BAD_LINES: Mapping[str, tuple[dict[str, object] | str | bytes, str, str | None]] = {
    "no JSON": ("{", "bad_json", None),
    "no object": ("[1]", "bad_json", None),
    "a key twice": ('{"seed": 1, "seed": 2}', "bad_json", None),
    "NaN": ('{"cost_usd": NaN}', "bad_json", None),
    "too deep": ("[" * 100_000, "bad_json", None),
    "half a character": ('{"prompt": "\\ud800"}', "bad_json", None),
    "no UTF-8": (b'{"prompt": "\xff"}', "not_utf8", None),
    "too long": ('{"prompt": "' + "x" * MAX_LINE_BYTES + '"}', "bad_json", None),
    "a key is missing": ("{}", "bad_value", "request_key"),
    "an unknown key": ({"colour": "red"}, "bad_value", "colour"),
    "a wrong key": ({"request_key": "../../etc"}, "bad_value", "request_key"),
    "a number as text": ({"seed": "1"}, "bad_value", "seed"),
    "a negative seed": ({"seed": -1}, "bad_value", "seed"),
    "a huge number": ({"prompt_index": 10**30}, "bad_value", "prompt_index"),
    "an infinite cost": ('{"cost_usd": 1e999}', "bad_value", "request_key"),
    "a wrong status": ({"status": "lost"}, "bad_value", "status"),
    "no attributes": ({"attributes": None}, "bad_value", "attributes"),
    "an attribute without a value": (
        {"attributes": [{"attribute": "sex"}]},
        "bad_value",
        "attributes.0.value",
    ),
    "an empty prompt": ({"prompt": ""}, "bad_value", "prompt"),
    "no time": ({"requested_at": "yesterday"}, "bad_value", "requested_at"),
    "a time at the end of the calendar": (
        {"requested_at": "9999-12-31T23:59:59-12:00"},
        "bad_value",
        "requested_at",
    ),
    "delivered without an image": ({"image_filename": None}, "bad_value", "image_filename"),
    "refused with an image": ({"status": "refused"}, "bad_value", "image_filename"),
    "an unknown image": ({"image_filename": "none.jpg"}, "unknown_image", "image_filename"),
    "another folder": ({"image_filename": "../../etc/passwd"}, "unknown_image", "image_filename"),
    "another generator": ({"generator": "SD2_1"}, "conflicting_rows", "generator"),
}


def test_each_bad_line_is_rejected_with_its_reason_and_place(folder: SfhqFolder, work: Path) -> None:
    lines = [json.dumps(request_record(folder, 0)).encode()]
    for number, (line, _, _) in enumerate(BAD_LINES.values(), 100):
        said = (
            json.dumps(request_record(folder, number, image_filename=folder.rows[1][0]) | line)
            if (isinstance(line, dict))
            else line
        )
        if isinstance(line, dict) and "generator" in line:
            said = json.dumps(request_record(folder, 1, generator="SD2_1"))
        lines.append(said.encode() if isinstance(said, str) else said)
    (folder.path / "generation.jsonl").write_bytes(b"\n".join(lines))
    reading = read(work, folder.path)
    counts = reading.tables[Table.GENERATION]
    assert (counts.published, counts.read) == (1, 1 + len(BAD_LINES))
    expected = [(row, reason, column) for row, (_, reason, column) in enumerate(BAD_LINES.values(), 2)]
    assert rejected_of(reading) == expected
    assert all(problem.fix for row in reading.rejected for problem in row.problems)
    assert all(len(row.raw) < 2 * MAX_LINE_BYTES for row in reading.rejected)


def test_everything_wrong_with_a_line_is_told_up_to_a_limit(folder: SfhqFolder, work: Path) -> None:
    wrong = request_record(folder, 0, seed="1", cost_usd="1", attributes=[1] * 1000)
    write_requests(folder.path, [request_record(folder, 1, seed="1", cost_usd="1"), wrong])
    first, second = (row.problems for row in read(work, folder.path).rejected)
    assert [(each.column, each.value) for each in first] == [("seed", "1"), ("cost_usd", "1")]
    assert len(second) == 20


def test_records_that_cannot_all_be_true_are_rejected(folder: SfhqFolder, work: Path) -> None:
    same = request_record(folder, 0)
    torn = [request_record(folder, 1), request_record(folder, 1, cost_usd=9.0)]
    two_of_one = [
        request_record(folder, n, image_filename=folder.rows[2][0], generator=folder.rows[2][1])
        for n in (2, 12)
    ]
    write_requests(folder.path, [same, same, *torn, *two_of_one, request_record(folder, 3)])
    reading = read(work, folder.path)
    assert rejected_of(reading) == [
        (2, "duplicate_row", "request_key"),
        (3, "conflicting_rows", "request_key"),
        (4, "conflicting_rows", "request_key"),
        (5, "conflicting_rows", "request_key"),
        (6, "conflicting_rows", "request_key"),
    ]
    assert reading.tables[Table.GENERATION].num_rows == len(reading.requests) == 2
    messages = [row.problems[0].message for row in reading.rejected]
    assert messages[0] == "of this request, row 1 of faces-generation/generation.jsonl says the same"
    assert "row 3 of" in messages[1]
    assert "row 4 of" in messages[1]


def test_of_two_folders_that_answer_one_request_an_image_is_kept_whatever_their_names(
    tmp_path: Path, work: Path
) -> None:
    for first, second in (("a", "b"), ("d", "c")):
        refusing, delivering = (good_folder(tmp_path / name, 2) for name in (first, second))
        for folder in (refusing, delivering):
            folder.rows = folder.rows[:1]
            folder.images = {"images/" + folder.rows[0][0]: image_bytes(7 + (folder is refusing))}
            folder.write()
        write_requests(refusing.path, [refused_record(refusing, 0)])
        write_requests(delivering.path, [request_record(delivering, 0)])
        reading = read(work, refusing.path, delivering.path)
        (row,) = reading.requests
        assert (row["status"], row["source"]) == ("delivered", f"{second}-generation")
        assert rejected_of(reading) == [(1, "duplicate_row", "request_key")]


def test_names_are_those_of_the_folder_beside_the_file(tmp_path: Path, work: Path) -> None:
    """Two collections number their images alike."""
    folders = [good_folder(tmp_path / name, 2) for name in ("one", "two")]
    for place, folder in enumerate(folders):
        folder.images = {name: image_bytes(10 * place + n) for n, name in enumerate(sorted(folder.images))}
        folder.write()
        write_requests(
            folder.path, [request_record(folder, n, request_key=f"{place}{n}" + "a" * 22) for n in (0, 1)]
        )
    reading = read(work, *(folder.path for folder in folders))
    sources = {str(row["image_id"]): row["source"] for row in reading.published}
    assert [sources[str(row["image_id"])] for row in reading.requests] == ["one", "one", "two", "two"]


def test_images_that_are_not_published_take_their_requests_with_them(folder: SfhqFolder, work: Path) -> None:
    folder.images["images/" + folder.rows[1][0]] = b"no image"
    folder.images["images/stray.jpg"] = image_bytes(99)
    folder.write()
    stray = request_record(folder, 7, image_filename="stray.jpg")
    write_requests(folder.path, [*(request_record(folder, n) for n in range(5)), stray])
    listed = work / "exclusions.csv"
    listed.write_text(f"image,reason\n{folder.rows[2][0]},a real person\n")
    reading = read_into_catalog(work, *open_all(folder.path), exclusions=read_exclusions(listed))
    assert rejected_of(reading) == [
        (2, "rejected_image", "image_filename"),
        (3, "excluded", "image_filename"),
        (6, "rejected_image", "image_filename"),
    ]
    kept = {row["image_id"] for row in reading.published}
    assert {row["image_id"] for row in reading.requests} == kept
    assert len(kept) == 3


def test_private_texts_and_secrets_are_found_in_every_text_of_a_record(
    folder: SfhqFolder, work: Path
) -> None:
    records = [
        request_record(folder, 0, prompt="a face of a@example.org"),
        request_record(folder, 1, revised_prompt="a face, /home/jane/x"),
        request_record(folder, 2, attributes=[{"attribute": "sex", "value": "b@example.org"}]),
        refused_record(folder, 3, refusal="ask c@example.org"),
    ]
    write_requests(folder.path, records)
    reading = read(work, folder.path)
    assert reading.tables[Table.GENERATION].warnings == {"email_address": 3, "home_path": 1}
    places = [each.column for each in reading.problems if each.reason is Reason.EMAIL_ADDRESS]
    assert places == ["prompt", "attributes.value", "refusal"]
    strict = read(work, folder.path, privacy=PrivacySettings(texts="reject"))
    assert strict.tables[Table.GENERATION].rejected == {"private_text": 4}
    token = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"
    write_requests(folder.path, [refused_record(folder, 3, prompt=f"a face {token}")])
    with pytest.raises(SourceError, match="would be published") as caught:
        read(work, folder.path)
    assert [(each.file, each.row, each.column) for each in caught.value.problems] == [
        ("generation.jsonl", 1, "prompt")
    ]
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(b""), "the table is empty"),
        (lambda path: path.mkdir(), "this is a folder"),
        (lambda path: path.symlink_to("nowhere"), "there is no such file"),
        (lambda path: path.symlink_to("/etc/hostname"), "is a link that leaves the folder"),
        (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(100)), "compressed with gzip"),
        (lambda path: path.write_bytes("{}".encode("utf-16")), "UTF-16"),
    ],
    ids=["empty", "folder", "broken link", "link", "gzip", "UTF-16"],
)
def test_what_is_no_such_file_is_refused(spoil, told: str, folder: SfhqFolder) -> None:  # type: ignore[no-untyped-def]
    spoil(folder.path / "generation.jsonl")
    with pytest.raises(SourceError) as caught:
        open_all(folder.path)
    assert told in str(caught.value)


def test_a_file_in_an_archive_is_read_too(folder: SfhqFolder, tmp_path: Path, work: Path) -> None:
    write_requests(folder.path, [request_record(folder, 0)])
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for path in sorted(folder.path.rglob("*")):
            archive.write(path, path.relative_to(folder.path))
    options = SourceOptions(scratch=work)
    sources = open_source("images", tmp_path / "faces.zip", "faces", options)
    assert [source.kind for source in sources] == ["images/sfhq", "sfhq/generation"]
    reading = read_into_catalog(work, *sources)
    assert reading.tables[Table.GENERATION].published == 1


def test_images_drawn_by_code_are_marked_so(folder: SfhqFolder, work: Path) -> None:
    folder.rows[0][1:] = ["drawn", "a face", json.dumps({"seed": 1, "look": "sex=woman"})]
    rows = {row["file_name"]: row for row in read(work, folder.write()).published}
    types = [rows[name]["digital_source_type"] for name, *_ in folder.rows]
    assert types == [ALGORITHMIC_MEDIA, *[TRAINED_ALGORITHMIC_MEDIA] * 4]
    assert rows[folder.rows[0][0]]["license"] == "mit"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=10,
)
_KEYS = sorted(request_record(good_folder(Path("none"), 1), 0))


@given(
    changes=st.dictionaries(st.sampled_from(_KEYS), _JSON, min_size=1, max_size=3),
    line=st.binary(max_size=50),
)
def test_no_line_ends_in_a_traceback_and_counts_add_up(changes: dict[str, object], line: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = good_folder(Path(place) / "faces", 1)
        folder.write()
        said = json.dumps(request_record(folder, 0) | changes).encode()
        (folder.path / "generation.jsonl").write_bytes(b"\n".join((said, line, b"{}")))
        try:
            reading = read(Path(place), folder.path)
        except SourceError:  # a file that looks like UTF-16, or holds a secret
            return
        counts = reading.tables[Table.GENERATION]
        assert counts.published == len(reading.requests)
        assert counts.read == counts.published + sum(counts.rejected.values())

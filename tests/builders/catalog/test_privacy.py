"""Private data in rows and images: each kind in each place is refused, noted, set aside or left out."""

import dataclasses
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image, PngImagePlugin

from builders.catalog.privacy import PrivacyCheck
from builders.catalog.private_texts import find_private, texts_of
from builders.images.checked import CheckedImages
from builders.images.files import ImageFile
from builders.preferences.votes import RawVote
from builders.sample.captions import sample_captions
from builders.sample.images import sample_prompts
from builders.sources.captions import CaptionSource
from builders.sources.exclusions import read_exclusions
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import (
    CaptionInput,
    Content,
    ImageInput,
    ImageText,
    InputRow,
    PairInput,
    RankingInput,
    RankInput,
    Side,
    SourceOptions,
)
from builders.sources.preferences import PreferenceSource
from schemas.captions import CaptionText
from schemas.configs import Table
from schemas.generators import GENERATORS
from schemas.problems import Problem, Reason, Severity, SourceError
from schemas.settings import PrivacySettings
from tests.support import WARN, Reading, SfhqFolder, good_folder, image_bytes, read_into_catalog

T = TypeVar("T")
TOKEN = "hf_" + "".join(random.Random(7).choices("ABCDEFGHabcdefgh0123456789", k=34))
PRIVATE = {
    Reason.SECRET: f"key {TOKEN}",
    Reason.EMAIL_ADDRESS: "by jane.doe@example.org, 2024",
    Reason.IP_ADDRESS: "from 192.0.2.7",
    Reason.HOME_PATH: "see /home/jane/faces",
}
REJECT = PrivacySettings(texts="reject", images="reject")
ZIP = b"PK\x05\x06" + b"\0" * 16 + b"x"
SETTINGS = GENERATORS["FLUX1_dev"].settings
TEXT = ImageText("p", None, "FLUX1_dev", SETTINGS(), "{}", "http://cv.iptc.org/x")
PAIR = PairInput("1", "p", (Side("a.jpg", "m"), Side("b.jpg", "m")), (RawVote(None, None),), is_whole=True)
RANKING = RankingInput("1", "p", (Side("a.jpg", "m"), Side("b.jpg", "m")), ((None, (1.0, 2.0)),))
RANK = RankInput("1", "p", Side("a.jpg", "m"), 1.0)


def text_fields(kind: type) -> list[str]:
    """Name the fields of a data class that may hold a text and are published."""
    fields = [each.name for each in dataclasses.fields(kind) if "str" in str(each.type)]
    return [name for name in fields if name not in ("of", "path", "image")]


def put(row: T, name: str, text: str) -> T:
    """Return a row with a text in one field."""
    values: dict[str, Any] = {name: text}
    return dataclasses.replace(row, **values)  # type: ignore[type-var]


def contents(text: str) -> dict[str, Content]:
    """Put a text into every place of every kind of row, by place; new fields of rows are included."""
    found: dict[str, Content] = {}
    for name in text_fields(ImageText):
        found[f"image {name}"] = ImageInput(ImageFile(Path("x")), put(TEXT, name, text))
    settings = SETTINGS.model_validate({"image_size": text})
    found["image settings"] = ImageInput(ImageFile(Path("x")), dataclasses.replace(TEXT, settings=settings))
    settings = SETTINGS.model_validate({"nested": {"deep": [1, {"a": text}]}})
    found["image extras"] = ImageInput(ImageFile(Path("x")), dataclasses.replace(TEXT, settings=settings))
    said: Mapping[str, Any] = {
        **dict.fromkeys(CaptionText.model_fields, text),
        "language": "en",
        "score": 1.0,
        "attributes": [{"attribute": text, "value": text, "confidence": None, "source_model": text}],
        "bag_of_words": ["a", text],
        "extras": json.dumps({"who": [{"x": text}]}),
    }
    for name in said.keys() - {"language", "score"}:
        found[f"caption {name}"] = CaptionInput("a.jpg", None, CaptionText.model_validate({name: said[name]}))
    found["caption extras' name"] = CaptionInput("a", None, CaptionText(extras=json.dumps({text: 1})))
    for name in text_fields(PairInput):
        found[f"pair {name}"] = put(PAIR, name, text)
    found["pair side"] = dataclasses.replace(PAIR, sides=(Side(f"a/{text}/b.jpg", None), Side("b.jpg", None)))
    found["pair model"] = dataclasses.replace(PAIR, sides=(Side("a.jpg", text), Side("b.jpg", None)))
    found["pair annotator"] = dataclasses.replace(PAIR, votes=(RawVote(text, None),))
    for name in text_fields(RankingInput):
        if name != "rankings":
            found[f"ranking {name}"] = put(RANKING, name, text)
    for name in text_fields(RankInput):
        found[f"rank {name}"] = put(RANK, name, text)
    return found


def row_of(content: Content, name: str = "a.jpg") -> InputRow:
    return InputRow("source", "t.csv", 2, "raw", name, content, ())


@pytest.mark.parametrize("place", contents("x"))
@pytest.mark.parametrize("reason", PRIVATE)
def test_each_kind_is_found_in_each_place(reason: Reason, place: str) -> None:
    found = PrivacyCheck(WARN).inspect_row(row_of(contents(PRIVATE[reason])[place]))
    assert {each.reason for each in found} == {reason}
    assert all(TOKEN[3:] not in each.value for each in found)


def test_places_are_columns_and_keys() -> None:
    said = {"who": {"mail": "jane.doe@example.org"}, "n": 1}
    row = row_of(CaptionInput("a.jpg", None, CaptionText(caption="x", extras=json.dumps(said))))
    assert [each.place for each in PrivacyCheck(WARN).inspect_row(row)] == ["extras.who"]
    config = {"api_user": "jane.doe@example.org", "seed": 1}
    settings = SETTINGS.model_validate(config)
    text = dataclasses.replace(TEXT, settings=settings, config_json=json.dumps(config))
    row = row_of(ImageInput(ImageFile(Path("x")), text))
    assert [each.place for each in PrivacyCheck(WARN).inspect_row(row)] == ["settings.api_user"]


@pytest.mark.parametrize("place", ["extras", "config_json"])
def test_a_secret_that_only_names_around_it_show_is_found_in_json(place: str) -> None:
    said = json.dumps({"kaggle.username": "jane", "kaggle.key": "0123456789abcdef" * 2, "n": 1})
    content: Content = CaptionInput("a.jpg", None, CaptionText(extras=said))
    if place == "config_json":
        content = ImageInput(ImageFile(Path("x")), dataclasses.replace(TEXT, config_json=said))
    (found,) = PrivacyCheck(WARN).inspect_row(row_of(content))
    assert (found.reason, found.place) == (Reason.SECRET, place)


def test_settings_may_be_nested_deeply() -> None:
    nested: object = "jane@example.org"
    for _ in range(5_000):
        nested = [nested]
    settings = SETTINGS.model_construct(deep=nested)
    row = row_of(ImageInput(ImageFile(Path("x")), dataclasses.replace(TEXT, settings=settings)))
    assert [each.value for each in PrivacyCheck(WARN).inspect_row(row)] == ["jane@example.org"]


def test_a_query_of_an_address_is_not_published_and_not_found() -> None:
    side = Side(f"https://host.example/a.jpg?token={TOKEN}", None)
    row = row_of(dataclasses.replace(PAIR, sides=(side, Side("b.jpg", None))))
    assert PrivacyCheck(WARN).inspect_row(row) == []
    assert TOKEN not in str(texts_of(row))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Jane <jane.doe+x@mail.example.org>,", "jane.doe+x@mail.example.org"),
        ("face@2x.png and git@github.com:x/y and @artist and a @ b.c", None),
        ("x" * 70 + "@example.org", None),
        ("http://93.184.216.34/a and", "93.184.216.34"),
        ("at 10.0.0.12.", "10.0.0.12"),
        ("2001:db8::1", "2001:db8::1"),
        ("1.2.3.4, v10.20.30.40, version 10.20.30.40, Chrome/120.0.0.0, x==10.20.30.40", None),
        ("127.0.0.1:8188 and 0.0.0.0 and ::1 and 224.0.0.251", None),
        ("300.400.500.600 and 1.22.33.44.55 and 12:30:45 and face::2 and aa:bb:cc:dd:ee:ff", None),
        ("file:///home/jane/a.png", "/home/jane"),
        ("/mnt/c/Users/jane/a.png", "/mnt/c/Users/jane"),
        ("/Users/jane", "/Users/jane"),
        (r"C:\Users\Jane Doe\a.png", r"C:\Users\Jane Doe"),
        (json.dumps(r"C:\Users\jane\a.png"), r"C:\\Users\\jane"),
        ("d:/Users/jane/a.png", "d:/Users/jane"),
        ("https://example.com/home/about, https://example.com/Users/list", None),
        ("a cozy home/office, /home, /Users/Shared/x, C:\\Users\\Public\\x, ../home/x", None),
    ],
)
def test_what_is_private_and_what_only_looks_so(text: str, found: str | None) -> None:
    assert [value for _, value in find_private(text)] == ([found] if found else [])


# With a pattern whose work grows with the square of the length, this would take minutes.
@pytest.mark.parametrize(
    "part", ["a@", "a.", "@a.", "1.", "1.1.1.1,", "2001:", "::", "/home/", "/Users", "C:\\Users\\", "-"]
)
def test_texts_of_repeated_parts_take_no_longer_than_others(part: str) -> None:
    text = part * (100_000 // len(part)) + "@/home .1.1.1 2001:db8::1 Users"
    assert len(list(find_private(text))) <= 3


def test_the_samples_texts_hold_nothing_private() -> None:
    rng = random.Random(5)
    words = sorted({word for text in sample_prompts().values() for word in text.split()})
    texts = [*sample_prompts().values(), *(json.dumps(each) for each in sample_captions())]
    texts += [" ".join(rng.choices(words, k=40)) for _ in range(3_000)]
    assert [text for text in texts if list(find_private(text))] == []


def folder(path: Path) -> SfhqFolder:
    """Start from a folder of five images, one of each generator."""
    return good_folder(path, num_images=5)


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def captions(path: Path, rows: list[dict[str, object]]) -> CaptionSource:
    return CaptionSource(jsonl(path, rows), "captions", SourceOptions())


def told(reading: Reading, reason: Reason) -> list[Problem]:
    return [problem for problem in reading.problems if problem.reason is reason]


def test_one_warning_speaks_of_all_rows_with_one_kind_in_one_column(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    rows: list[dict[str, object]] = [
        {"image": row[0], "caption": f"{row[0]} {n}", "who": f"{n}@example.org", "ip": "192.0.2.7"}
        for n in range(4)
        for row in images.rows
    ]
    rows[0]["caption"] = "by a@example.org"
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", rows)
    reading = read_into_catalog(tmp_path, *sources)
    emails = told(reading, Reason.EMAIL_ADDRESS)
    assert [(each.column, each.value, each.row) for each in emails] == [
        ("caption", "a@example.org", 1),
        ("extras.who", "0@example.org", 1),
    ]
    assert "20 rows" in emails[1].message
    assert "c.jsonl:1, c.jsonl:2, c.jsonl:3" in emails[1].message
    assert 'drop_columns = ["who"]' in emails[1].fix
    assert len(told(reading, Reason.IP_ADDRESS)) == 1
    assert reading.tables[Table.CAPTIONS].warnings == {"email_address": 20, "ip_address": 20}
    assert reading.tables[Table.CAPTIONS].published == 20


def test_of_very_many_columns_the_first_are_noted_and_the_others_counted(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    columns = {f"column {number:03d}": "a@example.org" for number in range(300)}
    row: dict[str, object] = {"image": images.rows[0][0], "caption": "x", **columns}
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", [row])
    notes = told(read_into_catalog(tmp_path, *sources), Reason.EMAIL_ADDRESS)
    assert len(notes) == 201
    assert "100 more columns" in notes[-1].message


def test_rows_that_are_not_published_are_not_counted(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    rows: list[dict[str, object]] = [
        {"image": images.rows[0][0], "caption": "x", "who": "a@example.org"},
        {"image": images.rows[0][0], "caption": "x", "who": "a@example.org"},
        {"image": "unknown.jpg", "caption": "x", "who": "a@example.org"},
    ]
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", rows)
    reading = read_into_catalog(tmp_path, *sources)
    assert reading.tables[Table.CAPTIONS].warnings == {"email_address": 1}


def test_settings_set_rows_with_private_texts_aside(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    images.rows[1][2] = "a face, /home/jane/x"
    rows: list[dict[str, object]] = [
        {"image": images.rows[0][0], "caption": "x"},
        {"image": images.rows[0][0], "caption": "y", "who": "a@example.org"},
    ]
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", rows)
    reading = read_into_catalog(tmp_path, *sources, privacy=PrivacySettings(texts="reject"))
    assert reading.counts.rejected == {"private_text": 1}
    assert reading.tables[Table.CAPTIONS].rejected == {"private_text": 1}
    assert reading.tables[Table.CAPTIONS].warnings == {}
    (rejected, _) = told(reading, Reason.PRIVATE_TEXT)
    assert (rejected.row, rejected.column, rejected.value) == (3, "prompt", "/home/jane")


def test_columns_to_drop_are_left_out_of_every_row(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    config = {"seed": 7, "image_size": "square_hd", "api_user": {"mail": "a@example.org"}, "extra": 1}
    images.rows[0][3] = json.dumps(config)
    rows: list[dict[str, object]] = [
        {"image": images.rows[0][0], "caption": "x", "who": {"name": "Jane", "mail": "a@example.org"}},
        {"image": images.rows[1][0], "caption": "y", "who": {"name": "Joe"}, "batch": 3},
    ]
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", rows)
    privacy = PrivacySettings(drop_columns=("who", "api_user", "api_usr"), texts="reject")
    reading = read_into_catalog(tmp_path, *sources, privacy=privacy)
    assert sorted(str(row["extras"]) for row in reading.captions) == ["None", '{"batch": 3}']
    record = next(row for row in reading.published if row["file_name"] == images.rows[0][0])
    assert json.loads(str(record["config_json"])) == {"seed": 7, "image_size": "square_hd", "extra": 1}
    assert record["settings"]["extras"] == '{"extra": 1}'  # type: ignore[index]
    assert record["settings"]["seed"] == 7  # type: ignore[index]
    dropped = told(reading, Reason.DROPPED_COLUMN)
    assert [each.column for each in dropped] == ["settings.api_user", "extras.who.mail", "extras.who.name"]
    assert reading.tables[Table.CAPTIONS].warnings == {"dropped_column": 2}
    (idle,) = told(reading, Reason.IDLE_DROPPED_COLUMN)
    assert (idle.value, idle.fix) == ("api_usr", "did you mean api_user?")


def test_every_row_with_a_secret_is_named_and_none_shown(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    images.rows[0][2] = f"a face, {TOKEN}"
    images.rows[1][3] = json.dumps({"seed": 7, "api_key": TOKEN})
    rows: list[dict[str, object]] = [
        {"image": row[0], "caption": f"{n}", "key": TOKEN} for n, row in enumerate(images.rows)
    ]
    sources = open_sfhq_folder(images.write(), "in"), captions(tmp_path / "c.jsonl", rows)
    with pytest.raises(SourceError) as refused:
        read_into_catalog(tmp_path, *sources)
    problems = refused.value.problems
    assert {(each.row, each.column) for each in problems if each.file == "SFHQ_T2I_dataset.csv"} == {
        (2, "prompt"),
        (3, "settings.api_key"),
    }
    assert [each.row for each in problems if each.file == "c.jsonl"] == [1, 2, 3, 4, 5]
    assert {each.code for each in problems} == {"secret"}
    assert {each.severity for each in problems} == {Severity.BLOCKING}
    assert TOKEN[3:] not in str(refused.value)


def test_a_secret_in_a_row_that_is_not_published_stops_nothing_and_is_masked(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    images.rows[0][2] = f"a face, {TOKEN}"
    images.rows[1][1] = f"unknown {TOKEN}"
    images.rows[2][3] = json.dumps({"seed": f"line\n{TOKEN}"})
    (tmp_path / "list.csv").write_text(f"image,reason\n{images.rows[0][0]},has a key\n")
    source = open_sfhq_folder(images.write(), "in")
    reading = read_into_catalog(tmp_path, source, exclusions=read_exclusions(tmp_path / "list.csv"))
    assert reading.counts.rejected == {"excluded": 1, "unknown_generator": 1, "bad_config": 1}
    assert TOKEN[3:] not in str(reading.rejected)
    assert str(reading.rejected).count("hf_…") >= 4


def encode(kind: str = "JPEG", number: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(image_bytes(number, "PNG"))).save(file, kind, **options)
    return file.getvalue()


def with_text(text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", json.dumps({"text": text}), zip=True)
    return encode("PNG", pnginfo=info)


def with_position() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0)})
    exif[0x013B] = "Jane Doe"
    return encode(exif=exif)


IMAGES = {
    Reason.IMAGE_POSITION: with_position(),
    Reason.DATA_AFTER_IMAGE: encode() + ZIP,
    Reason.HOME_PATH: with_text("/home/jane/x"),
    Reason.EMAIL_ADDRESS: with_text("jane@example.org"),
}


@pytest.mark.parametrize("reason", IMAGES)
def test_images_are_noted_on_every_run_or_set_aside(reason: Reason, tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    name = images.rows[0][0]
    images.images[f"images/{name}"] = IMAGES[reason]
    images.write()
    for _ in range(2):  # the second run knows the image, and does not decode it
        with CheckedImages(tmp_path / "checked.txt") as checked:
            source = open_sfhq_folder(tmp_path / "in", "in")
            reading = read_into_catalog(tmp_path, source, checked=checked)
        (note,) = told(reading, reason)
        assert name in note.message
        assert reading.counts.warnings[reason] == 1
        assert reading.counts.published == 5
    with CheckedImages(tmp_path / "checked.txt") as checked:
        reading = read_into_catalog(
            tmp_path, open_sfhq_folder(tmp_path / "in", "in"), privacy=REJECT, checked=checked
        )
    assert reading.counts.rejected == {"private_image": 1}
    assert name in str(told(reading, Reason.PRIVATE_IMAGE)[0])


def test_a_second_jpeg_behind_the_first_is_found_on_every_run(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    images.images[f"images/{images.rows[0][0]}"] += image_bytes(99)
    images.write()
    for _ in range(2):
        with CheckedImages(tmp_path / "checked.txt") as checked:
            source = open_sfhq_folder(tmp_path / "in", "in")
            reading = read_into_catalog(tmp_path, source, checked=checked)
        assert len(told(reading, Reason.DATA_AFTER_IMAGE)) == 1


def test_a_secret_in_an_image_names_the_file(tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    images.images[f"images/{images.rows[0][0]}"] = with_text(f"key {TOKEN}")
    with pytest.raises(SourceError, match=images.rows[0][0]) as refused:
        read_into_catalog(tmp_path, open_sfhq_folder(images.write(), "in"))
    (problem,) = refused.value.problems
    assert (problem.column, problem.value) == ("image: PNG workflow", "hf_…")


def votes(path: Path, first: str, second: str) -> PreferenceSource:
    """Write one row of Rapidata's form, whose images are files of a folder."""
    row: dict[str, object] = {
        "prompt": "p",
        "image1": first,
        "image2": second,
        "model1": "a",
        "model2": "b",
        "votes_image1": 3,
        "votes_image2": 1,
    }
    options = SourceOptions(images=path.parent / "loose")
    return PreferenceSource(jsonl(path, [row]), "votes", options)


@pytest.mark.parametrize("reason", IMAGES)
def test_images_that_only_votes_name_are_looked_at_too(reason: Reason, tmp_path: Path) -> None:
    images = folder(tmp_path / "in")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "x.png").write_bytes(IMAGES[reason])
    sources = open_sfhq_folder(images.write(), "in"), votes(tmp_path / "v.jsonl", "x.png", images.rows[0][0])
    reading = read_into_catalog(tmp_path, *sources)
    assert [note.message.rpartition(" ")[2] for note in told(reading, reason)] == ["x.png"]
    assert reading.pairs[0].image_1_id is not None
    reading = read_into_catalog(tmp_path, *sources, privacy=REJECT)
    assert reading.pairs[0].image_1_id is None
    assert len(told(reading, Reason.IMAGE_NOT_USABLE)) == 1

"""Good SFHQ folders in every form they come in."""

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from tests.support import CONFIGS, good_folder, image_bytes, read_folders, read_into_catalog


@pytest.mark.parametrize("place", ["images/", "images/images/", ""])
def test_images_are_found_in_every_layout(place: str, tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 5)
    folder.images = {name.replace("images/", place): data for name, data in folder.images.items()}
    assert read_folders(work, folder.write()).counts.published == 5


@pytest.mark.parametrize("form", ["BOM", "CRLF", "CR", "BOM and CRLF", "no last line break", "blank lines"])
def test_tables_are_read_in_every_form(form: str, tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 5)
    table = (folder.write() / "SFHQ_T2I_dataset.csv").read_bytes()
    changes: dict[str, Callable[[], bytes]] = {
        "BOM": lambda: b"\xef\xbb\xbf" + table,
        "CRLF": lambda: table.replace(b"\n", b"\r\n"),
        "CR": lambda: table.replace(b"\n", b"\r"),
        "BOM and CRLF": lambda: b"\xef\xbb\xbf" + table.replace(b"\n", b"\r\n"),
        "no last line break": table.rstrip,
        "blank lines": lambda: table.replace(b"\n", b"\n\n"),
    }
    folder.table = changes[form]()
    reading = read_folders(work, folder.write())
    assert reading.counts.published == reading.counts.read == 5
    assert sorted(str(row["prompt"]) for row in reading.published) == [
        f"prompt {number}" for number in range(5)
    ]


def test_every_fact_of_a_row_is_right(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 5)
    rows = {row["file_name"]: row for row in read_folders(work, folder.write()).published}
    for name, generator, prompt, config in folder.rows:
        row, data = rows[name], folder.images[f"images/{name}"]
        assert row["prompt"] == prompt
        assert row["generator"] == generator
        assert row["config_json"] == config
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["image_id"] == str(row["sha256"])[:16]
        assert (row["width"], row["height"], row["format"], row["mode"]) == (24, 16, "JPEG", "RGB")
        assert row["num_bytes"] == len(data)
        assert row["source"] == "good"
        assert row["original_prompt"] == (CONFIGS["DALLE3"]["orig_prompt"] if generator == "DALLE3" else None)


def test_prompts_with_line_breaks_quotes_and_any_script_survive(tmp_path: Path, work: Path) -> None:
    prompts = ['two\nlines and\r\nthree, "quoted"', "Привет, лицо", "顔 👩🏽‍🦰", " spaces ", "'"]
    folder = good_folder(tmp_path / "good", 5)
    for row, prompt in zip(folder.rows, prompts, strict=True):
        row[2] = prompt
    published = read_folders(work, folder.write()).published
    assert {str(row["prompt"]) for row in published} == set(prompts)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200))
def test_any_prompt_comes_out_as_it_went_in(prompt: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = good_folder(Path(place) / "good", 1)
        table = io.StringIO()
        quoted = csv.writer(table, quoting=csv.QUOTE_ALL)
        quoted.writerows([folder.header, [*folder.rows[0][:2], prompt, folder.rows[0][3]]])
        folder.table = table.getvalue().encode()
        (row,) = read_folders(Path(place), folder.write()).published
    assert row["prompt"] == (prompt if prompt.strip() else None)


def test_columns_may_stand_in_any_order_and_others_are_told(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 2)
    folder.header = ["Unnamed: 0", *reversed(folder.header)]
    folder.rows = [["0", *reversed(row)] for row in folder.rows]
    reading = read_folders(work, folder.write())
    assert reading.counts.published == 2
    assert reading.counts.warnings == {"unknown_column": 1}


def test_empty_prompt_and_settings_are_null_and_counted(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 2)
    folder.rows[0][2:] = ["", ""]
    reading = read_folders(work, folder.write())
    row = next(row for row in reading.published if row["file_name"] == folder.rows[0][0])
    assert (row["prompt"], row["settings"], row["config_json"]) == (None, None, None)
    assert reading.counts.warnings == {"empty_prompt": 1, "empty_config": 1}
    assert all(problem.fix for problem in reading.problems)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("WEBP", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK")],
)
def test_other_formats_and_modes_are_published_as_what_they_are(
    kind: str, mode: str, tmp_path: Path, work: Path
) -> None:
    folder = good_folder(tmp_path / "good", 1)
    folder.images[f"images/{folder.rows[0][0]}"] = image_bytes(1, kind, mode)
    reading = read_folders(work, folder.write())
    (row,) = reading.published
    assert (row["format"], row["mode"]) == (kind, mode)
    assert reading.counts.warnings == ({"format_differs_from_name": 1} if kind != "JPEG" else {})


def test_an_unknown_setting_is_kept_and_told(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 1)
    folder.rows[0][3] = json.dumps(CONFIGS["FLUX1_schnell"] | {"loras": ["a"]})
    reading = read_folders(work, folder.write())
    settings = reading.published[0]["settings"]
    assert isinstance(settings, dict)
    assert settings["extras"] == '{"loras": ["a"]}'
    assert [problem.column for problem in reading.problems] == ["configs.loras"]


def test_a_link_inside_the_folder_is_followed(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 1)
    name = folder.rows[0][0]
    folder.images = {"blobs/1234": folder.images[f"images/{name}"]}
    path = folder.write()
    (path / "images").mkdir()
    (path / "images" / name).symlink_to("../blobs/1234")
    assert read_folders(work, path).counts.published == 1


def test_the_only_table_may_have_another_name(tmp_path: Path, work: Path) -> None:
    path = good_folder(tmp_path / "good", 2).write()
    (path / "SFHQ_T2I_dataset.csv").rename(path / "portraits.csv")
    assert read_folders(work, path).counts.published == 2


def test_rows_come_in_order_of_their_ids_whatever_the_table_says(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good", 10)
    first = read_folders(work, folder.write()).published
    (work / "catalog.sqlite").unlink()
    folder.rows.reverse()
    assert read_folders(work, folder.write()).published == first
    ids = [str(row["image_id"]) for row in first]
    assert ids == sorted(ids)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".img", ""])
def test_an_image_is_found_by_the_name_in_the_table_whatever_its_ending(
    suffix: str, tmp_path: Path, work: Path
) -> None:
    folder = good_folder(tmp_path / "good")
    name = folder.rows[0][0]
    folder.rows[0][0] = f"a{suffix}"
    folder.images[f"images/a{suffix}"] = folder.images.pop(f"images/{name}")
    (tmp_path / "good" / "images").mkdir(parents=True)
    (tmp_path / "good" / "images" / "notes.txt").write_text("no image, and no row names it")
    counts = read_folders(work, folder.write()).counts
    assert (counts.read, counts.published) == (4, 4)
    assert counts.warnings == {"format_differs_from_name": 1}


def test_an_image_is_found_in_another_folder(tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "good")
    name = folder.rows[0][0]
    folder.images[f"batch_2/{name}"] = folder.images.pop(f"images/{name}")
    reading = read_folders(work, folder.write())
    assert not reading.problems
    assert name in {row["file_name"] for row in reading.published}


@pytest.mark.parametrize("null_texts", [(), ("nan", "N/A")])
def test_prompts_that_say_that_there_is_none_are_noted_and_null_if_wanted(
    null_texts: tuple[str, ...], tmp_path: Path, work: Path
) -> None:
    folder = good_folder(tmp_path / "good")
    prompts = ["nan", "N/A", "  ", "nan bread"]
    for row, prompt in zip(folder.rows, prompts, strict=True):
        row[2] = prompt
    reading = read_into_catalog(
        work, open_sfhq_folder(folder.write(), "good", SourceOptions(null_texts=null_texts))
    )
    published = {row["file_name"]: row["prompt"] for row in reading.published}
    expected = [None, None, None, "nan bread"] if null_texts else ["nan", "N/A", None, "nan bread"]
    assert [published[row[0]] for row in folder.rows] == expected
    assert reading.counts.warnings == (
        {"empty_prompt": 3} if null_texts else {"empty_prompt": 1, "looks_empty": 2}
    )
    noted = [str(problem) for problem in reading.problems]
    assert all("text_prompt" in text for text in noted)
    assert null_texts or any("null_texts = ['nan']" in text for text in noted)

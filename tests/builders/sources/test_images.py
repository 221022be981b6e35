"""Collections of images in every form: what is read is what was put in, and every fault is named."""

from pathlib import Path

import pytest

from builders.sources import open_source
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from tests.builders.sources.forms import FORMS, Make, read_rows
from tests.support import ROOT, Reading, good_folder, read_into_catalog

SAMPLE = ROOT.parent / "shared" / "sfhq-sample"
SAME = ("image_id", "sha256", "prompt", "original_prompt", "captions", "generator", "config_json")


def read_form(path: Path, work: Path, options: SourceOptions | None = None) -> Reading:
    work.mkdir()
    options = options or SourceOptions(scratch=work / "archives")
    return read_into_catalog(work, *open_source("images", path, "faces", options))


def same(reading: Reading) -> list[dict[str, object]]:
    rows = [{name: row[name] for name in SAME} for row in reading.published]
    return sorted(rows, key=lambda row: str(row["image_id"]))


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_images(make: Make, tmp_path: Path, work: Path) -> None:
    folder = good_folder(tmp_path / "folder", 7).write()
    expected = read_into_catalog(work, open_sfhq_folder(folder, "faces"))
    reading = read_form(make(folder, tmp_path / "other"), tmp_path / "work2")
    assert not reading.problems
    assert same(reading) == same(expected)
    assert {str(row["file_name"]).rpartition("/")[2] for row in reading.published} == {
        row["image_filename"] for row in read_rows(folder)
    }


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="there are no real images beside the project")
@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_every_form_of_real_images_gives_the_same(make: Make, tmp_path: Path, work: Path) -> None:
    captions = open_source("captions", SAMPLE / "captions.jsonl", "captions", SourceOptions())
    expected = read_into_catalog(work, open_sfhq_folder(SAMPLE, "faces"), *captions)
    path = make(SAMPLE, tmp_path / "other")
    options = SourceOptions(scratch=tmp_path)
    images = open_source("images", path, "faces", options)
    (tmp_path / "work2").mkdir()
    reading = read_into_catalog(tmp_path / "work2", *images[:1], *captions)
    assert same(reading) == same(expected)
    assert len(reading.captions) == len(expected.captions) > 0

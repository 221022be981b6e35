"""Collections of images in every form: what is read is what was put in, and every fault is named."""

import io
import json
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from builders.sources import open_source, tell_kind
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import SourceOptions
from schemas.configs import Table
from schemas.generators import DeclaredGenerator
from schemas.problems import SourceError
from tests.builders.sources.forms import FORMS, Make, image_of, read_rows
from tests.support import ROOT, Reading, good_folder, image_bytes, read_into_catalog

Row = dict[str, Any]
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


def problems_of(path: Path, work: Path, **options: Any) -> list[str]:
    """Open and read a collection, and list its problems, or those that it is refused for."""
    try:
        reading = read_form(path, work, SourceOptions(scratch=work / "archives", **options))
    except SourceError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in reading.problems]


def image_folder(folder: Path, target: Path, *rows: Row) -> Path:
    """Write an image folder with two images, and a table with these rows."""
    for row in read_rows(folder)[:2]:
        target.mkdir(exist_ok=True)
        shutil.copy(image_of(folder, row["image_filename"]), target / f"{row['model_used']}.jpg")
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (target / "metadata.jsonl").write_text(lines, encoding="utf-8")
    return target


A: Row = {"file_name": "FLUX1_schnell.jpg"}
B: Row = {"file_name": "FLUX1_dev.jpg"}
FOLDER_FAULTS: Mapping[str, tuple[list[Row], dict[str, Any], str]] = {
    "missing": ([A, {"file_name": "FLUX1_dve.jpg"}], {}, "no such image"),
    "out of the folder": ([A, B, {"file_name": "../x.jpg"}], {}, "could lead out of the folder"),
    "no row": ([A], {}, "FLUX1_dev.jpg: no row of the metadata names this image"),
    "no name": ([{"prompt": "a face"}], {}, "no column names an image"),
    "unknown model": ([A | {"generator": "SDXLL"}, B], {}, "did you mean SDXL?"),
    "unknown model of all": ([A, B], {"generator": "SDXLL"}, "did you mean SDXL?"),
    "two prompts": ([A | {"text": "a", "caption": "b"}], {}, "more than one column may be the prompt"),
    "no such column": ([A], {"columns": {"prompt": "promt"}}, "there is no such column"),
    "same row twice": ([A, A, B], {}, "says the same of this image"),
    "contradiction": ([A | {"prompt": "a"}, A | {"prompt": "b"}, B], {}, "contradict each other"),
    "bad settings": ([A | {"configs": '{"seed": -1}'}, B], {}, "configs.seed"),
    "settings no JSON": ([A | {"configs": "[1]"}, B], {}, "not a JSON object"),
    "prompt no text": ([A | {"prompt": ["a"]}, B], {}, "holds a list, not a text"),
}


@pytest.mark.parametrize(("rows", "options", "says"), FOLDER_FAULTS.values(), ids=FOLDER_FAULTS)
def test_a_fault_of_an_image_folder_is_named(
    rows: list[Row], options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    folder = good_folder(tmp_path / "folder").write()
    path = image_folder(folder, tmp_path / "other", *rows)
    problems = problems_of(path, tmp_path / "work2", **{"generator": "FLUX1_dev"} | options)
    assert any(says in problem for problem in problems), problems


@pytest.mark.parametrize("make", ["image folder", "no table", "datasets", "webdataset"])
def test_the_generator_is_asked_for_and_never_guessed(make: str, tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    path = image_folder(folder, tmp_path / "other", A, B)
    if make == "no table":
        (path / "metadata.jsonl").unlink()
    elif make == "datasets":
        images = [{"bytes": file.read_bytes(), "path": file.name} for file in sorted(path.glob("*.jpg"))]
        path = tmp_path / "faces.parquet"
        datasets.Dataset.from_dict({"image": images}).to_parquet(path)
    elif make == "webdataset":
        path = tmp_path / "faces.tar"
        with webdataset.TarWriter(str(path)) as tar:
            tar.write({"__key__": "a", "jpg": image_bytes(1), "txt": "a face"})
    (problem,) = problems_of(path, tmp_path / "work2")
    assert "nothing says which model made these images" in problem
    assert "--generator NAME" in problem
    reading = read_form(path, tmp_path / "work3", SourceOptions(generator="SDXL"))
    assert {row["generator"] for row in reading.published} == {"SDXL"}
    declared = DeclaredGenerator(
        name="Mine", title="My model", url="https://example.org/mine", license="apache-2.0"
    )
    options = SourceOptions(generator="Mine", generators=(declared.generator,))
    sources = open_source("images", path, "faces", options)
    assert [source.table for source in sources] == [Table.IMAGES]


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def parquet_of(target: Path, rows: list[Row]) -> Path:
    """Write rows as Parquet, as they are."""
    pq.write_table(pa.Table.from_pylist(rows), target)
    return target


def test_faults_of_tables_with_images_are_named(tmp_path: Path) -> None:
    image: Row = {"bytes": image_bytes(1), "path": "a.jpg"}
    model: Row = {"generator": "SDXL"}
    cases: list[tuple[list[Row], str]] = [
        ([{"image": {"bytes": None, "path": "b.jpg"}, **model}, {"image": image, **model}], "only its path"),
        ([{"image": {"bytes": b"<html>", "path": "b.jpg"}, **model}], "a web page"),
        ([{"image": image, "other": image, **model}], "several columns have images → say which"),
        ([{"image": image, "generator": "SDXLL"}], "did you mean SDXL?"),
        ([{"image": image, "generator": None}], "the row does not say which model made the image"),
        (
            [
                {"jpg": None, "status": "failed", "error_message": "404", "key": "1", **model},
                {"jpg": image_bytes(2), "status": "success", "error_message": None, "key": "2", **model},
            ],
            "did not download this image: 404",
        ),
        ([{"image": image, **model}, {"image": image, **model}], "same bytes as"),
    ]
    for number, (rows, says) in enumerate(cases):
        path = parquet_of(tmp_path / f"{number}.parquet", rows)
        problems = problems_of(path, tmp_path / f"work{number}")
        assert any(says in problem for problem in problems), (says, problems)
        assert all(path.name in problem for problem in problems)


def damage(path: Path, fault: str) -> None:
    """Damage a folder of `save_to_disk`."""
    state = path / "train" / "state.json"
    arrow = next((path / "train").glob("*.arrow"))
    if fault == "file missing":
        arrow.unlink()
    elif fault == "cut":
        cut(arrow)
    elif fault == "no JSON":
        state.write_text("{")
    elif fault == "out of the folder":
        state.write_text(json.dumps({"_data_files": [{"filename": "../../secret.arrow"}]}))
    elif fault == "a split out of the folder":
        (path / "dataset_dict.json").write_text(json.dumps({"splits": [".."]}))
    else:
        arrow.write_bytes(b"ARROW1\0\0" + b"\xff" * 5000)


SAVED_FAULTS = {
    "file missing": "names a file that is not there",
    "cut": "cut off or damaged",
    "no JSON": "cannot be read as JSON",
    "out of the folder": "names a file that is not there",
    "a split out of the folder": "not one of a folder",
    "damaged": "cut off or damaged",
}


@pytest.mark.parametrize(("fault", "says"), SAVED_FAULTS.items(), ids=SAVED_FAULTS)
def test_faults_of_saved_datasets_are_named(fault: str, says: str, tmp_path: Path) -> None:
    path = FORMS["save_to_disk"](good_folder(tmp_path / "folder").write(), tmp_path / "saved")
    damage(path, fault)
    problems = problems_of(path, tmp_path / "work2")
    assert any(says in problem for problem in problems), problems


def add_file(archive: tarfile.TarFile, name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> None:
    """Add a file or link to a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
    info.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
    archive.addfile(info, io.BytesIO(data))


TAR_FAULTS: Mapping[str, tuple[dict[str, bytes], str]] = {
    "no image": ({"b.txt": b"a face"}, "the sample has no image"),
    "two images": ({"b.jpg": b"x", "b.png": b"y"}, "more than one image"),
    "no JSON": ({"b.jpg": image_bytes(2), "b.json": b"{"}, "the text cannot be read"),
    "a list": ({"b.jpg": image_bytes(2), "b.json": b"[1]"}, "is a list, and no object"),
    "not UTF-8": ({"b.jpg": image_bytes(2), "b.txt": b"\xff\xfe\xfa"}, "not UTF-8"),
    "out of the folder": ({"../b.jpg": image_bytes(2)}, "could lead out of the folder"),
    "not read": ({"b.jpg": image_bytes(2), "b.npy": b"x"}, "files that end in .npy are not read"),
    "failed": (
        {
            "b.jpg": image_bytes(2),
            "b.json": b'{"status": "failed_to_download", "error_message": "HTTP 404"}',
        },
        "did not download this image: HTTP 404",
    ),
}


@pytest.mark.parametrize(("files", "says"), TAR_FAULTS.values(), ids=TAR_FAULTS)
def test_faults_of_tars_are_named_and_other_samples_are_read(
    files: dict[str, bytes], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        add_file(archive, "a.jpg", image_bytes(1))
        add_file(archive, "a.txt", b"a prompt")
        for name, data in files.items():
            add_file(archive, name, data)
    reading = read_form(path, tmp_path / "work2", SourceOptions(generator="SDXL"))
    problems = [str(problem) for problem in reading.problems]
    assert any(says in problem and "faces.tar" in problem for problem in problems), problems
    assert "a prompt" in {row["prompt"] for row in reading.published}
    counts = reading.counts
    assert counts.read == counts.published + sum(counts.rejected.values()) == 2


def test_links_and_damage_in_tars_are_named(tmp_path: Path) -> None:
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        add_file(archive, "a.jpg", image_bytes(1))
        add_file(archive, "a.txt", b"a prompt")
        add_file(archive, "b.jpg", b"", tarfile.SYMTYPE)
    (problem,) = problems_of(path, tmp_path / "work2", generator="SDXL")
    assert "not a regular file" in problem
    path.write_bytes(path.read_bytes()[:700])
    (problem,) = problems_of(path, tmp_path / "work3", generator="SDXL")
    assert "cut off or damaged" in problem


def test_failed_downloads_of_img2dataset_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    said: Row = {"url": "u", "caption": "a face", "status": "success", "error_message": None, "key": "00"}
    with webdataset.TarWriter(str(folder / "00000.tar")) as tar:
        tar.write({"__key__": "00", "jpg": image_bytes(1), "txt": "a face", "json": said})
    failed = said | {"key": "01", "status": "failed_to_download", "error_message": "HTTP Error 404"}
    parquet_of(folder / "00000.parquet", [said, failed])
    (folder / "00000_stats.json").write_text("{}")
    reading = read_form(folder, tmp_path / "work2", SourceOptions(generator="SDXL"))
    assert [row["prompt"] for row in reading.published] == ["a face"]
    assert (reading.counts.read, reading.counts.rejected) == (2, {"image_missing": 1})


def test_failures_of_other_tars_are_not_those_of_the_tar_that_is_given(tmp_path: Path) -> None:
    said: Row = {"url": "u", "caption": "a face", "status": "success", "error_message": None, "key": "00"}
    with webdataset.TarWriter(str(tmp_path / "00000.tar")) as tar:
        tar.write({"__key__": "00", "jpg": image_bytes(1), "txt": "a face", "json": said})
    parquet_of(tmp_path / "00001.parquet", [said | {"key": "01", "status": "failed_to_download"}])
    (tmp_path / "notes.parquet").write_bytes(b"no table at all")
    reading = read_form(tmp_path / "00000.tar", tmp_path / "work2", SourceOptions(generator="SDXL"))
    assert (reading.counts.read, reading.counts.rejected) == (1, {})


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
def test_images_in_arrow_may_be_bytes_alone(kind: pa.DataType, tmp_path: Path) -> None:
    schema = pa.schema({"image": kind, "generator": pa.string()})
    rows = [{"image": image_bytes(number), "generator": "SDXL"} for number in range(3)]
    with pa.ipc.new_stream(tmp_path / "faces.arrow", schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    reading = read_form(tmp_path / "faces.arrow", tmp_path / "work2")
    assert (reading.counts.published, reading.problems) == (3, [])


def test_images_that_img2dataset_wrote_as_files_come_with_its_failures(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "00000").mkdir(parents=True)
    said: Row = {"url": "u", "caption": "a face", "status": "success", "error_message": None, "key": "00"}
    (folder / "00000" / "00.jpg").write_bytes(image_bytes(1))
    (folder / "00000" / "00.txt").write_text("a face")
    (folder / "00000" / "00.json").write_text(json.dumps(said))
    failed = said | {"key": "01", "status": "failed_to_download", "error_message": "HTTP Error 404"}
    parquet_of(folder / "00000.parquet", [said, failed])
    reading = read_form(folder, tmp_path / "work2", SourceOptions(generator="SDXL"))
    assert [row["caption"] for row in reading.captions] == ["a face"]
    assert (reading.counts.read, reading.counts.rejected) == (2, {"image_missing": 1})


@pytest.mark.parametrize("form", ["zip", "webdataset", "save_to_disk"])
def test_images_are_read_through_a_link_to_their_file(form: str, tmp_path: Path) -> None:
    path = FORMS[form](good_folder(tmp_path / "folder").write(), tmp_path / "other")
    (tmp_path / "link").symlink_to(path, target_is_directory=path.is_dir())
    if form == "webdataset":
        (tmp_path / "tars").mkdir()
        for tar in path.glob("*.tar"):
            (tmp_path / "tars" / tar.name).symlink_to(tar)
        path = tmp_path / "tars"
    else:
        path = tmp_path / "link"
    assert read_form(path, tmp_path / "work2").counts.published == 4


def test_a_workbook_is_no_archive_of_images(tmp_path: Path) -> None:
    path = tmp_path / "captions.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(SourceError, match="an Excel workbook"):
        tell_kind(path)


def test_damaged_images_of_one_name_in_an_archive_are_named(tmp_path: Path) -> None:
    def damage(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("images/images/FLUX1_dev_image_0000001.jpg")
        archive.writestr(info, image_bytes(7), zipfile.ZIP_DEFLATED)

    path = rewrite_zip(tmp_path / "faces.zip", damage)
    data = bytearray(path.read_bytes())
    start = data.index(b"images/images/FLUX1_dev_image_0000001.jpg") + 41
    data[start : start + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    problems = problems_of(path, tmp_path / "work2")
    assert any("different images have this name" in problem for problem in problems), problems


def rewrite_zip(path: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    """Write a zip with a good SFHQ folder and whatever else."""
    folder = good_folder(path.parent / "folder").write()
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, str(file.relative_to(folder)))
        change(archive)
    return path


def add_link(archive: zipfile.ZipFile) -> None:
    """Add a link, as zip --symlinks does."""
    info = zipfile.ZipInfo("images/link.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


ZIP_FAULTS: Mapping[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "stray": (lambda archive: archive.writestr("images/x.jpg", image_bytes(9)), "no row of"),
    "unsafe": (lambda archive: archive.writestr("images/../../x.jpg", image_bytes(9)), "../x.jpg: no row"),
    "link": (add_link, "no row of"),
}


@pytest.mark.parametrize(("change", "says"), ZIP_FAULTS.values(), ids=ZIP_FAULTS)
def test_faults_of_archives_are_named(
    change: Callable[[zipfile.ZipFile], None], says: str, tmp_path: Path
) -> None:
    path = rewrite_zip(tmp_path / "faces.zip", change)
    reading = read_form(path, tmp_path / "work2")
    assert reading.counts.published == 4
    assert any(says in str(problem) for problem in reading.problems), reading.problems


def test_an_archive_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = rewrite_zip(tmp_path / "faces.zip", lambda _: None)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    (problem,) = problems_of(path, tmp_path / "work1")
    assert "the archive is damaged" in problem
    path.write_bytes(whole)
    (problem,) = problems_of(path / "inner", tmp_path / "work2")
    assert "the archive has no files in this folder (value: 'inner')" in problem
    packed = tmp_path / "faces.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "folder", "faces")
    (problem,) = problems_of(packed, tmp_path / "work3")
    assert "compressed with gzip" in problem
    assert "gunzip" in problem
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("SFHQ_T2I_dataset.csv", "image_filename,model_used,text_prompt,configs\n")
    (problem,) = problems_of(path, tmp_path / "work4")
    assert "not deflate" in problem


def test_a_folder_in_an_archive_is_named_and_not_guessed(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, f"first/{file.relative_to(folder)}")
        archive.writestr("README.txt", "two folders")
    (problem,) = problems_of(path, tmp_path / "work1")
    assert f"give that folder: {path}/first" in problem
    assert read_form(path / "first", tmp_path / "work2").counts.published == 4


def test_captions_beside_images_come_in_the_same_go(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    path = image_folder(folder, tmp_path / "other", A | {"prompt": "p", "caption": "one"}, B)
    reading = read_form(path, tmp_path / "work1", SourceOptions(generator="SDXL"))
    assert [row["caption"] for row in reading.captions] == ["one"]
    assert {row["config_json"] for row in reading.published} == {None}
    (path / "metadata.jsonl").unlink()
    (path / "FLUX1_dev.txt").write_text("two")
    reading = read_form(path, tmp_path / "work2", SourceOptions(generator="SDXL"))
    assert [row["caption"] for row in reading.captions] == ["two"]
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", path)
    options = SourceOptions(generator="SDXL", scratch=tmp_path / "archives")
    reading = read_form(Path(packed), tmp_path / "work3", options)
    assert [row["caption"] for row in reading.captions] == ["two"]


def test_columns_that_are_not_known_are_kept(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    rows: list[Row] = [
        A | {"generator": "FLUX1_dev", "seed": 7, "lens": {"mm": 50}},
        B | {"generator": "SDXL"},
    ]
    reading = read_form(image_folder(folder, tmp_path / "other", *rows), tmp_path / "work1")
    assert not reading.problems
    kept = next(row for row in reading.published if row["generator"] == "FLUX1_dev")
    assert json.loads(str(kept["config_json"])) == {"lens": {"mm": 50}, "seed": 7}
    assert isinstance(kept["settings"], dict)
    assert (kept["settings"]["seed"], json.loads(kept["settings"]["extras"])) == (7, {"lens": {"mm": 50}})


def test_other_files_beside_tars_or_tables_are_named(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "folder").write()
    tars = FORMS["webdataset"](folder, tmp_path / "tars")
    (tars / "x.jpg").write_bytes(image_bytes(50))
    (problem,) = problems_of(tars, tmp_path / "work1")
    assert "the folder has tars, and other files that may have images (value: 'x.jpg')" in problem
    tables = FORMS["parquet of datasets"](folder, tmp_path / "tables") / "data"
    parquet_of(tables / "other.parquet", [{"a": 1}])
    (problem,) = problems_of(tables, tmp_path / "work2")
    assert "other.parquet: the file has no images" in problem


@pytest.mark.parametrize("form", ["parquet of datasets", "save_to_disk", "webdataset", "zip", "tar"])
def test_the_kind_is_told_from_the_content(form: str, tmp_path: Path) -> None:
    path = FORMS[form](good_folder(tmp_path / "folder").write(), tmp_path / "other")
    assert tell_kind(path) == "images"

"""One release after another: what does not change is the same file, and a version claims what it must."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from builders.images.integrity import ImageFacts, inspect_image
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from publish.release import main
from schemas.problems import Problem
from schemas.settings import BuildSettings
from schemas.versions import Bump, bump_between, next_version
from tests.exports import REAL_RECORD
from tests.opens import watch_opens
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes, run_release, tree_digest

NUM_IMAGES = 8


@pytest.fixture
def collection(tmp_path: Path) -> SfhqFolder:
    """Return a folder of noise images, four of which fill a part."""
    return collect(tmp_path / "faces")


def collect(path: Path) -> SfhqFolder:
    """Start a folder of noise images."""
    folder = good_folder(path, NUM_IMAGES)
    for number, name in enumerate(list(folder.images)):
        folder.images[name] = noise(number)
    return folder


def noise(number: int) -> bytes:
    """Draw an image of a quarter of a mebibyte."""
    return image_bytes(number, "PNG", size=(290, 290))


class Releases:
    """Releases of one collection with one caption for each image."""

    def __init__(
        self, collection: SfhqFolder, out: Path, settings: str = "max_shard_bytes = 1048576"
    ) -> None:
        self.collection, self.out = collection, out
        self.config = collection.path.parent / "release.toml"
        text = (ROOT / "release.toml").read_text().replace("[release]", f"[build]\n{settings}\n[release]")
        self.config.write_text(text)
        for name in ("CITATION.cff", "CHANGELOG.md"):
            shutil.copy(ROOT / name, self.config.parent)
        self.captions = {row[0]: f"a caption of {row[0]}" for row in collection.rows}

    def release(self, version: str, *flags: str) -> int:
        """Write the collection and release it."""
        captions = self.config.parent / "captions.jsonl"
        lines = [{"file_name": name, "caption": text} for name, text in self.captions.items()]
        lines += [line | {"caption": f"{line['file_name']} once more"} for line in lines]
        captions.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        arguments = ["--config", str(self.config), "--sfhq", str(self.collection.write())]
        arguments += ["--captions", str(captions), "--out", str(self.out), "--version", version]
        return main([*arguments, *flags])

    def files(self, version: str, *configs: str) -> dict[str, tuple[str, int]]:
        """Return digest and inode of each data file."""
        return {
            shard.path: (shard.sha256, (self.out / version / shard.path).stat().st_ino)
            for shard in read_manifest(self.out / version).shards
            if shard.config in configs
        }

    def ids(self, version: str) -> list[str]:
        """List the images of a release as a user loads them."""
        rows = load_dataset(str(self.out / version), "prompts", split="train", streaming=True)
        return [row["image_id"] for row in rows]


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release the collection once."""
    folder = tmp_path_factory.mktemp("first")
    assert Releases(collect(folder / "faces"), folder / "dist").release("1.0") == 0
    return folder / "dist"


@pytest.fixture
def releases(collection: SfhqFolder, first_release: Path, tmp_path: Path) -> Releases:
    """Return the collection with its release 1.0."""
    shutil.copytree(first_release, tmp_path / "dist")
    return Releases(collection, tmp_path / "dist")


def add_image(releases: Releases, number: int, at: int) -> None:
    """Put a row into the table, with its image and caption."""
    name = f"SDXL_image_{number:07d}.jpg"
    folder = releases.collection
    folder.rows.insert(at, [name, *folder.rows[3][1:]])
    folder.images[f"images/{name}"] = noise(number)
    releases.captions = {name: f"a caption of {name}", **releases.captions}


def remove_image(releases: Releases) -> None:
    """Take the first image out of the collection."""
    name = releases.collection.rows.pop(0)[0]
    del releases.collection.images[f"images/{name}"], releases.captions[name]
    (releases.collection.path / "images" / name).unlink(missing_ok=True)


def edit_caption(releases: Releases) -> None:
    """Say something else of the first image."""
    releases.captions[releases.collection.rows[0][0]] = "something else"


def edit_prompt(releases: Releases) -> None:
    """Correct the prompt of the first image."""
    releases.collection.rows[0][2] = "another prompt"


def rename_folder(releases: Releases) -> None:
    """Give the folder of images another name, in another place."""
    place = releases.collection.path
    releases.collection.path = place.parent / "elsewhere" / "people"
    releases.collection.path.parent.mkdir()
    if place.exists():
        place.rename(releases.collection.path)


CHANGES: dict[
    str, tuple[Callable[[Releases], None], Bump, dict[str, tuple[int, int, int]], dict[str, int]]
] = {
    # change → bump, rows of prompts and captions added, edited and removed, data files of images that stay
    "nothing": (lambda _: None, Bump.PATCH, {}, {"default": 2, "webdataset": 2}),
    "renamed folder": (rename_folder, Bump.PATCH, {}, {"default": 2, "webdataset": 2}),
    "appended": (
        lambda releases: add_image(releases, 90, NUM_IMAGES),
        Bump.MINOR,
        {"prompts": (1, 0, 0), "captions": (2, 0, 0)},
        {"default": 2, "webdataset": 2},
    ),
    "inserted": (
        lambda releases: add_image(releases, 91, 2),
        Bump.MINOR,
        {"prompts": (1, 0, 0), "captions": (2, 0, 0)},
        {"default": 2, "webdataset": 2},
    ),
    "removed": (
        remove_image,
        Bump.MAJOR,
        {"prompts": (0, 0, 1), "captions": (0, 0, 2)},
        {"default": 1, "webdataset": 1},
    ),
    "caption edited": (
        edit_caption,
        Bump.MAJOR,
        {"prompts": (0, 1, 0), "captions": (1, 0, 1)},
        {"default": 1, "webdataset": 1},
    ),
    "prompt edited": (edit_prompt, Bump.MAJOR, {"prompts": (0, 1, 0)}, {"default": 1, "webdataset": 1}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_version_costs_what_changed(
    name: str, releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    change, bump, rows, kept = CHANGES[name]
    before = tree_digest(releases.out / "1.0")
    change(releases)
    version = next_version("1.0", bump)
    capsys.readouterr()
    assert releases.release(version) == 0
    assert f"this is a {bump} change by Croissant's rule: {version} or later" in capsys.readouterr().out
    manifest = read_manifest(releases.out / version)
    assert manifest.inputs.previous is not None
    assert manifest.inputs.previous.version == "1.0"
    assert manifest.changes is not None
    assert manifest.changes.bump is bump
    for config in ("prompts", "captions"):
        counted = tuple(manifest.changes.rows[config].model_dump().values())
        assert counted == rows.get(config, (0, 0, 0)), config
    for config, number in kept.items():
        same = releases.files("1.0", config).items() & releases.files(version, config).items()
        assert len(same) == number, config  # same name, same bytes, and not even copied
    assert check_release(releases.out / version) == []
    assert tree_digest(releases.out / "1.0") == before
    added, edited, removed = rows.get("captions", (0, 0, 0))
    changelog, card = ((releases.out / version / name).read_text() for name in ("CHANGELOG.md", "README.md"))
    is_edited = bool(rows.get("captions"))
    line = f"- `captions`: {added} rows added, {edited} edited, {removed} removed"
    assert (line in changelog) == is_edited
    assert (f"| `captions` | {added} | {edited} | {removed} |" in card) == is_edited
    assert ("No row was added, edited or removed." in changelog) == (not rows)
    stay = [image_id for image_id in releases.ids("1.0") if image_id in set(releases.ids(version))]
    assert releases.ids(version)[: len(stay)] == stay
    listed = pq.read_table(releases.out / version / "changes.parquet").to_pylist()
    assert len(listed) == sum(sum(each.model_dump().values()) for each in manifest.changes.rows.values())


def test_a_plan_says_which_columns_are_edited_with_an_example(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a prompt that is corrected at its end; where the example is cut, both values show the difference."""
    folder = releases.collection
    before = folder.rows[0][2]
    folder.rows[0][2] = f"{before}, in the rain"
    releases.captions[folder.rows[1][0]] = "something else"
    capsys.readouterr()
    assert releases.release("2.0", "--plan") == 0
    out = capsys.readouterr().out
    assert re.search(r"\n edited column +such as +rows +of\n", out)
    # Long values take several lines of their column.
    edited = {line.split()[0]: line.split()[-2:] for line in out.splitlines() if line.startswith(" prompts.")}
    assert edited == {"prompts.prompt": ["1", "8"], "prompts.captions": ["1", "8"]}
    assert "in the rain" in " ".join(out.split())
    assert "rows that the previous release has, too" not in out  # the note of what may be a mistake


@pytest.mark.slow
def test_a_column_that_is_edited_in_most_rows_is_pointed_out_before_anything_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "faces", 12)
    releases = Releases(folder, tmp_path / "dist")
    assert releases.release("1.0") == 0
    for row in folder.rows[:11]:
        row[2] = row[2].upper()
    capsys.readouterr()
    assert releases.release("1.1") == 1  # refused, since it claims too little
    captured = capsys.readouterr()
    told = "prompts.prompt is edited in 11 of 12 rows that the previous release has, too"
    assert told in " ".join((captured.out + captured.err).split())
    assert releases.release("2.0") == 0
    captured = capsys.readouterr()
    err = " ".join(captured.err.split())
    assert err.index(told) < err.index("checking every file")
    manifest = read_manifest(releases.out / "2.0")
    assert manifest.changes is not None
    assert manifest.changes.edited_columns == {"prompts": {"prompt": 11}}
    for name in ("README.md", "CHANGELOG.md"):
        assert "`prompt` (11 rows)" in (releases.out / "2.0" / name).read_text()
    listed = pq.read_table(releases.out / "2.0" / "changes.parquet").to_pylist()
    assert {(row["config"], row["change"], *row["columns"]) for row in listed} == {
        (name, "edited", "prompt") for name in ("default", "prompts", "webdataset")
    }


@pytest.mark.slow
def test_a_version_that_claims_too_little_is_refused(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_prompt(releases)
    capsys.readouterr()
    assert releases.release("1.1") == 1
    err = capsys.readouterr().err
    assert "version 1.1 claims a minor change from 1.0, and what happened is major" in err
    assert "give version 2.0 or later, or insist with --allow-bump" in err
    assert not (releases.out / "1.1").exists()
    assert releases.release("1.1", "--plan") == 1
    assert releases.release("1.1", "--allow-bump") == 0


def test_a_plan_says_what_becomes_of_files_and_changes_nothing(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_image(releases)
    before = tree_digest(releases.out)
    capsys.readouterr()
    assert releases.release("2.0", "--plan") == 0
    out = capsys.readouterr().out
    assert re.search(r"rewritten default train-\d{5} \(.*\): 1 removed of \d rows", out)
    assert re.search(r"\n +prompts +0 +0 +1\n", out)
    assert tree_digest(releases.out) == before


@pytest.mark.slow
def test_the_previous_release_is_the_newest_older_one_or_the_one_that_is_given(
    releases: Releases, tmp_path: Path
) -> None:
    add_image(releases, 70, 0)
    assert releases.release("1.2") == 0
    assert releases.release("1.10") == 0
    assert releases.release("1.3") == 0
    followed = {
        version: read_manifest(releases.out / version).inputs.previous for version in ("1.2", "1.10", "1.3")
    }
    assert [entry and entry.version for entry in followed.values()] == ["1.0", "1.2", "1.2"]
    assert releases.release("1.10") == 0  # there already, though 1.3 now lies before it
    shutil.copytree(releases.out / "1.0", tmp_path / "elsewhere")
    releases.out = tmp_path / "new"
    assert releases.release("1.1", "--previous", str(tmp_path / "elsewhere")) == 0
    assert releases.files("1.1", "default")


def test_a_previous_release_that_cannot_be_followed_is_refused(
    releases: Releases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert releases.release("1.1", "--previous", str(tmp_path)) == 1
    assert "there is no release here" in capsys.readouterr().err
    assert releases.release("0.9", "--previous", str(releases.out / "1.0")) == 1
    assert "version 0.9 is not newer than 1.0" in capsys.readouterr().err
    (prompts,) = (path for path in releases.files("1.0", "prompts") if "00000" in path)
    damaged = releases.out / "1.0" / prompts
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert releases.release("1.1") == 1
    assert "a file of the previous release is missing, or is not what its manifest says" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_damaged_file_of_images_is_written_anew(releases: Releases) -> None:
    name, (digest, _) = next(iter(releases.files("1.0", "default").items()))
    path = releases.out / "1.0" / name
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert releases.release("1.0.1") == 0
    assert releases.files("1.0.1", "default")[name][0] == digest
    assert check_release(releases.out / "1.0.1") == []


@pytest.mark.slow
def test_a_file_that_is_written_anew_is_checked_like_any_other(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk that spoiled a file of the previous release spoils it once more."""
    name = next(iter(releases.files("1.0", "default")))

    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def spoil_and_check(folder: Path, *rest: Any) -> list[Problem]:
        spoil(folder)
        return check_release(folder, *rest)

    spoil(releases.out / "1.0")
    monkeypatch.setattr("publish.run.releasing.check_release", spoil_and_check)
    capsys.readouterr()
    assert releases.release("1.0.1") == 1
    assert f"{name}: the file has other bytes than the manifest says" in capsys.readouterr().err


@pytest.mark.slow
def test_repacking_makes_as_few_files_as_a_first_release(
    releases: Releases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        add_image(releases, 40 + number, 0)
        assert releases.release(f"1.{number + 1}") == 0
    assert len(releases.files("1.3", "default")) == 5
    capsys.readouterr()
    assert releases.release("1.3.1", "--repack", "--plan") == 0
    assert re.search(r"default +3 +0 +0 +5\n", capsys.readouterr().out)
    assert releases.release("1.3.1", "--repack") == 0
    first, releases.out = releases.out, tmp_path / "first"
    assert releases.release("1.0") == 0
    again = {path: digest for path, (digest, _) in releases.files("1.0", "default", "webdataset").items()}
    releases.out = first
    assert again == {
        path: digest for path, (digest, _) in releases.files("1.3.1", "default", "webdataset").items()
    }


@pytest.mark.slow
def test_webdataset_can_be_left_out_and_added_later(releases: Releases, tmp_path: Path) -> None:
    text = releases.config.read_text()
    plain = Releases(releases.collection, tmp_path / "plain")
    plain.config.write_text(text.replace("[release]", '[release]\nformats = { folder = ["parquet"] }'))
    assert plain.release("1.0") == 0
    assert not (plain.out / "1.0" / "webdataset").exists()
    assert "webdataset/train" not in (plain.out / "1.0" / "README.md").read_text()
    assert "webdataset/train" in (releases.out / "1.0" / "README.md").read_text()
    plain.config.write_text(text)
    assert plain.release("1.1") == 0
    assert plain.files("1.1", "default") == plain.files("1.0", "default")
    added = {path: digest for path, (digest, _) in plain.files("1.1", "webdataset").items()}
    assert added == {path: digest for path, (digest, _) in releases.files("1.0", "webdataset").items()}
    plain.config.write_text(text.replace("[release]", '[release]\nformats = { folder = ["parquet"] }'))
    assert plain.release("1.2") == 1  # what people had is gone: that is a major change
    assert plain.release("2.0") == 0


@pytest.mark.slow
def test_splits_keep_prompts_together_and_captions_with_their_image(
    collection: SfhqFolder, tmp_path: Path
) -> None:
    for number, row in enumerate(collection.rows):
        row[2] = f"prompt {number // 2}"
    made = Releases(collection, tmp_path / "dist", "splits = { test = 0.4 }")
    assert made.release("1.0") == 0
    assert check_release(made.out / "1.0") == []
    prompts = load_dataset(str(made.out / "1.0"), "prompts")
    captions = load_dataset(str(made.out / "1.0"), "captions")
    assert set(prompts) == set(captions) == {"train", "test"}
    for split, rows in prompts.items():
        assert set(rows["split"]) == {split}
        assert set(captions[split]["image_id"]) == set(rows["image_id"])
    assert not set(prompts["train"]["prompt"]) & set(prompts["test"]["prompt"])
    assert load_dataset(str(made.out / "1.0"), split="test").num_rows == prompts["test"].num_rows
    before = {row["image_id"]: row["split"] for rows in prompts.values() for row in rows}
    add_image(made, 77, 3)
    assert made.release("1.1") == 0
    after = load_dataset(str(made.out / "1.1"), "prompts")
    assert (
        before.items() <= {row["image_id"]: row["split"] for rows in after.values() for row in rows}.items()
    )


@pytest.mark.slow
def test_an_image_is_decoded_once_over_versions(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(data: bytes, sha256: str, limits: BuildSettings, known: ImageFacts | None) -> ImageFacts:
        assert known is not None, "an image is decoded again"
        return inspect_image(data, sha256, limits, known)

    monkeypatch.setattr("builders.catalog.reader.inspect_image", refuse)
    assert releases.release("1.0.1") == 0  # known from the last run
    (releases.out / "checked.txt").unlink()
    (releases.out / "known-files.txt").unlink()
    assert releases.release("1.0.2") == 0  # known from the last release
    (releases.out / "checked.txt").write_text("# by other decoders\n" + "0" * 64)
    shutil.move(releases.out / "1.0", tmp_path / "away")
    monkeypatch.undo()
    assert releases.release("1.0") == 0
    assert len((releases.out / "checked.txt").read_text().splitlines()) == 1 + NUM_IMAGES


@pytest.mark.slow
def test_no_image_is_opened_for_a_version_that_changes_texts_alone(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a file that is written again are in the previous release; --read-again still reads all."""
    monkeypatch.setattr("builders.catalog.reader.now_ns", lambda: time.time_ns() + 60 * 10**9)
    assert releases.release("1.0.1") == 0  # it reads each image, since the copy of 1.0 knows no file here
    releases.collection.images = {}
    opened: dict[str, int] = {}
    for version, change in (("1.0.2", None), ("1.0.3", edit_caption), ("1.0.4", edit_prompt)):
        if change is not None:
            change(releases)
        with watch_opens(releases.collection.path / "images") as found:
            assert releases.release(version, "--allow-bump") == 0
        opened[version] = len(found)
    assert opened == {"1.0.2": 0, "1.0.3": 0, "1.0.4": 0}
    assert releases.files("1.0.3", "default") != releases.files("1.0.2", "default")
    with watch_opens(releases.collection.path / "images") as found:
        assert releases.release("1.0.5", "--read-again") == 0
    assert len(found) == NUM_IMAGES
    assert releases.files("1.0.5", "default") == releases.files("1.0.4", "default")


@pytest.mark.slow
def test_equal_trees_whatever_the_machine(collection: SfhqFolder, tmp_path: Path) -> None:
    """Workers, order of files, time zone, locale and hash seed make no difference, in a chain of versions."""
    base, trees = collection.write(), []
    surroundings = [
        {"TZ": "UTC", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"},
        {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "77", "LC_ALL": "POSIX", "PYTHON_CPU_COUNT": "1"},
    ]
    one_core = "import os, sys; os.cpu_count = lambda: 1; from publish.release import main; sys.exit(main())"
    for number, environment in enumerate(surroundings):
        out = tmp_path / f"dist{number}"
        door = ["tests/door.py", "release"] if number == 0 else ["-c", one_core]
        folder = tmp_path / f"copy{number}" / "faces"
        _copy_in_order(base, folder, backwards=bool(number))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            for version, extra in (("1.0", 0), ("1.1", 1)):
                if extra:
                    more = SfhqFolder(folder, [*collection.rows], dict(collection.images))
                    more.rows.insert(2, ["SDXL_image_0000099.jpg", *collection.rows[3][1:]])
                    more.images["images/SDXL_image_0000099.jpg"] = noise(99)
                    more.write()
                run = run_release("--version", version, "--sfhq", folder, "--out", out, door=door)
                assert run.status == 0, run.err
        trees.append({name: digest for name, digest in tree_digest(out).items() if name.startswith("1.")})
    assert trees[0] == trees[1]


def _copy_in_order(source: Path, target: Path, *, backwards: bool) -> None:
    """Copy a folder file by file, so that the file system lists them in another order."""
    for path in sorted(source.rglob("*"), reverse=backwards):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
            os.utime(place, (0, 0))


@pytest.mark.parametrize(
    ("old", "new", "bump"),
    [
        ("1.0", "1.0", None),
        ("1.1", "1.0.9", None),
        ("1.0", "1.0.1", Bump.PATCH),
        ("1.9", "1.10", Bump.MINOR),
        ("1.9.3", "2.0", Bump.MAJOR),
        ("0.1", "1.1.1", Bump.MAJOR),
    ],
)
def test_what_a_version_claims(old: str, new: str, bump: Bump | None) -> None:
    assert bump_between(old, new) is bump
    if bump is not None:
        assert bump_between(old, next_version(old, bump)) is bump


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_groups_keep_their_limits_where_the_file_that_says_them_is_damaged(
    damage: str, tmp_path: Path
) -> None:
    collection = good_folder(tmp_path / "faces", 230)
    made = Releases(collection, tmp_path / "dist", "")
    assert made.release("1.0") == 0
    (name,) = made.files("1.0", "default")
    path = made.out / "1.0" / name
    path.write_bytes(path.read_bytes()[:-5]) if damage == "cut" else path.unlink()
    assert made.release("1.0.1") == 0
    groups = pq.ParquetFile(made.out / "1.0.1" / name).metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [200, 30]


@pytest.mark.slow
def test_undecided_pairs_are_not_added_to_the_decided_ones(releases: Releases, tmp_path: Path) -> None:
    first, second = (row[0] for row in releases.collection.rows[:2])
    images = {"image_1": first, "image_2": second, "prompt": "a prompt"}
    votes = tmp_path / "votes.jsonl"
    pair = REAL_RECORD | {"images": images, "preference.responses": ["image_1", "image_2", "both_good"]}
    votes.write_text(json.dumps(pair))
    assert releases.release("1.1", "--preferences", str(votes)) == 0
    assert releases.release("1.1.1", "--preferences", str(votes)) == 0
    assert not (releases.out / "1.1.1" / "binarized").exists()
    votes.write_text(json.dumps(pair | {"preference.responses": ["image_1", "image_1", "both_good"]}))
    assert releases.release("2.0", "--preferences", str(votes)) == 0
    changes = read_manifest(releases.out / "2.0").changes
    assert changes is not None
    assert changes.rows["binarized"].added == 1
    assert changes.rows["preferences"].edited == 1
    listed = pq.read_table(releases.out / "2.0" / "changes.parquet").to_pylist()
    assert ("binarized", "added") in {(row["config"], row["change"]) for row in listed}


@pytest.mark.slow
def test_a_release_is_run_again_without_its_predecessor(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    assert releases.release("1.0.1") == 0
    shutil.rmtree(releases.out / "1.0")
    assert releases.release("1.0.1") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert releases.release("1.1") == 0
    assert releases.release("1.1.0") == 1
    assert "version 1.1.0 is there already, as 1.1" in capsys.readouterr().err

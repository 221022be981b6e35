"""The command: what a maintainer types, sees, and finds afterwards."""

import fcntl
import json
import os
import re
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from builders.card.notes import mark_entry
from publish.release import main
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes, run_release, tree_digest

SHIPPED = ["--config", str(ROOT / "release.toml")]


def released(folder: Path, out: Path, *more: str) -> int:
    """Release a folder in this process."""
    return main(["--version", "1.0", *SHIPPED, "--sfhq", str(folder), "--out", str(out), *more])


def spoiled(path: Path) -> SfhqFolder:
    """Start from a folder with one row too many and one image too many."""
    folder = good_folder(path)
    folder.rows.append(["gone.jpg", "SDXL", "a prompt", ""])
    folder.images["images/stray.jpg"] = image_bytes(99)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "door", [["publish/release.py"], ["-m", "publish.release"]], ids=["as a file", "as a module"]
)
def test_every_door_leads_to_the_same_release(door: list[str], sample_release: Path, tmp_path: Path) -> None:
    run = run_release("--version", "1.0", "--out", tmp_path, door=door)
    assert (run.status, run.err.count("Traceback")) == (0, 0)
    assert tree_digest(tmp_path / "1.0") == tree_digest(sample_release)
    assert f'load_dataset("{tmp_path}/1.0", split="train")' in run.out
    for table, count in (("images", 60), ("captions", 120), ("preferences", 100)):
        assert re.search(rf"{table} +{count} +{count} +0 +{count}\n", run.out)


def test_the_installed_command_is_the_same_main() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert 'sfhq = "publish.sfhq:main"' in pyproject
    run = run_release("--help", door=["-c", "from publish.release import main; raise SystemExit(main())"])
    assert run.status == 0
    assert "usage: sfhq release" in run.out


def test_rejected_rows_are_written_beside_the_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spoiled(tmp_path / "good").write()
    before = tree_digest(folder)
    assert released(folder, tmp_path / "dist") == 0
    captured = capsys.readouterr()
    assert re.search(r"images +6 +4 +2 +4\n *rejected +1 image missing, 1 image without row\n", captured.out)
    assert "SFHQ_T2I_dataset.csv:6:image_filename: there is no such image in the folder" in captured.err
    assert "stray.jpg: no row of SFHQ_T2I_dataset.csv names this image" in captured.err

    rejected = pq.read_table(tmp_path / "dist" / "rejected" / "1.0.parquet").to_pylist()
    assert [(row["row"], row["reason"], row["raw"]) for row in rejected] == [
        (6, "image_missing", "gone.jpg,SDXL,a prompt,"),
        (None, "image_without_row", ""),
    ]
    counts = json.loads((tmp_path / "dist" / "1.0" / "manifest.json").read_text())["counts"]["images"]
    assert (counts["read"], counts["published"], sum(counts["rejected"].values())) == (6, 4, 2)
    assert not list((tmp_path / "dist" / "1.0").rglob("*rejected*"))
    assert tree_digest(folder) == before


@pytest.mark.parametrize("flag", ["--sfhq", "--captions", "--preferences"])
def test_a_source_that_is_a_link_to_itself_is_refused_in_a_sentence(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert (
        main(["--version", "1.0", *SHIPPED, "--out", str(tmp_path / "dist"), flag, str(tmp_path / "loop")])
        == 1
    )
    assert "loop: " in capsys.readouterr().err


def test_strict_fails_and_publishes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spoiled(tmp_path / "good").write()
    assert released(folder, tmp_path / "dist", "--strict") == 1
    assert "--strict allows none" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == [
        "checked.txt",
        "known-files.txt",
        "rejected",
    ]


def test_strict_passes_where_nothing_is_rejected(tmp_path: Path) -> None:
    assert released(good_folder(tmp_path / "good").write(), tmp_path / "dist", "--strict") == 0


def test_a_plan_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spoiled(tmp_path / "good").write()
    assert released(folder, tmp_path / "dist", "--plan") == 0
    assert not (tmp_path / "dist").exists()
    out = capsys.readouterr().out
    assert "folder: add" in out
    assert re.search(r"images +6 +4 +2 +4\n", out)


def test_the_same_content_again_is_a_no_op_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "good").write()
    assert released(folder, tmp_path / "dist") == 0
    before, times = tree_digest(tmp_path / "dist"), times_of(tmp_path / "dist" / "1.0")
    capsys.readouterr()
    assert released(folder, tmp_path / "dist") == 0
    assert "Nothing to do, this version is there already with the same content" in capsys.readouterr().out
    assert tree_digest(tmp_path / "dist") == before
    assert times_of(tmp_path / "dist" / "1.0") == times


def times_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("plan", [[], ["--plan"]])
def test_a_version_with_other_content_is_never_overwritten(
    plan: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "good")
    assert released(folder.write(), tmp_path / "dist") == 0
    before = tree_digest(tmp_path / "dist")
    folder.rows[0][2] = "another prompt"
    capsys.readouterr()
    assert released(folder.write(), tmp_path / "dist", *plan) == 1
    err = capsys.readouterr().err
    assert "version 1.0 exists with other content (sources.good.sha256:" in err
    assert "give the next version" in err
    assert tree_digest(tmp_path / "dist") == before
    assert (
        main(["--version", "2.0", *SHIPPED, "--sfhq", str(folder.path), "--out", str(tmp_path / "dist")]) == 0
    )
    assert tree_digest(tmp_path / "dist" / "1.0") == {
        name.removeprefix("1.0/"): digest for name, digest in before.items() if name.startswith("1.0/")
    }


def test_a_damaged_release_is_not_called_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = good_folder(tmp_path / "good").write()
    assert released(folder, tmp_path / "dist") == 0
    card = tmp_path / "dist" / "1.0" / "README.md"
    card.write_text(card.read_text().replace("4", "5"))
    assert released(folder, tmp_path / "dist") == 1
    assert "README.md: the file has other bytes" in capsys.readouterr().err


def test_what_is_not_a_release_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dist" / "1.0").mkdir(parents=True)
    (tmp_path / "dist" / "1.0" / "thesis.txt").write_text("years of work")
    assert released(good_folder(tmp_path / "good").write(), tmp_path / "dist") == 1
    assert "it exists and is not a release" in capsys.readouterr().err
    assert (tmp_path / "dist" / "1.0" / "thesis.txt").read_text() == "years of work"


def test_nothing_to_publish_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = good_folder(tmp_path / "good", 2)
    folder.images = {}
    assert released(folder.write(), tmp_path / "dist") == 1
    assert "none of the 2 rows of images read can be published" in capsys.readouterr().err
    assert not (tmp_path / "dist" / "1.0").exists()


def test_two_runs_at_once_do_not_meet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dist").mkdir()
    descriptor = os.open(tmp_path / "dist", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert released(good_folder(tmp_path / "good").write(), tmp_path / "dist") == 1
    finally:
        os.close(descriptor)
    assert "another run is working in this folder" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_written_is_told_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dist").write_text("a file")
    assert released(good_folder(tmp_path / "good").write(), tmp_path / "dist") == 1
    err = capsys.readouterr().err
    assert "dist" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version", "one"],
        ["--version", "../1.0"],
        ["--version", "1.0", "--to", "moon"],
        ["--version", "1.0", "--plans"],
        ["--version", "1.0", "--config", "missing.toml"],
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main([*arguments, "--out", str(tmp_path)])
    except SystemExit as ended:  # argparse ends so
        status = ended.code
    assert status == 2
    assert capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_changelog_entry_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = good_folder(tmp_path / "good").write()
    assert main(["--version", "7.3", *SHIPPED, "--sfhq", str(folder), "--out", str(tmp_path / "dist")]) == 0
    assert "no entry for 7.3" in capsys.readouterr().err


def test_published_files_are_readable_by_others(sample_release: Path) -> None:
    for path in sample_release.rglob("*"):
        assert path.stat().st_mode & stat.S_IROTH


def test_the_flags_are_these(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = {
        word.strip("[],") for word in capsys.readouterr().out.split() if word.strip("[],").startswith("--")
    }
    assert flags == {
        *("--help", "--version", "--config", "--out", "--to", "--plan", "--strict"),
        *("--sfhq", "--images", "--generator", "--captions", "--preferences", "--fetch-images"),
        *("--apply", "--previous", "--allow-bump", "--repack", "--json", "--patience"),
        *("--wait", "--force-unknown-rights", "--on", "--read-again"),
    }


@pytest.mark.slow
def test_a_finished_release_is_not_refused_for_a_newer_kit_or_a_mark_in_the_changelog(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half published, it must be possible to finish it: with a kit that does it better, for instance."""
    folder = good_folder(tmp_path / "good").write()
    for name in ("CITATION.cff", "CHANGELOG.md", "release.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    job = ["--config", str(tmp_path / "release.toml"), "--sfhq", str(folder), "--out", str(tmp_path / "dist")]
    assert main(["--version", "1.0", *job]) == 0
    before = tree_digest(tmp_path / "dist")
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        mark_entry(changelog.read_text(), "1.0", "bad").replace("Release 1.0", "Release 0.9")
    )
    monkeypatch.setattr("builders.pipeline.KIT_VERSION", "99.0")
    capsys.readouterr()
    assert main(["--version", "1.0", *job]) == 0
    captured = capsys.readouterr()
    assert (
        "1.0 is finished and stays as it was built: kit_version: 0.1.0 there, 99.0 now; notes."
        in captured.err
    )
    assert "Nothing to do" in captured.out
    assert tree_digest(tmp_path / "dist") == before


@pytest.mark.slow
def test_an_exclusion_is_another_content_and_is_found_in_the_rejected_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "good")
    folder.write()
    settings = tmp_path / "release.toml"
    shipped = (ROOT / "release.toml").read_text()
    settings.write_text(shipped.replace("[release]\n", '[release]\nexclusions = "lists/out.csv"\n'))
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "lists").mkdir()
    listed = tmp_path / "lists" / "out.csv"

    def run(version: str) -> int:
        job = ["--version", version, "--config", str(settings), "--sfhq", str(folder.path)]
        return main([*job, "--out", str(tmp_path / "dist")])

    assert run("1.0") == 1
    assert "out.csv: there is no such file" in capsys.readouterr().err
    listed.write_text("image,reason\n")
    assert run("1.0") == 0
    listed.write_text(f"image,reason\n{folder.rows[0][0]},blurred\n")
    capsys.readouterr()
    assert run("1.0") == 1
    assert "version 1.0 exists with other content (exclusions" in capsys.readouterr().err
    assert run("2.0") == 0
    assert re.search(r"images +4 +3 +1 +3\n *rejected +1 excluded\n", capsys.readouterr().out)
    (rejected,) = pq.read_table(tmp_path / "dist" / "rejected" / "2.0.parquet").to_pylist()
    assert rejected["reason"] == "excluded"
    assert rejected["problems"][0]["message"] == "the maintainer excludes it: blurred"
    published = pq.read_table(tmp_path / "dist" / "2.0" / "prompts")
    assert folder.rows[0][0] not in published["file_name"].to_pylist()


def test_strict_is_not_for_what_the_list_of_exclusions_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = good_folder(tmp_path / "good")
    folder.write()
    first, second, *_ = (row[0] for row in folder.rows)
    said = [{"file_name": name, "caption": f"a caption of {name}"} for name in (first, second)]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, said)))
    (tmp_path / "pairs.json").write_text(
        json.dumps([{"prompt": "p", "img_better": first, "img_worse": second}])
    )
    (tmp_path / "exclusions.csv").write_text(f"image,reason\n{first},shows a child\n")
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    settings = tmp_path / "release.toml"
    listed = '[release]\nexclusions = "exclusions.csv"'
    settings.write_text((ROOT / "release.toml").read_text().replace("[release]", listed, 1))
    more = ["--captions", str(tmp_path / "captions.jsonl"), "--preferences", str(tmp_path / "pairs.json")]
    job = ["--version", "1.0", "--config", str(settings), "--sfhq", str(folder.path), *more, "--strict"]
    assert main([*job, "--out", str(tmp_path / "dist")]) == 0
    counts = json.loads((tmp_path / "dist" / "1.0" / "manifest.json").read_text())["counts"]
    assert {table: count["rejected"] for table, count in counts.items()} == {
        table: {"excluded": 1} for table in ("images", "captions", "preferences")
    }
    folder.rows.append(["gone.jpg", "SDXL", "a prompt", ""])
    folder.write()
    capsys.readouterr()
    assert main([*job, "--out", str(tmp_path / "other")]) == 1
    assert "rows are rejected (1 image missing), and --strict allows none" in capsys.readouterr().err

"""A release's decided pairs, written for a trainer; `publish/export.py` reads its flags."""

import argparse
import shutil
import tempfile
from pathlib import Path

from builders.card.readme import LICENSES_NAME
from builders.parallel import Track
from builders.release.trainers import LAYOUTS, write_layout
from publish.checks.files import check_files, read_manifest
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, ReleaseError, SettingsError, suggest


def run_export(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the pairs and show how many; return the exit status."""
    with terminal.progress() as track:
        written, left_out = export(options.release, options.layout, options.out, track)
    terminal.line(f"{options.out}: {written:,} pairs in the layout {options.layout}")
    if left_out:
        terminal.line(f"{left_out:,} pairs left out: the release has not both images, or no prompt")
    return 0


def export(release: Path, layout: str, out: Path, track: Track) -> tuple[int, int]:
    """Write the pairs into a new folder, which is there whole or not at all.

    Returns:
        Pairs written, and pairs left out since they lack an image or the prompt.

    Raises:
        SettingsError: The folder exists, or there is no such layout.
        ReleaseError: There is no release, its files are damaged, or it has no pair to write.
    """
    if layout not in LAYOUTS:
        fix = suggest(layout, LAYOUTS)
        raise SettingsError(
            Problem(Reason.SETTINGS, "there is no such layout", column="--layout", value=layout, fix=fix)
        )
    if out.exists():
        problem = "this exists, and nothing is overwritten"
        raise SettingsError(Problem(Reason.SETTINGS, problem, file=str(out), fix="give another --out"))
    manifest = read_manifest(release)
    problems = tuple(check_files(release, manifest))
    if problems:
        raise ReleaseError(problems)
    shards = [shard for shard in manifest.shards if shard.config == "binarized"]
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        (work / "data").mkdir()
        written = left_out = 0
        for number, shard in enumerate(track(shards, f"writing {layout}", len(shards))):
            path = work / "data" / f"{shard.split}-{number:05d}.parquet"
            counts = write_layout(release, shard, LAYOUTS[layout], path)
            written, left_out = written + counts[0], left_out + counts[1]
        if not written:
            problem = "the release has no decided pair with both images"
            fix = "build it with preferences, and with `images` or --fetch-images for their images"
            raise ReleaseError(Problem(Reason.RELEASE, problem, file=str(release), fix=fix))
        shutil.copyfile(release / LICENSES_NAME, work / LICENSES_NAME)
        work.chmod(0o755)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return written, left_out

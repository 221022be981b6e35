"""Write a release's decided pairs for a trainer: `python publish/export.py dist/1.0 --layout trl --out OUT`.

Also runs as the installed command `sfhq-export`. The new folder loads with `load_dataset(folder)`; the
release's licences are copied into it. Exit status: 0 done, 1 problems with the release, 2 wrong usage.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.card.readme import LICENSES_NAME
from builders.parallel import Track
from builders.release.trainers import LAYOUTS, write_layout
from publish.checks.files import check_files, read_manifest
from publish.run.terminal import Terminal
from schemas.problems import KitError, Problem, Reason, ReleaseError, SettingsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; show every error as a sentence, never as a traceback."""
    parser = argparse.ArgumentParser(
        prog="sfhq-export", description="Write a release's decided pairs for a trainer."
    )
    parser.add_argument("release", type=Path, help="a release, such as dist/1.1")
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS), help="whose column names")
    parser.add_argument("--out", required=True, type=Path, help="the folder to make")
    options = parser.parse_args(argv)
    terminal = Terminal()
    try:
        with terminal.progress() as track:
            written, left_out = export(options.release, options.layout, options.out, track)
    except KitError as error:
        terminal.problems(error.problems)
        return 2 if isinstance(error, SettingsError) else 1
    except OSError as error:
        terminal.note(f"{error.filename or options.out}: {error.strerror or error}")
        return 1
    terminal.line(f"{options.out}: {written:,} pairs in the layout {options.layout}")
    if left_out:
        terminal.line(f"{left_out:,} pairs left out: the release has not both images, or no prompt")
    return 0


def export(release: Path, layout: str, out: Path, track: Track) -> tuple[int, int]:
    """Write the pairs into a new folder, which is there whole or not at all.

    Returns:
        Pairs written, and pairs left out since they lack an image or the prompt.

    Raises:
        SettingsError: The folder exists.
        ReleaseError: There is no release, its files are damaged, or it has no pair to write.
    """
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


if __name__ == "__main__":
    sys.exit(main())

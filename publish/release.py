"""Build, check and publish a release: `python publish/release.py --version 1.1`.

Also runs as `python -m publish.release` and as `sfhq release`. Exit status: 0 done, 1 problems with the data
or the release, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_patience_flag, make_parser, run_command
from publish.run.terminal import Terminal
from schemas.versions import VERSION_PATTERN

_STOPPED = "Stopped. Nothing was left half-written; the same command goes on from finished work."
_ADVICE = "Nothing was left half-written. Fix this and run the same command again; finished work is reused."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv, stopped=_STOPPED, advice=_ADVICE)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.releasing import release  # noqa: PLC0415 - after parsing: --help must load no library

    return release(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq release", "Build, check and publish a release of the dataset.")
    parser.add_argument(
        "--version", required=True, type=_version, help="the dataset's version, such as 1.1 or 1.1.2"
    )
    parser.add_argument(
        "--config", type=_path, default=Path("release.toml"), help="settings (default: release.toml)"
    )
    _add_sources(parser)
    parser.add_argument(
        "--out",
        type=_path,
        default=Path("dist"),
        help="the release is written to OUT/VERSION/ (default: dist)",
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="HOST",
        help="publish to this host, such as hub or kaggle, in place of the configured ones; repeatable",
    )
    parser.add_argument(
        "--on",
        metavar="EXECUTOR",
        help="what looks at images, encodes them and writes shards: threads (default) or ray, a cluster at "
        "RAY_ADDRESS or else on this machine; the release is the same",
    )
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument(
        "--plan",
        nargs="?",
        type=Path,
        const=True,
        metavar="FILE",
        help="read and check everything, say what would be done, change nothing; save it if a FILE is given",
    )
    doing.add_argument(
        "--apply",
        type=Path,
        metavar="FILE",
        help="do exactly what this saved plan says, or refuse because something has changed since",
    )
    _add_version_flags(parser)
    add_patience_flag(parser)
    _add_host_options(parser)
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sfhq",
        type=_path,
        action="append",
        default=[],
        metavar="DIR",
        help="read this SFHQ folder in place of the configured sources (repeatable)",
    )
    parser.add_argument(
        "--images",
        type=_path,
        action="append",
        default=[],
        metavar="PATH",
        help="read these images in place of the configured sources: an image folder, a zip, tars of "
        "WebDataset, Parquet with images, or a folder of save_to_disk (repeatable)",
    )
    parser.add_argument(
        "--generator",
        metavar="NAME",
        help="the model that made the images of --images, where their rows do not say it",
    )
    parser.add_argument(
        "--captions",
        type=_path,
        action="append",
        default=[],
        metavar="PATH",
        help="read these captions or attributes, too: a file, or a folder of sidecars (repeatable)",
    )
    parser.add_argument(
        "--preferences",
        type=_path,
        action="append",
        default=[],
        metavar="FILE",
        help="read these preference results, too (repeatable)",
    )
    parser.add_argument(
        "--fetch-images",
        action="store_true",
        help="download images that preference results name by address and no source has",
    )
    parser.add_argument(
        "--read-again",
        action="store_true",
        help="read every image file, even one whose size and times have not changed since an earlier run",
    )


def _add_version_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--previous",
        type=Path,
        metavar="RELEASE",
        help="the release that this one follows (default: the latest earlier release in OUT)",
    )
    parser.add_argument(
        "--allow-bump",
        action="store_true",
        help="release even if the version claims less than what happened since the previous one",
    )
    parser.add_argument(
        "--repack",
        action="store_true",
        help="place all rows again, in as few data files as they need; all of them will be uploaded again",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="fail if any row is rejected for a reason other than the exclusion list",
    )


def _add_host_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        action="store_true",
        help="where an answer of a host was lost, stay until it is known whether the host has heard",
    )
    parser.add_argument(
        "--force-unknown-rights",
        action="store_true",
        help="publish though a host does not say whether you may write there",
    )


def _path(text: str) -> Path:
    if not text.strip():  # a shell variable that is not set: Path("") would be the current folder
        raise argparse.ArgumentTypeError("the path is empty: write one, or leave the flag out")
    return Path(text)


def _version(text: str) -> str:
    if not VERSION_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a version: write MAJOR.MINOR or MAJOR.MINOR.PATCH, such as 1.1"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())

"""Say what images show: `python publish/caption.py my-faces --out captions.jsonl`.

Also runs as `sfhq caption`. Exit status: 0 done, 1 problems with a source or a model, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_patience_flag, add_source_flags, make_parser, run_command
from publish.run.sentence_writing import add_llm_flags
from publish.run.terminal import Terminal

_STOPPED = "Stopped; the file of captions is unchanged. The same command goes on from what is measured."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    return run_command(_parser(), _run, argv, stopped=_STOPPED)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.captioning import caption  # noqa: PLC0415 - after parsing: --help must load no library

    return caption(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq caption", "Write what attribute models see in images as captions.")
    add_source_flags(parser)
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file; captions are added to it")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace this captioner's lines in the file of --out"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep what is measured here; the releases' folder shares it with them (default: beside --out)",
    )
    parser.add_argument("--captioner", metavar="NAME", help="name of this captioner in the file")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="KIND[=WHERE]",
        help="an attribute model, in place of the configured ones: zero-shot, faces, "
        "transformers=FOLDER:ATTRIBUTE or endpoint=ADDRESS; repeatable",
    )
    parser.add_argument(
        "--faces", action="store_true", help="add age and gender of the only face, by the extra `faces`"
    )
    parser.add_argument(
        "--infer",
        metavar="ATTRIBUTES",
        help="infer about people what is left out otherwise: ethnicity, emotion",
    )
    parser.add_argument("--wordings", type=Path, metavar="FILE", help="wordings for zero-shot, a .toml file")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="ATTRIBUTE=SHARE",
        help="least confidence of an attribute's answer, 0 to 1; repeatable",
    )
    parser.add_argument(
        "--attributes-only", action="store_true", help="write attributes, and no sentences from them"
    )
    add_patience_flag(parser)
    add_llm_flags(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())

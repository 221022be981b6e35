"""Make prompts with controlled attributes: `python publish/prompts.py --count 200 --out prompts.jsonl`.

Also runs as `sfhq prompts`. `sfhq prompts check FILE` checks prompts by the rules of age and content,
`sfhq prompts clean FILE` leaves out what may not be used, and `sfhq prompts evolve FILE` rewrites prompts.
Exit status: 0 done, 1 problems with a file, 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Sequence

from publish.run.command import add_patience_flag, make_parser, run_command
from publish.run.sentence_writing import add_llm_flags
from publish.run.terminal import Terminal

_STOPPED = "Stopped; no file was changed."
_STOPPED_ASKING = f"{_STOPPED} The same command goes on from the answers that came."
_MAX_COUNT, _MAX_SEED = 1_000_000, 2**63 - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, those of the process if None; return its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["check"]:
        return run_command(_check_parser(), _check, arguments[1:])
    if arguments[:1] == ["clean"]:
        return run_command(_clean_parser(), _clean, arguments[1:], stopped=_STOPPED_ASKING)
    if arguments[:1] == ["evolve"]:
        return run_command(_evolve_parser(), _evolve, arguments[1:], stopped=_STOPPED_ASKING)
    return run_command(_parser(), _make, arguments)


def _make(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.prompting import make  # noqa: PLC0415 - after parsing: --help must load no library

    return make(options, terminal)


def _check(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.prompting import check  # noqa: PLC0415 - as above

    return check(options, terminal)


def _clean(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.prompt_cleaning import clean  # noqa: PLC0415 - as above

    return clean(options, terminal)


def _evolve(options: argparse.Namespace, terminal: Terminal) -> int:
    from publish.run.prompt_evolving import evolve  # noqa: PLC0415 - as above

    return evolve(options, terminal)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "sfhq prompts", "Make prompts with controlled attributes; all are about adults by default."
    )
    parser.epilog = (
        "`sfhq prompts check FILE` checks a file of prompts by the rules of age and content; `clean FILE` "
        "also leaves out repeats and other languages; `evolve FILE` rewrites prompts by category."
    )
    parser.add_argument("--count", type=_count, default=10, help="how many prompts (default: 10)")
    parser.add_argument("--seed", type=_seed, default=0, help="decides everything not asked for (default: 0)")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="ATTRIBUTE=VALUE",
        help='a value that every prompt has, such as "hair color=red"; repeatable, also for one attribute',
    )
    parser.add_argument(
        "--balance",
        metavar="ATTRIBUTES|FILE",
        help='attributes with equally frequent combinations, such as "sex,age group,ethnicity"; or a .csv or '
        ".json table of combinations, each with its share",
    )
    parser.add_argument("--grammar", type=Path, help="a grammar of yours, a .toml file (default: faces)")
    parser.add_argument("--out", type=Path, help="write the prompts into this .jsonl file")
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --out if there is one")
    parser.add_argument(
        "--stats",
        nargs="?",
        const="",
        metavar="FILE",
        help="show coverage, lengths, and pairs of values never seen: of a file, or of what would be made",
    )
    parser.add_argument(
        "--values", nargs="?", const="", metavar="ATTRIBUTE", help="list the attributes, or the values of one"
    )
    return parser


def _check_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq prompts check", "Check a file of prompts by the rules of age and content.")
    parser.add_argument("file", type=Path, help="a .jsonl, .csv or .txt file of prompts")
    return parser


def _clean_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq prompts clean", "Leave out prompts that repeat others, or may not be used.")
    parser.add_argument("file", type=Path, help="a .jsonl, .csv or .txt file of prompts")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the files that are there")
    parser.add_argument(
        "--near",
        type=_share,
        default=0.8,
        metavar="SHARE",
        help="from which share of equal word sequences on a text repeats another (default: 0.8; 1: all)",
    )
    parser.add_argument("--any-language", action="store_true", help="keep texts that are not in English")
    parser.add_argument("--license", metavar="NAME", help="licence of prompts that the file gives none")
    parser.add_argument(
        "--opinion",
        action="append",
        default=[],
        metavar="KIND=WHERE",
        help="ask a classifier: moderation=URL, hugging-face=MODEL|URL or transformers=FOLDER; repeatable",
    )
    parser.add_argument(
        "--opinion-label",
        action="append",
        default=[],
        metavar="LABEL=MEANING",
        help="what a label of a classifier means, safe or unsafe; repeatable",
    )
    parser.add_argument(
        "--opinion-threshold",
        type=_share,
        default=0.5,
        metavar="SCORE",
        help="least score of an unsafe label that counts (default: 0.5)",
    )
    parser.add_argument("--opinion-model", metavar="NAME", help="the model of a moderation endpoint")
    parser.add_argument(
        "--send-again",
        action="store_true",
        help="ask classifiers again whose answer was lost or cannot be used; it may be paid for twice",
    )
    add_patience_flag(parser)
    return parser


def _evolve_parser() -> argparse.ArgumentParser:
    parser = make_parser("sfhq prompts evolve", "Rewrite prompts by category, each simplified and detailed.")
    parser.add_argument("file", type=Path, help="a .jsonl, .csv or .txt file of prompts")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the files that are there")
    parser.add_argument("--seed", type=_seed, default=0, help="decides categories and wordings (default: 0)")
    parser.add_argument("--count", type=_count, help="how many to write (default: two of each prompt)")
    add_patience_flag(parser)
    add_llm_flags(parser)
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.1 <= share <= 1:  # false for "nan", too
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0.1 to 1")
    return share


def _count(text: str) -> int:
    return _number(text, 1, _MAX_COUNT)


def _seed(text: str) -> int:
    return _number(text, 0, _MAX_SEED)


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

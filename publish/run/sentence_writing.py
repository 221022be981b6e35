"""Who writes the captions: the kit by rule, or a language model with the kit behind it.

A command calls `add_llm_flags` for its parser and `open_writer` for its run. `--help` imports this module, so
it loads no library at the top.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from publish.run.command import read_concurrency, read_usd
from publish.run.terminal import Terminal

if TYPE_CHECKING:
    from builders.generation.captions import SentenceWriter


# Attribute of the parsed flags → the flag, of those that only a language model has.
LLM_FLAGS = {
    "llm": "--llm",
    "llm_model": "--llm-model",
    "llm_price": "--llm-price",
    "budget": "--budget",
    "send_again": "--send-again",
}


def add_llm_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `open_writer`."""
    group = parser.add_argument_group("sentences by a language model")
    group.add_argument(
        "--llm",
        metavar="URL",
        help="a server that speaks as OpenAI's API does, such as http://127.0.0.1:8000/v1 (default: the kit "
        "writes the sentences by rule)",
    )
    group.add_argument("--llm-model", metavar="NAME", help="the language model as the server names it")
    group.add_argument(
        "--llm-price",
        type=_prices,
        metavar="IN,OUT",
        help="US dollars per million tokens that the model reads and writes, such as 0.15,0.6",
    )
    group.add_argument(
        "--budget", type=read_usd, metavar="USD", help="most that all requests may cost, in US dollars"
    )
    group.add_argument(
        "--concurrency", type=read_concurrency, help="requests that are open at once (default: 4)"
    )
    group.add_argument(
        "--send-again",
        action="store_true",
        help="send requests whose answer was lost once more; a sentence may be paid for twice",
    )


@contextmanager
def open_writer(options: argparse.Namespace, out: Path, terminal: Terminal) -> "Iterator[SentenceWriter]":
    """Open the writer of the captions of a run.

    Args:
        options: Has the flags of `add_llm_flags`. `seed` and `patience` count, too, where there are any.
        out: The file of captions. The journal of the requests is in a folder beside it, see `work_folder`.
        terminal: Shows what the language model came to.

    Raises:
        SettingsError: A flag, a price or the key is missing or wrong.
        ReleaseError: Another run is working on the same file.
    """
    if options.llm is None:
        from builders.generation.captions.realising import RuleWriter  # noqa: PLC0415 - as below
        from publish.run.llm_requests import refuse_lone_flags  # noqa: PLC0415 - as below

        refuse_lone_flags(options)
        yield RuleWriter(getattr(options, "seed", None) or 0)
        return
    from publish.run.llm_requests import open_llm_writer  # noqa: PLC0415 - --help must load no library

    with open_llm_writer(options, work_folder(out), terminal) as writer:
        yield writer


def work_folder(out: Path) -> Path:
    """Return the folder of the journal of a file of captions: beside it, and hidden."""
    return out.with_name(f".{out.name}.requests")


def _prices(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) == 1:
        parts *= 2
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not two prices, such as 0.15,0.6")
    return read_usd(parts[0].strip()), read_usd(parts[1].strip())

"""Opens a language model: key, prices and journal; `sentence_writing.py` has the flags."""

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from builders.generation.captions.chat import ChatModel
from builders.generation.captions.chat_asking import ChatOptions
from builders.generation.captions.chat_journal import ChatJournal
from builders.generation.captions.llm_writing import LanguageModelWriter
from builders.generation.captions.realising import RuleWriter
from builders.generation.evolving_llm import ChatEvolver
from publish.network import TimeLimits, redact_url
from publish.providers.images import ProviderKind, ProviderOptions
from publish.run.command import DEFAULT_PATIENCE_MINUTES
from publish.run.sentence_writing import LLM_FLAGS
from publish.run.terminal import Terminal, format_counts
from publish.run.workspace import lock_output
from schemas.problems import Problem, Reason, SettingsError

CODE = "run/chat-request"
JOURNAL = "journal.sqlite"


def refuse_lone_flags(options: argparse.Namespace) -> None:
    """Refuse flags that only a language model has, where none is asked.

    Raises:
        SettingsError: There are some; all of them at once.
    """
    fix = "give --llm, the address of a server; or leave the flag out"
    problems = [
        _problem(flag, "the flag is for a language model, and none is given", None, fix)
        for name, flag in LLM_FLAGS.items()
        if getattr(options, name, None) not in (None, False)
    ]
    if problems:
        raise SettingsError(problems)


@contextmanager
def open_llm_writer(
    options: argparse.Namespace, work: Path, terminal: Terminal
) -> Iterator[LanguageModelWriter]:
    """Open a language model that writes captions; arguments and errors are those of `open_llm`."""
    with open_llm(options, work, terminal) as (model, journal, chat_options):
        rule = RuleWriter(getattr(options, "seed", None) or 0)
        writer = LanguageModelWriter(model, journal, rule, chat_options)
        try:
            yield writer
        finally:
            show_llm(writer, journal, terminal)


@contextmanager
def open_llm(
    options: argparse.Namespace, work: Path, terminal: Terminal, product: str = "caption"
) -> Iterator[tuple[ChatModel, ChatJournal, ChatOptions]]:
    """Open a language model with its journal.

    Args:
        options: The flags of `publish.run.sentence_writing.add_llm_flags`.
        work: Folder of the journal.
        terminal: Shows long waits.
        product: What it writes, one word.

    Raises:
        SettingsError: A flag, a price or the key is missing or wrong.
        ReleaseError: Another run is using the folder.
    """
    problems = list(_wrong_flags(options))
    if problems:
        raise SettingsError(problems)
    server = urlsplit(options.llm).netloc.rpartition("@")[2]
    model = _open_model(options, server, terminal, product)
    budget = options.budget
    chat_options = ChatOptions(
        server, options.llm_model, budget, options.concurrency or 4, sends_again=options.send_again
    )
    work.mkdir(parents=True, exist_ok=True)
    with closing(model), lock_output(work), ChatJournal(work / JOURNAL) as journal:
        journal.recover()
        yield model, journal, chat_options


def _open_model(options: argparse.Namespace, server: str, terminal: Terminal, product: str) -> ChatModel:
    try:
        from publish.providers.chat import Prices, kind_of, open_chat  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        message = f"a language model needs a library that is not here: {error.name}"
        raise SettingsError(_problem("--llm", message, None, "pip install '.[generate]'")) from error
    kind = kind_of(server)
    seconds = 60 * (getattr(options, "patience", None) or DEFAULT_PATIENCE_MINUTES)
    times = TimeLimits(read_seconds=seconds, patience_seconds=seconds)
    provider = ProviderOptions(kind, options.llm_model, _read_key(kind), options.llm, times, terminal.note)
    return open_chat(provider, Prices(*(options.llm_price or (0.0, 0.0))), product)


def _read_key(kind: ProviderKind) -> str | None:
    """Return the key for a server from the environment; None if none is set, as for servers of one's own."""
    return next((found for name in kind.keys if (found := os.environ.get(name, "").strip())), None)


def _wrong_flags(options: argparse.Namespace) -> Iterator[Problem]:
    address = options.llm
    try:
        parts = urlsplit(address)
        is_address, has_password = (
            parts.scheme in ("http", "https") and bool(parts.hostname),
            "@" in parts.netloc,
        )
    except ValueError:
        is_address, has_password = False, False
    if not is_address:
        fix = "give one that begins with http:// or https://, such as http://127.0.0.1:8000/v1"
        value = None if "@" in address else redact_url(address)  # it may hold a password
        yield _problem("--llm", "the server has no http or https address", value, fix)
        return
    if has_password:
        fix = "set the key in SFHQ_LLM_KEY, and leave user and password out"
        yield _problem("--llm", "the address holds a user or a password", None, fix)
    if not options.llm_model:
        yield _problem("--llm-model", "the model is not named", None, "give its name as the server has it")
    if options.llm_price is None and not _is_own(parts.hostname or ""):
        fix = "look them up, and give them: --llm-price 0.15,0.6; or --llm-price 0 for a server of your own"
        yield _problem("--llm-price", "the prices of the model are not known", None, fix)
    elif any(options.llm_price or ()) and options.budget is None:
        fix = "give the most that you want to spend: --budget 5"
        yield _problem("--budget", "the model costs money, and there is no budget", None, fix)


def _is_own(host: str) -> bool:
    """Return whether a host is this machine, where nothing is paid for."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def show_llm(writer: LanguageModelWriter | ChatEvolver, journal: ChatJournal, terminal: Terminal) -> None:
    """Show how texts were written, what was wrong, and what they cost."""
    if writer.methods:
        spent = journal.spent_usd()
        cost = f"; the requests for this file have cost ${spent:,.4f}" if spent else ""
        terminal.note(f"Sentences: {format_counts(dict(writer.methods))}{cost}.")
    for message, number in writer.complaints.most_common(5):
        terminal.note(f"{number:,} requests without a usable answer: {message}")


def _problem(place: str, message: str, value: str | None, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=place, value=value, fix=fix, code=CODE)

"""Opens the classifiers of `--opinion` and their journal; `publish/prompts.py` has the flags."""

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

from builders.generation.cleaning import Opinions
from builders.generation.opinions import OpinionAsker, OpinionJournal, TextJudge
from publish.network import TimeLimits, redact_url
from publish.providers.text_judges import (
    OTHER_SERVER_KEY,
    SAFE,
    UNSAFE,
    JudgeOptions,
    TextJudgeKind,
    find_kind,
    open_judge,
    problem_of,
)
from publish.run.llm_requests import JOURNAL
from publish.run.sentence_writing import work_folder
from publish.run.terminal import Terminal
from publish.run.workspace import lock_output
from schemas.problems import Problem, SettingsError

# A key of this host has a name of its own; no other server gets it.
_KEYS_OF_HOSTS = {"api.openai.com": "OPENAI_API_KEY"}


@contextmanager
def open_opinions(options: argparse.Namespace, terminal: Terminal) -> Iterator[Opinions | None]:
    """Open the classifiers that the flags name, and the journal of their answers beside the file of --out.

    Yields:
        What asks them; None if the flags name none.

    Raises:
        SettingsError: A flag is wrong, or a classifier cannot be opened.
        ReleaseError: Another run is using the journal.
    """
    with _open_judges(options, terminal) as judges:
        if not judges:
            yield None
            return
        work = work_folder(options.out)
        work.parent.mkdir(parents=True, exist_ok=True)
        with lock_output(work), OpinionJournal(work / JOURNAL) as journal:
            journal.recover()
            asker = OpinionAsker(journal, sends_again=options.send_again)
            yield Opinions(judges, asker)
        if asker.num_kept:
            terminal.note(
                f"{asker.num_kept:,} answers of classifiers are of an earlier run, and were not asked again."
            )


@contextmanager
def _open_judges(options: argparse.Namespace, terminal: Terminal) -> Iterator[list[TextJudge]]:
    problems = list[Problem]()
    labels = _read_labels(options.opinion_label, problems)
    kinds = [_read_opinion(text, problems) for text in options.opinion]
    if problems:
        raise SettingsError(problems)
    seconds = 60 * options.patience
    times = TimeLimits(read_seconds=seconds, patience_seconds=seconds)
    with ExitStack() as opened:
        judges = list[TextJudge]()
        for kind, place in (each for each in kinds if each is not None):
            judge_options = JudgeOptions(
                place,
                _read_key(kind, place),
                labels,
                options.opinion_threshold,
                options.opinion_model,
                times,
                terminal.note,
            )
            judges.append(opened.enter_context(closing(open_judge(kind, judge_options))))
        yield judges


def _read_opinion(text: str, problems: list[Problem]) -> tuple[TextJudgeKind, str] | None:
    name, _, place = text.partition("=")
    try:
        kind = find_kind(name.strip())
    except SettingsError as error:
        problems += error.problems
        return None
    place = place.strip()
    try:
        parts = urlsplit(place)
    except ValueError:  # such as half of an IPv6 address
        problems.append(problem_of("the address cannot be read", None, "write it as http://HOST:PORT/v1"))
        return None
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not place:
        fix = "write KIND=WHERE, such as moderation=http://127.0.0.1:8000/v1"
        problems.append(problem_of("the flag does not say which classifier", text, fix))
    elif "@" in parts.netloc:
        fix = f"set the key in {kind.keys[0] if kind.keys else 'the environment'}, and leave it out"
        problems.append(problem_of("the address holds a user or a password", None, fix))
    elif kind.name == "moderation" and not is_address:
        fix = "give one that begins with http:// or https://, such as http://127.0.0.1:8000/v1"
        problems.append(problem_of("the endpoint has no http or https address", redact_url(place), fix))
    else:
        return kind, place
    return None


def _read_labels(flags: list[str], problems: list[Problem]) -> dict[str, str]:
    labels = dict[str, str]()
    for text in flags:
        label, _, meaning = text.rpartition("=")
        if not label or meaning not in (SAFE, UNSAFE):
            fix = "write LABEL=safe or LABEL=unsafe, such as LABEL_1=unsafe"
            problems.append(problem_of("the flag does not say what a label means", text, fix))
        labels[label] = meaning
    return labels


def _read_key(kind: TextJudgeKind, place: str) -> str | None:
    """Return the key from the environment; a login that the Hub's library stores is for the Hub alone."""
    own = _KEYS_OF_HOSTS.get(urlsplit(place).hostname or "")
    keys = kind.keys if kind.may_send_key(place) else (OTHER_SERVER_KEY,)
    for name in (*keys, *([own] if own else [])):
        if found := os.environ.get(name, "").strip():
            return found
    if "HF_TOKEN" in kind.keys and not place.startswith(("http://", "https://")):
        from huggingface_hub import get_token  # noqa: PLC0415 - late: it loads the library

        return get_token()
    return None

"""Mark a release as withdrawn: `python publish/yank.py --version 1.1 --reason "…"`, or `sfhq-yank`.

Nothing is removed, and no version or tag changes: who has it may need it again. The maintainer's changelog,
the card and changelog on the Hub's `main` and the page on Kaggle say that it should not be used, and why;
later releases go on saying so, and the version cannot be published any more. Exit status: 0 done, 1 not
everywhere (the same command goes on), 2 wrong usage.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
from collections.abc import Iterator, Mapping, Sequence

from builders.card.notes import mark_entry
from publish.hosts.publishing import Hosts, host_parser, not_ready, open_hosts
from publish.run.history import find_releases
from publish.run.settings import Flags, load_settings
from publish.run.terminal import Terminal, guard
from publish.run.workspace import lock_output, write_whole
from schemas.problems import KitError, Problem, Reason, ReleaseError, SettingsError
from schemas.withdrawals import MAX_REASON_CHARS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = host_parser("sfhq-yank", "Mark a release as withdrawn, here and on the hosts; remove nothing.")
    parser.add_argument("--version", required=True, help="the release")
    parser.add_argument("--reason", required=True, type=_reason, help="why, for those who have it: one line")
    options, terminal = parser.parse_args(argv), Terminal()
    return guard(terminal, lambda: _yank(options, terminal), "Stopped; the same command goes on.")


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise argparse.ArgumentTypeError(f"give 1 to {MAX_REASON_CHARS} characters that can be printed")
    return reason


def _yank(options: argparse.Namespace, terminal: Terminal) -> int:
    version, reason = options.version, options.reason
    settings = load_settings(options.config, Flags(to=options.to))
    changelog = options.config.parent / settings.release.changelog
    try:
        text = changelog.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the changelog cannot be read: {getattr(error, 'strerror', None) or error}"
        fix = "correct release.changelog"
        raise SettingsError(Problem(Reason.NOTES, message, file=str(changelog), fix=fix)) from error
    marked = mark_entry(text, version, reason)
    hosts = open_hosts(settings, options.out)
    with lock_output(options.out):
        there, problems = _find(hosts, version)
        problems += not_ready({name: hosts[name] for name, is_there in there.items() if is_there})
        if not problems and not any(there.values()) and version not in find_releases(options.out):
            message = f"there is no release {version}, neither in the folder nor on a host"
            fix = "see which there are: sfhq-status"
            problems.append(Problem(Reason.RELEASE, message, file=str(options.out), fix=fix))
        if problems:
            raise ReleaseError(problems)
        rows = [("changelog", f"{_told(marked != text)} ({changelog})")]
        if marked != text:
            write_whole(changelog, marked.encode())
        rows += _mark_hosts(hosts, there, version, reason, problems)
    terminal.title(f"Withdrawn: {settings.dataset.name} {version}: {reason}")
    terminal.table(rows)
    terminal.note("Commit the changelog: later releases take it from there.")
    terminal.problems(problems)
    return 1 if problems else 0


def _find(hosts: Hosts, version: str) -> tuple[Mapping[str, bool], list[Problem]]:
    """Ask every host whether it has a release."""
    there: dict[str, bool] = {}
    problems: list[Problem] = []
    for name, host in hosts.items():
        try:
            there[name] = version in host.releases()
        except KitError as error:
            problems += error.problems
    return there, problems


def _mark_hosts(
    hosts: Hosts, there: Mapping[str, bool], version: str, reason: str, problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for name, is_there in there.items():
        if not is_there:
            yield name, "not there, so there is nothing to mark"
            continue
        try:
            yield name, _told(hosts[name].withdraw(version, reason))
        except KitError as error:
            problems += error.problems
            yield name, "not marked"


def _told(is_new: bool) -> str:
    return "marked" if is_new else "was marked before"


if __name__ == "__main__":
    sys.exit(main())

"""Mark a release as withdrawn; `publish/yank.py` reads its flags.

Nothing is removed, and no version or tag changes: who has it may need it again. The maintainer's changelog,
the card and changelog on the Hub's `main` and the page on Kaggle say that it should not be used, and why;
later releases go on saying so, and the version cannot be published any more.
"""

import argparse
from collections.abc import Iterator, Mapping

from builders.card.notes import mark_entry
from builders.files import write_whole
from publish.hosts.publishing import Hosts, not_ready, open_hosts
from publish.run.command import host_options
from publish.run.history import find_releases
from publish.run.settings import Flags, load_settings
from publish.run.terminal import Terminal
from publish.run.workspace import lock_output
from schemas.problems import KitError, Problem, Reason, ReleaseError, SettingsError


def withdraw(options: argparse.Namespace, terminal: Terminal) -> int:
    """Mark a release everywhere it is; return 0 if that is done, 1 if not everywhere."""
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
    hosts = open_hosts(settings, options.out, host_options(options, terminal))
    with lock_output(options.out):
        there, problems = _find(hosts, version)
        # Rights beside it are not asked for: what is there may show another version.
        problems += not_ready(
            {name: hosts[name] for name, is_there in there.items() if is_there}, beside=False
        )
        if not problems and not any(there.values()) and version not in find_releases(options.out):
            message = f"there is no release {version}, neither in the folder nor on a host"
            fix = "see which there are: sfhq status"
            problems.append(
                Problem(Reason.RELEASE, message, file=str(options.out), fix=fix, code="host/not-found")
            )
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
            yield name, "not finished"  # the problems say how far it came


def _told(is_new: bool) -> str:
    return "marked" if is_new else "was marked before"

"""What is there of every version; `publish/status.py` reads its flags.

Receipts say what has been published, hosts what they hold; each is held against the manifest of the release
folder or, where that is gone, against a receipt or the other hosts. What is missing of a withdrawn version is
as it should be. Nothing is changed.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from publish.checks.files import read_manifest
from publish.hosts.protocol import Held
from publish.hosts.publishing import open_hosts
from publish.run.command import host_options
from publish.run.history import find_releases
from publish.run.results import Line, StatusResult
from publish.run.settings import Flags, load_settings
from publish.run.terminal import Terminal
from schemas.manifest import Receipt
from schemas.problems import KitError, Problem, Reason, ReleaseError
from schemas.versions import VERSION_PATTERN, parse_version
from schemas.withdrawals import withdrawals


def read_status(
    folders: Mapping[str, str], receipts: Sequence[Receipt], hosts: Mapping[str, Mapping[str, Held]]
) -> Iterator[Line]:
    """Compare what is there with what should be.

    Args:
        folders: Version → manifest digest of the release folders.
        receipts: Of everything that was published.
        hosts: Host → version → what it holds, of the hosts that were asked.

    Yields:
        Lines by version, the folder's first.
    """
    receipt_of = {(receipt.version, receipt.target): receipt for receipt in receipts}
    versions = {
        *folders,
        *(version for version, _ in receipt_of),
        *(v for held in hosts.values() for v in held),
    }
    for version in sorted(versions, key=parse_version):
        told = [receipt for receipt in receipts if receipt.version == version]
        expected = folders.get(version) or next((receipt.manifest_sha256 for receipt in told), None)
        if version in folders or (version, "folder") in receipt_of:
            yield _folder_line(version, folders.get(version), receipt_of.get((version, "folder")))
        is_published = any(version in held for held in hosts.values())
        for target in dict.fromkeys([*hosts, *(r.target for r in told if r.target != "folder")]):
            receipt = receipt_of.get((version, target))
            if target not in hosts:
                digest = receipt.manifest_sha256 if receipt else None
                yield Line(version, target, "by receipt, not asked", manifest_sha256=digest)
            elif version not in hosts[target]:
                yield _absent(version, target, receipt, is_elsewhere=is_published)
            else:
                others = {name: held[version] for name, held in hosts.items() if version in held}
                yield _held_line(version, target, others, expected)


def show_status(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show what is there of every version; return 0 if all is as it should be, 1 if not."""
    settings = load_settings(options.config, Flags(to=options.to))
    problems: list[Problem] = []
    held: dict[str, Mapping[str, Held]] = {}
    for name, host in open_hosts(settings, options.out, host_options(options, terminal)).items():
        try:
            held[name] = host.releases()
        except KitError as error:
            problems += error.problems
    folders: dict[str, str] = {}
    for version, folder in find_releases(options.out).items():
        try:
            folders[version] = read_manifest(folder).digest
        except ReleaseError as error:
            problems += error.problems
    receipts = list(_read_receipts(options.out / "receipts", problems))
    lines = list(read_status(folders, receipts, held))
    withdrawn = _read_withdrawn(options.config.parent / settings.release.changelog)
    problems += _unmarked(lines, withdrawn)
    terminal.title(f"Releases of {settings.dataset.name}")
    rows = [_cells(line, withdrawn.get(line.version) or line.withdrawn) for line in lines]
    if rows:
        terminal.grid(("version", "where", "state", "manifest", "revision"), rows, num_texts=5)
    else:
        terminal.line("  none")
    terminal.give(StatusResult(dataset=settings.dataset.name, places=lines))
    terminal.problems(problems)
    return 0 if not problems and all(line.is_good or line.version in withdrawn for line in lines) else 1


def _unmarked(lines: Sequence[Line], withdrawn: Mapping[str, str]) -> Iterator[Problem]:
    """Name withdrawn versions of which one place does not know."""
    for version, reason in {line.version: line.withdrawn for line in lines if line.withdrawn}.items():
        if version not in withdrawn:
            message = f"version {version} is withdrawn on a host, and not in the changelog here: {reason}"
            again = f"sfhq yank --version {version} --reason {shlex.quote(reason)}"
            fix = f"run {again}, and commit the changelog"
            yield Problem(Reason.RELEASE, message, file="CHANGELOG.md", fix=fix, code="host/withdrawn")


def _read_receipts(folder: Path, problems: list[Problem]) -> Iterator[Receipt]:
    for path in sorted(folder.glob("*.json")):
        try:
            receipt = Receipt.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            message, fix = "the receipt cannot be read", "remove it; the release command writes it again"
            problems.append(Problem(Reason.RELEASE, message, file=str(path), fix=fix, code="run/receipt"))
            continue
        if VERSION_PATTERN.fullmatch(receipt.version):
            yield receipt


def _folder_line(version: str, digest: str | None, receipt: Receipt | None) -> Line:
    if digest is None:
        return Line(version, "folder", "not there any more, though there is a receipt")
    if receipt is None or receipt.manifest_sha256 == digest:
        state = "there" if receipt else "there, without a receipt"
        return Line(version, "folder", state, version, digest)
    return Line(version, "folder", "other content than its receipt says", version, digest, is_good=False)


def _absent(version: str, target: str, receipt: Receipt | None, *, is_elsewhere: bool) -> Line:
    if receipt is not None:
        return Line(version, target, "missing, though there is a receipt", is_good=False)
    if is_elsewhere:
        return Line(version, target, "unfinished: it is on another host, and not here", is_good=False)
    return Line(version, target, "not published")


def _held_line(version: str, target: str, hosts: Mapping[str, Held], expected: str | None) -> Line:
    """Describe a version as a host holds it; `hosts` is that of all hosts."""
    held = hosts[target]
    state = _held_fault(target, hosts, expected)
    is_alone = expected is None and len(hosts) == 1
    good = "there, and nothing here to compare it with" if is_alone else "there, the same"
    return Line(
        version,
        target,
        "; ".join(filter(None, (state or good, held.remark))),
        held.revision,
        held.manifest_sha256,
        withdrawn=held.withdrawn,
        is_good=not state,
    )


def _held_fault(target: str, hosts: Mapping[str, Held], expected: str | None) -> str:
    """Return what is wrong with a version on a host; empty if nothing is."""
    held = hosts[target]
    if held.missing:
        return f"unfinished: {held.missing}"
    if held.manifest_sha256 is None:
        return "there, with no manifest that can be read"
    if expected is not None:
        return "" if held.manifest_sha256 == expected else "other content"
    others = [name for name, other in hosts.items() if other.manifest_sha256 != held.manifest_sha256]
    return f"other content than on {' and '.join(others)}" if others else ""


def _read_withdrawn(changelog: Path) -> Mapping[str, str]:
    """Read which versions the maintainer has withdrawn, and why; none where there is no changelog."""
    try:
        return withdrawals(changelog.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _cells(line: Line, withdrawn: str) -> tuple[str, ...]:
    state = f"{line.state}; withdrawn: {withdrawn}" if withdrawn else line.state
    manifest = f"{line.manifest_sha256[:12]}…" if line.manifest_sha256 else ""
    return (line.version, line.target, state, manifest, "" if line.target == "folder" else line.revision)

"""Every refusal of a release run, in one place: what keeps a version from being built or published.

Each function is given what is known, and yields a problem for each reason against the release; none reads or
changes anything. What a host says against a release is in its own `planning.py`; the rules for versions that
hold on every host are in `publish/hosts/refusals.py`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from builders.card.notes import changelog_entry, dataset_changelog
from builders.files import real_path
from builders.release.previous import PreviousRelease
from publish.hosts.protocol import differences
from publish.hosts.refusals import older, respelled, withdrawn
from publish.run.saved_plan import SavedPlan
from publish.run.terminal import format_counts
from schemas.manifest import Inputs
from schemas.problems import Problem, Reason, printable
from schemas.secrets import find_secrets
from schemas.versions import Bump, bump_between, next_version
from schemas.withdrawals import withdrawals

CHANGELOG = "CHANGELOG.md"
_MEANINGS = {
    Bump.MAJOR: "rows were edited or removed, or columns lost",
    Bump.MINOR: "rows or columns were added",
    Bump.PATCH: "the same rows are written again",
}


def refuse_output_in_sources(folders: Iterable[Path], out: Path) -> Iterator[Problem]:
    """Refuse to write below a folder of a source, which is only ever read."""
    for folder in folders:
        if real_path(out).is_relative_to(real_path(folder)):
            yield Problem(
                Reason.SETTINGS,
                f"the output folder lies in the source {folder}, which is only ever read",
                column="--out",
                value=str(out),
                fix="give an --out elsewhere",
                code="run/output-in-source",
            )


def refuse_secrets(texts: Iterable[tuple[str, str | None, str]]) -> Iterator[Problem]:
    """Refuse to publish tokens and keys in the maintainer's own texts.

    Args:
        texts: File, key if there is one, and text.
    """
    fix = "revoke it, since others may have seen it, and remove it"
    for file, key, text in texts:
        for secret in find_secrets(text):
            message = f"the text holds what looks like {secret.what}, and would be published"
            yield Problem(Reason.SECRET, message, file=file, column=key, value=secret.masked, fix=fix)


def refuse_other_run(out: Path, process: str) -> Problem:
    """Refuse to work in a folder while another run does; `process` says which."""
    return Problem(
        Reason.RELEASE,
        f"another run is working in this folder: {printable(process)}",
        file=str(out),
        fix="wait for it to end, or give another --out",
        code="run/folder-locked",
    )


def refuse_withdrawn(changelog: str, version: str) -> Iterator[Problem]:
    """Refuse a version that the maintainer's changelog calls withdrawn, whatever is left to do of it."""
    reason = withdrawals(changelog).get(version)
    if reason is not None:
        yield withdrawn(version, CHANGELOG, reason)


def refuse_respelled(version: str, folders: Mapping[str, Path]) -> Iterator[Problem]:
    """Refuse 1.1.0 beside 1.1; `folders` are the releases by version."""
    problems = (respelled(version, other, str(folder)) for other, folder in folders.items())
    yield from filter(None, problems)


def miss_changes(changelog: str, version: str, *, is_for_host: bool) -> Iterator[Problem]:
    """Ask for a changelog entry: its absence is a warning in a folder, and a refusal on a host.

    A host keeps a version for ever, and its readers learn what is new from this entry alone.
    """
    if changelog_entry(dataset_changelog(changelog, version), version) is None:
        yield Problem(
            Reason.NOTES if is_for_host else Reason.MISSING_CHANGES,
            f"the changelog's Dataset part has no entry for {version}",
            file=CHANGELOG,
            fix=f"add a heading `### {version} - YYYY-MM-DD` with what changed",
            code="run/changelog-entry" if is_for_host else Reason.MISSING_CHANGES.code,
        )


def refuse_rejected_rows(rejected: Mapping[str, int]) -> Iterator[Problem]:
    """Refuse to leave out rows, as `--strict` asks.

    Args:
        rejected: Reason → number of rows. Those that the maintainer's list excludes are meant to be left out.
    """
    faults = {reason: num for reason, num in rejected.items() if reason != Reason.EXCLUDED}
    if faults:
        message = f"rows are rejected ({format_counts(faults)}), and --strict allows none"
        fix = "correct the rows, or run without --strict"
        yield Problem(Reason.SOURCE, message, fix=fix, code="run/strict")


def refuse_unknown_generators(unknown: Iterable[tuple[str, int, Problem]]) -> Iterator[Problem]:
    """Refuse to publish no image of a source because the kit does not know its generators.

    Args:
        unknown: From `Ledger.unknown_generators`.
    """
    for source, num_rows, problem in unknown:
        what = (
            "name no generator" if problem.value is None else "are by a generator that the kit does not know"
        )
        message = f"no image of the source {printable(source)} can be published: {num_rows:,} rows {what}"
        yield replace(problem, reason=Reason.SOURCE, message=message, code="run/unknown-generator")


def refuse_previous(previous: PreviousRelease, inputs: Inputs) -> Iterator[Problem]:
    """Refuse to follow a release of another dataset, or one that is not older."""
    old, folder = previous.manifest.inputs, str(previous.folder)
    if old.dataset.name != inputs.dataset.name:
        message = (
            f"the previous release is of the dataset {old.dataset.name}, and this one of "
            f"{inputs.dataset.name}"
        )
        fix = "give a release of this dataset with --previous"
        yield Problem(Reason.RELEASE, message, file=folder, fix=fix, code="run/other-dataset")
    problem = older(inputs.version, old.version, folder, "which it is to follow", or_equal=True)
    if problem is not None:
        yield problem


def refuse_bump(previous: PreviousRelease, version: str, needed: Bump) -> Iterator[Problem]:
    """Refuse a version that claims less than the changes since the previous one."""
    claimed = bump_between(previous.manifest.version, version)
    if claimed is None or claimed.rank >= needed.rank:
        return
    least = next_version(previous.manifest.version, needed)
    message = (
        f"version {version} claims a {claimed} change from {previous.manifest.version}, and what happened is "
        f"{needed}: {_MEANINGS[needed]}"
    )
    fix = f"give version {least} or later, or insist with --allow-bump"
    yield Problem(Reason.RELEASE, message, file=str(previous.folder), fix=fix, code="run/bump")


def refuse_changes(
    path: Path, plan: SavedPlan, inputs: Inputs, hosts: Collection[str], states: Mapping[str, str]
) -> Iterator[Problem]:
    """Refuse a saved plan where something has changed since it was made.

    Args:
        path: Where the plan lies.
        plan: The plan.
        inputs: What the release would be built from now.
        hosts: Where it would go now.
        states: Host → what `Host.state` says now; without those that hold the release by now.
    """
    changes = [
        *(f"inputs: {text}" for text in differences(plan.inputs, inputs)),
        *(f"{name}: it was to be published to, and is not" for name in plan.hosts if name not in hosts),
        *_host_changes(plan, states),
    ]
    fix = "make a new plan, look at it, and apply that"
    for text in changes:
        message = f"this has changed since the plan: {text}"
        yield Problem(Reason.RELEASE, message, file=str(path), fix=fix, code="run/plan-changed")


def _host_changes(plan: SavedPlan, states: Mapping[str, str]) -> Iterator[str]:
    for name, state in states.items():
        if name not in plan.hosts:
            yield f"{name}: nothing was planned for it"
        elif state != plan.hosts[name].state:
            yield f"{name}: {plan.hosts[name].state} then, {printable(state)} now"

"""What a release run reports: its problems, its plan, what is new since the previous release, the result."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.catalog import Catalog
from builders.pipeline import Plan
from builders.release.changes import ShardState
from builders.release.previous import PreviousRelease
from publish.hosts import HOSTS
from publish.hosts.protocol import Action, HostPlan, TargetPlan
from publish.hosts.publishing import Published
from publish.run.results import PlannedHost, ReleaseResult
from publish.run.saved_plan import SavedHost
from publish.run.terminal import Terminal, format_size
from schemas.configs import Table
from schemas.manifest import Counts, Inputs, Manifest, RowChanges
from schemas.problems import Problem, Reason, Severity, name_some
from schemas.versions import next_version

MAX_SHARDS_SHOWN, MAX_FILES_NAMED = 10, 5


def show_problems(
    terminal: Terminal, catalog: Catalog, counts: Mapping[Table, Counts], notes: Iterable[Problem]
) -> None:
    """Show the first rows that are rejected, one of each kind of warning, and what else is to be noted."""
    rejected = sum(all_rejected(counts).values())
    terminal.problems(catalog.ledger.problems(Severity.REJECTED, terminal.most_problems()), rejected)
    warnings = sum((Counter(count.warnings) for count in counts.values()), Counter[str]())
    for reason, count in warnings.items():
        if Reason(reason).is_of_many_rows:  # a few, each with its own count of rows
            terminal.problems(catalog.ledger.problems(Severity.WARNING, terminal.most_problems(), reason))
            continue
        listed = catalog.ledger.problems(Severity.WARNING, terminal.most_problems(1), reason)
        terminal.problems(listed, count, shown=1, kind=reason)
    terminal.problems(notes)


def show_kept(terminal: Terminal, plan: TargetPlan) -> None:
    """Show how a kept release differs from one that would be built now."""
    if plan.differences:
        terminal.note(f"{plan.url} is finished and stays as it was built: {'; '.join(plan.differences)}")


def show_plan(terminal: Terminal, plan: TargetPlan, counts: Mapping[Table, Counts], image_bytes: int) -> None:
    """Show what came of the rows, and what the folder needs; `image_bytes` is the size of all images."""
    terminal.title("Plan")
    terminal.counts(counts)
    terminal.table([("images", format_size(image_bytes)), (f"{plan.target}: {plan.action}", plan.url)])
    show_kept(terminal, plan)


def show_host_plan(terminal: Terminal, plan: HostPlan, *, is_built: bool) -> None:
    """Show what would be done to a host; sizes of files that are not built are those of their images."""
    rows = [
        ("add", _describe_files(plan.add, "" if is_built else "about ")),
        ("keep", f"{len(plan.keep):,} files ({format_size(sum(plan.keep.values()))})"),
        ("remove", _describe_files(plan.remove)),
        ("to do", "; ".join(plan.steps) or "nothing"),
        ("requests", f"{plan.num_requests:,} that write, if none has to be repeated"),
        *(("note", note) for note in plan.notes),
    ]
    if not is_built:
        rows.append(
            ("note", "names and sizes of new files, and so the requests, are exact once they are built")
        )
    terminal.title(f"{plan.target}: {plan.action}  {plan.url}")
    terminal.table(rows)


def _describe_files(files: Mapping[str, int], about: str = "") -> str:
    listed = f": {name_some(sorted(files), MAX_FILES_NAMED)}" if files else ""
    return f"{len(files):,} files ({about}{format_size(sum(files.values()))}){listed}"


def show_host_outlook(terminal: Terminal, name: str, there: Collection[str], version: str) -> None:
    """Show the releases on a host before the new release is known."""
    rows = [("there", ", ".join(there) or "no release")]
    if version in there:
        text = f"{version} is there already, and stays: only the same content can be published as it"
        rows.append(("note", text))
    terminal.title(f"{name}: known once the release is built")
    terminal.table(rows)


def show_access(terminal: Terminal, access: Sequence[Problem]) -> None:
    """Show what would keep a run from writing, which a plan does not need to."""
    if access:
        terminal.note("Planning needs no right to write. A run as you are now would be refused:")
        terminal.problems(access)


def show_build(terminal: Terminal, build: Plan | None, previous: PreviousRelease | None) -> None:
    """Show what becomes of data files and rows, beside the previous release."""
    if build is None or build.changes is None or previous is None:
        return
    changes = build.changes
    terminal.title(f"Since {previous.manifest.version}")
    terminal.grid(
        ("rows", *RowChanges.model_fields),
        [(name, *rows.model_dump().values()) for name, rows in changes.rows.items()],
    )
    _show_edits(terminal, build)
    states = Counter((shard.config, shard.state) for shard in build.shards)
    configs = list(dict.fromkeys(shard.config for shard in build.shards))
    terminal.grid(
        ("data files", *ShardState),
        [(name, *(states[name, state] for state in ShardState)) for name in configs],
    )
    told = [shard for shard in build.shards if shard.state in (ShardState.REWRITTEN, ShardState.REMOVED)]
    for shard in told[:MAX_SHARDS_SHOWN]:
        size = f" ({format_size(shard.num_bytes)})" if shard.num_bytes else ""
        terminal.line(f"  {shard.state} {shard.config} {shard.split}-{shard.number:05d}{size}: {shard.why}")
    if len(told) > MAX_SHARDS_SHOWN:
        terminal.line(f"  … and {len(told) - MAX_SHARDS_SHOWN:,} more")
    written = sum(
        shard.num_bytes for shard in build.shards if shard.state in (ShardState.NEW, ShardState.REWRITTEN)
    )
    columns = [*(f"+{name}" for name in changes.new_columns), *(f"-{name}" for name in changes.lost_columns)]
    least = next_version(previous.manifest.version, changes.bump)
    terminal.table(
        [
            (
                "to send",
                f"files with {format_size(written)} of images; hosts that know their parts take less",
            ),
            ("version", f"this is a {changes.bump} change by Croissant's rule: {least} or later"),
            *([("columns", ", ".join(columns))] if columns else []),
            *([("lost", ", ".join(changes.lost_configs))] if changes.lost_configs else []),
        ]
    )


def note_widespread_edits(terminal: Terminal, build: Plan) -> None:
    """Point out each column in which most rows of the previous release are edited."""
    for edit in build.edits:
        if edit.is_widespread:
            terminal.note(
                f"{edit.config}.{edit.column} is edited in {edit.num_rows:,} of {edit.num_kept:,} rows that "
                f"the previous release has, too, such as {edit.key}: {edit.before} → {edit.after}"
            )


def _show_edits(terminal: Terminal, build: Plan) -> None:
    """Show in which columns rows of the previous release are edited, with an example of each."""
    if not build.edits:
        return
    terminal.grid(
        ("edited column", "such as", "rows", "of"),
        [
            (
                f"{edit.config}.{edit.column}",
                f"{edit.key}: {edit.before} → {edit.after}",
                edit.num_rows,
                edit.num_kept,
            )
            for edit in build.edits
        ],
        num_texts=2,
    )


def show_release(
    terminal: Terminal,
    folder: Path,
    rejected: Path,
    manifest: Manifest,
    published: Published,
) -> None:
    """Show what there is now, and where.

    Args:
        terminal: Where to show it.
        folder: The release.
        rejected: The folder of the tables of rejected rows.
        manifest: The release's.
        published: What came of the hosts.
    """
    num_bytes = sum(entry.num_bytes for entry in manifest.all_files)
    rows = [
        ("configs", ", ".join(manifest.configs)),
        ("files", f"{len(manifest.all_files) + 1:,} ({format_size(num_bytes)})"),
        ("manifest", manifest.digest),
        ("folder", str(folder)),
    ]
    if all_rejected(manifest.counts):
        rows.append(("rejected rows", str(rejected / f"{manifest.version}.parquet")))
    for receipt in published.receipts:
        rows += [(receipt.target, receipt.url), (f"{receipt.target} revision", receipt.revision)]
    title = (
        "Released"
        if published.is_new
        else "Nothing to do, this version is there already with the same content"
    )
    title = "Released, but not everywhere" if published.problems else title
    terminal.title(f"{title}: {manifest.inputs.dataset.name} {manifest.version}")
    terminal.counts(manifest.counts)
    terminal.table(rows)


def show_loading(terminal: Terminal, folder: Path, manifest: Manifest, published: Published) -> None:
    """Show the lines that load what has been published, to be copied."""
    terminal.line(
        f'from datasets import load_dataset; load_dataset({json.dumps(str(folder))}, split="train")'
    )
    for receipt in published.receipts:
        if line := HOSTS[receipt.target].loading_line(manifest.inputs.dataset, manifest.version):
            terminal.line(line)


def plan_result(
    plan: TargetPlan,
    inputs: Inputs,
    counts: Mapping[Table, Counts],
    build: Plan | None,
    hosts: Mapping[str, SavedHost],
) -> ReleaseResult:
    """Return what a plan comes to, for `--json`."""
    return ReleaseResult(
        dataset=inputs.dataset.name,
        version=inputs.version,
        is_plan=True,
        is_new=plan.action is not Action.KEEP or any(host.steps for host in hosts.values()),
        folder=Path(plan.url),
        counts=counts,
        hosts={name: _planned_host(host) for name, host in hosts.items()},
        **_changes(inputs, build),
    )


def release_result(
    folder: Path, manifest: Manifest, published: Published, build: Plan | None
) -> ReleaseResult:
    """Return what a run comes to, for `--json`."""
    return ReleaseResult(
        dataset=manifest.inputs.dataset.name,
        version=manifest.version,
        is_plan=False,
        is_new=published.is_new,
        folder=folder,
        manifest_sha256=manifest.digest,
        configs=tuple(manifest.configs),
        num_files=len(manifest.all_files) + 1,
        num_bytes=sum(entry.num_bytes for entry in manifest.all_files),
        counts=manifest.counts,
        receipts=published.receipts,
        **_changes(manifest.inputs, build),
    )


def _changes(inputs: Inputs, build: Plan | None) -> dict[str, Any]:
    changes = build.changes if build is not None else None
    return {
        "previous": inputs.previous.version if inputs.previous is not None else None,
        "bump": changes.bump if changes is not None else None,
        "rows": changes.rows if changes is not None else {},
        "edited_columns": changes.edited_columns if changes is not None else {},
    }


def _planned_host(host: SavedHost) -> PlannedHost:
    return PlannedHost(
        steps=host.steps,
        is_exact=host.is_exact,
        num_add=len(host.add),
        add_bytes=sum(host.add.values()),
        num_keep=len(host.keep),
        num_remove=len(host.remove),
    )


def all_rejected(counts: Mapping[Table, Counts]) -> Mapping[str, int]:
    """Add up the rejected rows of all tables: reason → rows."""
    return sum((Counter(count.rejected) for count in counts.values()), Counter[str]())

"""A release run, from the settings to the hosts; `publish/release.py` reads its flags.

The steps are those of `release()`: settings → sources → plan → build → check → folder → hosts.
"""

import argparse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from builders.card.notes import dataset_changelog, parse_citation
from builders.catalog import Catalog
from builders.catalog.private_texts import list_texts
from builders.catalog.reader import Fetch, SourceReader, digest_rules
from builders.features.encoder import Encoder, EncoderLoader
from builders.features.encoding import Features
from builders.features.store import FEATURES_NAME, FeatureStore
from builders.files import write_whole
from builders.images.checked import CHECKED_NAME, CheckedImages
from builders.images.known_files import KNOWN_FILES_NAME, KnownFiles
from builders.parallel import IN_THREADS, Execution
from builders.pipeline import Notes, Plan, build_release, describe_inputs, expect_manifest, plan_build
from builders.release.previous import PreviousRelease
from builders.release.rejected import write_rejected
from builders.sources.exclusions import read_exclusions
from builders.sources.intake import Source
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from publish.clusters import EXECUTORS, THREADS, Folders
from publish.hosts.folder import FolderTarget
from publish.hosts.protocol import Action, TargetPlan
from publish.hosts.publishing import (
    Hosts,
    Published,
    not_ready,
    open_hosts,
    publish,
    read_states,
    refuse_held,
    without_repeats,
)
from publish.run import decide
from publish.run.command import host_options
from publish.run.encoders import make_loaders, open_encoders
from publish.run.history import find_previous, find_releases
from publish.run.report import (
    all_rejected,
    note_widespread_edits,
    plan_result,
    release_result,
    show_access,
    show_build,
    show_host_outlook,
    show_host_plan,
    show_kept,
    show_loading,
    show_plan,
    show_problems,
    show_release,
)
from publish.run.saved_plan import SavedHost, SavedPlan, read_plan, save_host, write_plan
from publish.run.settings import Flags, Settings, load_settings, open_sources
from publish.run.terminal import Terminal
from publish.run.workspace import open_scratch, open_workspace
from schemas.configs import Table
from schemas.generators import generators_with
from schemas.manifest import MANIFEST_NAME, Counts, Inputs, Manifest, Receipt, SourceEntry
from schemas.problems import KitError, Problem, Reason, ReleaseError, SettingsError

RECEIPTS, REJECTED, FETCHED = "receipts", "rejected", "fetched"


def release(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the main job: settings → sources → plan → build → check → folder → hosts.

    Returns:
        Exit status.

    Raises:
        KitError: Something is wrong that the user can correct; all problems of a stage at once.
    """
    version, out, base = options.version, options.out, options.config.parent
    settings = load_settings(options.config, _flags(options))
    _refuse(decide.refuse_output_in_sources(settings.source_paths(base), out), SettingsError)
    notes = _read_notes(settings, options.config, version)
    _refuse(decide.refuse_withdrawn(notes.changelog, version))
    saved = read_plan(options.apply, version) if options.apply else None
    folder, hosts = FolderTarget(out), open_hosts(settings, out, host_options(options, terminal))
    unready = list(not_ready(hosts))
    _refuse(() if options.previous else decide.refuse_respelled(version, find_releases(out)))
    follows = find_previous(out, version, options.previous, of_sample=settings.has_sample)
    previous = follows.release
    with _open_workplace(options) as place, closing(_open_catalog(place.folder, settings, notes)) as catalog:
        work = place.folder
        sources, encoders, entries = _read_sources(options, settings, catalog, previous, place, terminal)
        notes = replace(notes, notices=tuple(source.notice for source in sources if source.notice))
        content = settings.content_with({name: encoder.provenance for name, encoder in encoders.items()})
        inputs = describe_inputs(version, content, entries, notes, follows.entry, repack=options.repack)
        plan = folder.plan(inputs)
        is_there = plan.action is Action.KEEP
        counts = catalog.counts()
        missing = list(decide.miss_changes(notes.changelog, version, is_for_host=bool(hosts)))
        show_problems(terminal, catalog, counts, () if hosts else missing)
        refusals = [*plan.problems, *(missing if hosts else ()), *(() if options.plan else unready)]
        refusals += _row_refusals(catalog, counts, is_strict=options.strict)
        if plan.action is Action.ADD and not options.plan:
            write_rejected(catalog, out / REJECTED / f"{version}.parquet")
        build = _plan_build(terminal, catalog, inputs, previous) if not refusals and not is_there else None
        refusals += _history_refusals(previous, build, inputs, allow_bump=options.allow_bump)
        if options.plan:
            show_plan(terminal, plan, counts, catalog.images.num_bytes())
            show_build(terminal, build, previous)
            found = _plan_hosts(terminal, hosts, out / version, build)
            terminal.give(plan_result(plan, inputs, counts, build, found.hosts))
            _refuse(without_repeats([*refusals, *found.problems]))
            show_access(terminal, without_repeats([*unready, *found.access]))
            _save_plan(terminal, options.plan, inputs, build, found.hosts, is_built=is_there)
            return 0
        _refuse(without_repeats(refusals))
        confirm = _keep_to_plan(options.apply, saved, inputs, hosts, out / version if is_there else None)
        if build is None:
            manifest = _check_again(terminal, plan, work)
        else:
            manifest = _build(terminal, catalog, build, notes, encoders, place)
            _place(folder, work / version, manifest)
        _write_receipts(out / RECEIPTS, folder.receipt(manifest))
        published = publish(hosts, manifest, out / version, terminal, confirm)
        _write_receipts(out / RECEIPTS, *published.receipts)
    published.is_new |= build is not None
    _show(terminal, out, manifest, published, build, previous)
    return 0


def _flags(options: argparse.Namespace) -> Flags:
    """Return what the command line says of the settings."""
    return Flags(
        sfhq=options.sfhq,
        images=options.images,
        generator=options.generator,
        captions=options.captions,
        preferences=options.preferences,
        to=options.to,
        executor=options.on,
    )


def _show(
    terminal: Terminal,
    out: Path,
    manifest: Manifest,
    published: Published,
    build: Plan | None,
    previous: PreviousRelease | None,
) -> None:
    """Show a finished run; raise what kept a host from being published to."""
    place = out / manifest.version
    terminal.give(release_result(place, manifest, published, build))
    show_release(terminal, place, out / REJECTED, manifest, published)
    show_build(terminal, build, previous)
    show_loading(terminal, place, manifest, published)
    terminal.problems(published.warnings)
    _refuse(published.problems)


def _read_notes(settings: Settings, path: Path, version: str) -> Notes:
    """Read and check citation, changelog and exclusions before any work; `path` is that of the settings."""
    texts, problems, base = list[str](), list[Problem](), path.parent
    for name in (settings.release.citation, settings.release.changelog):
        try:
            texts.append((base / name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            message = f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
            fix = "correct release.citation or release.changelog"
            problems.append(Problem(Reason.NOTES, message, file=name, fix=fix))
    if problems:
        raise SettingsError(problems)
    parse_citation(texts[0])
    listed = settings.release.exclusions
    exclusions = read_exclusions(base / listed) if listed is not None else None
    notes = Notes(citation=texts[0], changelog=texts[1], exclusions=exclusions)
    _refuse(decide.refuse_secrets(_own_texts(path, settings, notes, version)), SettingsError)
    return notes


def _own_texts(
    path: Path, settings: Settings, notes: Notes, version: str
) -> Iterator[tuple[str, str | None, str]]:
    """Yield the maintainer's texts, which card and manifest repeat: file, key of the settings, and text."""
    for key, text in list_texts(settings):
        yield str(path), key, text
    yield settings.release.citation, None, notes.citation
    yield settings.release.changelog, None, dataset_changelog(notes.changelog, version)


def _open_catalog(work: Path, settings: Settings, notes: Notes) -> Catalog:
    return Catalog(
        work / "catalog.sqlite",
        settings.build.splits,
        notes.exclusions,
        generators_with(settings.generators),
        settings.privacy,
    )


@dataclass(slots=True)
class _Workplace:
    """Where a run works, and what does the work.

    Attributes:
        folder: Its folder, as an absolute path, since other machines may read it.
        stack: Ends what was started.
        execution: Threads, until others are started.
        loaders: Config of features → what loads its encoder on other machines.
    """

    folder: Path
    stack: ExitStack
    execution: Execution = IN_THREADS
    loaders: Mapping[str, EncoderLoader] = field(default_factory=dict)

    def start(self, settings: Settings, base: Path, encoders: Mapping[str, Encoder]) -> None:
        """Start or find what does the work, once it is known that there is work."""
        kind = EXECUTORS[settings.run.executor]
        folders = Folders(self.folder, settings.source_paths(base))
        self.execution = self.stack.enter_context(kind.open(folders))
        if not self.execution.images.shares_memory:
            self.loaders = make_loaders(settings, base, encoders)


@contextmanager
def _open_workplace(options: argparse.Namespace) -> Iterator[_Workplace]:
    """Make the folder where a run works; remove it afterwards, and end what does the work."""
    folder = open_scratch() if options.plan else open_workspace(options.out, options.version)
    with folder as work, ExitStack() as stack:
        yield _Workplace(work.absolute(), stack)


def _read_sources(
    options: argparse.Namespace,
    settings: Settings,
    catalog: Catalog,
    previous: PreviousRelease | None,
    place: _Workplace,
    terminal: Terminal,
) -> tuple[Sequence[Source], Mapping[str, Encoder], tuple[SourceEntry, ...]]:
    """Open sources and encoders, and read every source into the catalog; a plan leaves nothing of that."""
    work, base = place.folder, options.config.parent
    if settings.run.executor != THREADS:
        base = base.absolute()  # other machines have other current folders
    sources = open_sources(settings, base, work)
    encoders = open_encoders(settings, base, sources)  # what is wrong is told before reading
    place.start(settings, base, encoders)
    fetched, scratch = work if options.plan else options.out.absolute(), work / "embedded"
    scratch.mkdir()
    with (
        terminal.progress() as track,
        _open_fetch(options.fetch_images, fetched, settings) as fetch,
        _open_checked(options, settings, previous) as checked,
    ):
        execution = replace(place.execution, track=track)
        reader = SourceReader(catalog, settings.build, scratch, execution, fetch, checked)
        return sources, encoders, reader.read(sources)


@contextmanager
def _open_checked(
    options: argparse.Namespace, settings: Settings, previous: PreviousRelease | None
) -> Iterator[CheckedImages]:
    """Yield what earlier runs know: files that are not read again, and images that are not decoded again."""
    is_read_only, rules = bool(options.plan), digest_rules(settings.privacy)
    with (
        KnownFiles(
            options.out / KNOWN_FILES_NAME, rules, is_read_only=is_read_only, reads_again=options.read_again
        ) as files,
        CheckedImages(options.out / CHECKED_NAME, files, is_read_only=is_read_only) as checked,
    ):
        if previous is not None:
            previous.verify()
            checked.learn(previous.image_facts())
        yield checked


@contextmanager
def _open_fetch(wanted: bool, folder: Path, settings: Settings) -> Iterator[Fetch | None]:
    """Yield what downloads images, into a folder that later runs use again; nothing unless it is wanted."""
    if not wanted:
        yield None
        return
    from publish.providers.images_by_url import ImageFetcher  # noqa: PLC0415 - only this has a network

    with ImageFetcher(folder / FETCHED, settings.build.max_image_bytes) as fetcher:
        yield fetcher


def _plan_build(
    terminal: Terminal, catalog: Catalog, inputs: Inputs, previous: PreviousRelease | None
) -> Plan:
    """Plan the build, and note what may be a mistake in the sources before anything is written."""
    build = plan_build(catalog, inputs, previous)
    note_widespread_edits(terminal, build)
    return build


def _row_refusals(catalog: Catalog, counts: Mapping[Table, Counts], *, is_strict: bool) -> Iterator[Problem]:
    yield from decide.refuse_unknown_generators(catalog.ledger.unknown_generators())
    if is_strict:
        yield from decide.refuse_rejected_rows(all_rejected(counts))


def _history_refusals(
    previous: PreviousRelease | None, build: Plan | None, inputs: Inputs, *, allow_bump: bool
) -> Iterator[Problem]:
    if previous is None or build is None or build.changes is None:
        return
    yield from decide.refuse_previous(previous, inputs)
    if not allow_bump:
        yield from decide.refuse_bump(previous, inputs.version, build.changes.bump)


def _refuse(problems: Iterable[Problem], error: type[KitError] = ReleaseError) -> None:
    if listed := tuple(problems):
        raise error(listed)


def _build(
    terminal: Terminal,
    catalog: Catalog,
    build: Plan,
    notes: Notes,
    encoders: Mapping[str, Encoder],
    place: _Workplace,
) -> Manifest:
    """Build the release in the folder where this run works, and check it before it goes anywhere."""
    work = place.folder
    folder = work / build.inputs.version
    needs_store = build.inputs.features or build.inputs.near_duplicates
    with (
        terminal.progress() as track,
        FeatureStore(work.parent / FEATURES_NAME if needs_store else None) as store,
    ):
        features, execution = Features(store, encoders, place.loaders), replace(place.execution, track=track)
        built = build_release(folder, catalog, build, notes, features, execution)
    _check(terminal, folder, work, built.kept)
    return built.manifest


def _place(target: FolderTarget, built: Path, manifest: Manifest) -> None:
    target.upload(built, manifest)
    _refuse(target.verify(manifest))


def _check(terminal: Terminal, folder: Path, scratch: Path, verified: Collection[str] = ()) -> None:
    terminal.note("checking every file and image, and loading every config with `datasets`")
    with terminal.progress() as track:
        _refuse(check_release(folder, scratch, track, verified))


def _check_again(terminal: Terminal, plan: TargetPlan, scratch: Path) -> Manifest:
    """Check a release that is in the folder already: it may go to hosts now."""
    show_kept(terminal, plan)
    _check(terminal, Path(plan.url), scratch)
    return read_manifest(Path(plan.url))


def _keep_to_plan(
    path: Path, saved: SavedPlan | None, inputs: Inputs, hosts: Hosts, folder: Path | None
) -> Callable[[Mapping[str, str]], None] | None:
    """Refuse where something has changed since a plan was saved; give what refuses it later on, too.

    Args:
        path: Where the plan lies.
        saved: The plan; nothing is refused without one.
        inputs: What the release is built from.
        hosts: Where it is to go.
        folder: The release, if it is built.
    """
    if saved is None:
        return None

    def confirm(states: Mapping[str, str]) -> None:
        _refuse(decide.refuse_changes(path, saved, inputs, hosts, states))

    confirm(read_states(hosts, read_manifest(folder) if folder is not None else None))
    return confirm


def _write_receipts(folder: Path, *receipts: Receipt) -> None:
    folder.mkdir(exist_ok=True)
    for receipt in receipts:
        path = folder / f"{receipt.version}.{receipt.target}.json"
        if not path.is_file() or path.read_bytes() != receipt.to_json():
            write_whole(path, receipt.to_json())


@dataclass(slots=True)
class _PlannedHosts:
    """What would be done to each host, and the reasons against it; see `HostPlan`."""

    hosts: dict[str, SavedHost] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    access: list[Problem] = field(default_factory=list)


def _plan_hosts(terminal: Terminal, hosts: Hosts, folder: Path, build: Plan | None) -> _PlannedHosts:
    """Show what would be done to each host, as exactly as it is known.

    Args:
        terminal: Where to show it.
        hosts: By name.
        folder: Where the release is or will be.
        build: What will be built, if anything can be.
    """
    found = _PlannedHosts()
    is_built = (folder / MANIFEST_NAME).is_file()
    manifest = read_manifest(folder) if is_built else expect_manifest(build) if build is not None else None
    for name, host in hosts.items():
        try:
            there, state = host.releases(), host.state()
            found.problems += refuse_held(name, there, folder.name)
            if manifest is None or (not is_built and folder.name in there):
                # What it is to be compared with is not known.
                show_host_outlook(terminal, name, there, folder.name)
                found.hosts[name] = save_host(state, None, is_exact=False)
                continue
            plan = host.plan(manifest, folder if is_built else None)
        except ReleaseError as error:
            found.problems += error.problems
            continue
        show_host_plan(terminal, plan, is_built=is_built)
        found.hosts[name] = save_host(state, plan, is_exact=is_built)
        found.problems += plan.problems
        found.access += plan.access
    return found


def _save_plan(
    terminal: Terminal,
    path: Path | Literal[True],
    inputs: Inputs,
    build: Plan | None,
    hosts: Mapping[str, SavedHost],
    *,
    is_built: bool,
) -> None:
    """Write a plan where a file is given for it."""
    if path is True:
        return
    changes = build.changes if build is not None else None
    plan = SavedPlan(
        inputs=inputs,
        is_built=is_built,
        bump=changes.bump if changes else None,
        rows=changes.rows if changes else {},
        hosts=hosts,
    )
    write_plan(path, plan)
    terminal.note(f"The plan is in {path}; do exactly this with --apply {path}")

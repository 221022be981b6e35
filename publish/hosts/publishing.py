"""Publishing to hosts: each is given a release from its folder, whatever becomes of the others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import SystemRandom
from typing import Any, Protocol

from publish.hosts import HOSTS
from publish.hosts.protocol import Action, Held, Host, HostOptions, HostPlan, HostTable, Watcher
from publish.hosts.refusals import withdrawn
from schemas.manifest import Manifest, Receipt
from schemas.problems import KitError, Problem, Reason, ReleaseError, Severity
from schemas.settings import DatasetSettings

Hosts = Mapping[str, Host[Any]]
NUM_SAMPLED = 5  # files that are read back from a host, beside the manifest
_MAX_READ_WHOLE_BYTES = 32_000_000  # a release of this size is read back whole


class HostChoice(Protocol):
    """Which hosts a release goes to; `publish.run.settings.Settings` is one."""

    @property
    def dataset(self) -> DatasetSettings:
        """What the maintainer says of the dataset."""
        ...

    @property
    def host_tables(self) -> Mapping[str, HostTable]:
        """Table of each host that is chosen, by the host's name."""
        ...


class Screen(Protocol):
    """Where a run is shown; `publish.run.terminal.Terminal` is one."""

    def note(self, text: str) -> None:
        """Tell what is going on."""
        ...

    def transfer(self) -> AbstractContextManager[Watcher]:
        """Show how far a host is."""
        ...


@dataclass(slots=True)
class Published:
    """What came of publishing.

    Attributes:
        receipts: Of each host that holds the release now, verified.
        problems: Of those that do not.
        warnings: What is worth knowing of those that do.
        is_new: Whether anything was to be done.
    """

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    is_new: bool = False


def open_hosts(settings: HostChoice, out: Path, options: HostOptions) -> Hosts:
    """Make every host that the settings name, in the order in which they are written to; ask nothing.

    Hosts where only one of two runs can win come first: the other run stops there.
    """
    tables = settings.host_tables
    return {
        name: HOSTS[name].open(settings.dataset, tables[name], out, options)
        for name in sorted(tables, key=lambda name: not HOSTS[name].is_atomic)
    }


def not_ready(hosts: Hosts, *, beside: bool = True) -> Iterator[Problem]:
    """Name what keeps a run from writing to any of the hosts, whatever the release.

    Args:
        hosts: By name.
        beside: Whether the run must be able to write what goes beside a release, too.
    """
    for host in hosts.values():
        yield from host.ready(beside=beside)


def plan_hosts(
    hosts: Hosts, manifest: Manifest, folder: Path
) -> tuple[Mapping[str, HostPlan], Sequence[Problem]]:
    """Look at every host, changing nothing.

    Returns:
        The plans of those that can be asked, by name, and every reason against any of them.
    """
    plans: dict[str, HostPlan] = {}
    problems: list[Problem] = []
    for name, host in hosts.items():
        try:
            problems += refuse_held(name, host.releases(), manifest.version)
            plans[name] = host.plan(manifest, folder)
        except ReleaseError as error:
            problems += error.problems
        else:
            problems += plans[name].problems
    return plans, problems


def refuse_held(name: str, there: Mapping[str, Held], version: str) -> Iterator[Problem]:
    """Refuse a version that a host says is withdrawn, wherever it was to go.

    Args:
        name: The host.
        there: What it holds.
        version: The version.
    """
    if version in there and there[version].withdrawn:
        yield withdrawn(version, name, there[version].withdrawn)


def read_states(hosts: Hosts, manifest: Manifest | None = None) -> Mapping[str, str]:
    """Ask every host for its state; leave out those that hold a release already, whole or not.

    Raises:
        ReleaseError: Some do not say; all of them at once.
    """
    states: dict[str, str] = {}
    problems: list[Problem] = []
    for name, host in hosts.items():
        try:
            held = host.releases().get(manifest.version) if manifest is not None else None
            if held is None or manifest is None or held.manifest_sha256 != manifest.digest:
                states[name] = host.state()
        except ReleaseError as error:
            problems += error.problems
    if problems:
        raise ReleaseError(without_repeats(problems))
    return states


def publish(
    hosts: Hosts,
    manifest: Manifest,
    folder: Path,
    screen: Screen,
    confirm: Callable[[Mapping[str, str]], None] | None = None,
) -> Published:
    """Give each host what it lacks of a release; one that fails keeps none of the others from being done.

    Where another run was first on a host that lets one win, the hosts that would let both win are left out.

    Args:
        hosts: By name.
        manifest: The release's.
        folder: The release, checked.
        screen: Where to show how far it is.
        confirm: Is given the state of each host before anything is written, and raises where it must not be;
            then each host's plan is kept to exactly.

    Returns:
        What came of each.

    Raises:
        ReleaseError: A host refuses the release; then nothing has been written to any.
    """
    plans, problems = plan_hosts(hosts, manifest, folder)
    problems = [*problems, *(problem for plan in plans.values() for problem in plan.access)]
    if problems:
        raise ReleaseError(without_repeats(problems))
    if confirm is not None:
        confirm(read_states(hosts, manifest))
    published = Published(is_new=any(plan.action is not Action.KEEP for plan in plans.values()))
    ahead: str | None = None  # where another run was first
    for name, host in hosts.items():
        if ahead is not None and plans[name].action is not Action.KEEP:
            published.problems.append(_behind(manifest.version, ahead, name))
            continue
        try:
            warnings, is_first = _publish_to(
                host, plans[name], manifest, folder, screen, exact=confirm is not None
            )
            published.warnings += warnings
            ahead = ahead if is_first else name
            published.receipts.append(host.receipt(manifest))
            with screen.transfer() as watcher:
                host.accompany(manifest, watcher)
        except KitError as error:
            published.problems += error.problems
        except OSError as error:  # of this machine: the hosts' own are problems
            place = getattr(error, "filename", None) or str(folder)
            message = f"publishing to {name} ended: {error.strerror or type(error).__name__}"
            fix = "fix this, and run the same command again"
            published.problems.append(
                Problem(Reason.RELEASE, message, file=str(place), fix=fix, code="run/system")
            )
    return published


def _publish_to(
    host: Host[Any], plan: HostPlan, manifest: Manifest, folder: Path, screen: Screen, *, exact: bool
) -> tuple[Sequence[Problem], bool]:
    """Publish to one host.

    Returns:
        The warnings, and whether no other run was first.

    Raises:
        ReleaseError: What is there is not the release.
    """
    is_first = True
    if plan.action is not Action.KEEP:
        screen.note(f"{plan.target}: {', '.join(plan.steps)}")
        with screen.transfer() as watcher:
            is_first = host.upload(folder, manifest, plan, watcher, exact=exact)
    screen.note(f"{plan.target}: comparing what is there with the manifest, and reading some of it back")
    warnings = _refuse_differences(host.verify(manifest))
    with screen.transfer() as watcher:
        _refuse_differences(host.read_back(manifest, sample_paths(manifest, plan.target), watcher))
    host.finish(manifest)
    return warnings, is_first


def _behind(version: str, ahead: str, name: str) -> Problem:
    """Return why a run stops: another one may be publishing to a host that would let both win."""
    message = f"another run has put release {version} on {ahead} while this one was working"
    fix = f"wait until that run has ended, and run the same command again: it may be publishing to {name} now"
    return Problem(Reason.RELEASE, message, file=name, fix=fix, code="host/moved")


def _refuse_differences(problems: Sequence[Problem]) -> Sequence[Problem]:
    if differences(problems):
        raise ReleaseError(problems)
    return problems


def differences(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that make a release unsound; warnings do not."""
    return [problem for problem in problems if problem.severity is not Severity.WARNING]


def sample_paths(manifest: Manifest, target: str) -> list[str]:
    """Choose files to read back from a host: the manifest, and others at random.

    Another sample each time, so that many runs see all. A small release is read whole.
    """
    *others, own = manifest.entries_for(target)
    if sum(entry.num_bytes for entry in others) > _MAX_READ_WHOLE_BYTES:
        others = SystemRandom().sample(others, min(NUM_SAMPLED, len(others)))
    return [own.path, *(entry.path for entry in others)]


def without_repeats(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Leave out what has been said: some things are found out both before and after a build."""
    return tuple(dict.fromkeys(problems))

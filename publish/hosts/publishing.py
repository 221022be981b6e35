"""Publishing to hosts: each is given a release from its folder, whatever becomes of the others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from publish.hosts import HOSTS
from publish.hosts.protocol import Action, Held, Host, HostPlan, HostTable, Watcher
from publish.hosts.refusals import withdrawn
from schemas.manifest import Manifest, Receipt
from schemas.problems import KitError, Problem, Reason, ReleaseError
from schemas.settings import DatasetSettings

Hosts = Mapping[str, Host[Any]]


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
        is_new: Whether anything was to be done.
    """

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_new: bool = False


def open_hosts(settings: HostChoice, out: Path) -> Hosts:
    """Make every host that the settings name; nothing is asked yet."""
    return {
        name: HOSTS[name].open(settings.dataset, table, out) for name, table in settings.host_tables.items()
    }


def not_ready(hosts: Hosts) -> Iterator[Problem]:
    """Name what keeps a run from writing to any of the hosts, whatever the release."""
    for host in hosts.values():
        yield from host.ready()


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
    """Return each host what it lacks of a release; one that fails keeps none of the others from being done.

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
    for name, host in hosts.items():
        try:
            published.receipts.append(
                _publish_to(host, plans[name], manifest, folder, screen, exact=confirm is not None)
            )
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
) -> Receipt:
    if plan.action is not Action.KEEP:
        screen.note(f"{plan.target}: {', '.join(plan.steps)}")
        with screen.transfer() as watcher:
            host.upload(folder, manifest, plan, watcher, exact=exact)
    screen.note(f"{plan.target}: comparing what is there with the manifest")
    problems = host.verify(manifest)
    if problems:
        raise ReleaseError(problems)
    host.finish(manifest)
    return host.receipt(manifest)


def without_repeats(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Leave out what has been said: some things are found out both before and after a build."""
    return tuple(dict.fromkeys(problems))

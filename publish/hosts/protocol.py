"""What a host is: its kind, its plan of a run, and the calls that every host answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from publish.network import TimeLimits
from schemas.configs import Format
from schemas.manifest import Inputs, Manifest, Receipt
from schemas.problems import Problem
from schemas.settings import DatasetSettings


class Action(StrEnum):
    """What a target needs."""

    ADD = "add"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a run would do to one target.

    Attributes:
        target: Its name in `publish.hosts.TARGETS`.
        url: Where the release is or will be.
        action: `KEEP` where it is already there with the same content.
        problems: Every reason for a refusal.
        differences: How what is there differs, where that is no reason.
    """

    target: str
    url: str
    action: Action
    problems: tuple[Problem, ...] = ()
    differences: tuple[str, ...] = ()


class HostPlan(Protocol):
    """What a run would do to one host; each host's own plan may say more."""

    @property
    def target(self) -> str:
        """Its key in `publish.hosts.HOSTS`."""
        ...

    @property
    def url(self) -> str:
        """Where the release is or will be."""
        ...

    @property
    def action(self) -> Action:
        """`KEEP` where all is done."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every reason why it cannot be done that lies in the release, or in what is there."""
        ...

    @property
    def access(self) -> tuple[Problem, ...]:
        """What keeps this user from doing it. Planning needs no right to write."""
        ...

    @property
    def add(self) -> Mapping[str, int]:
        """Files to send, each with its size in bytes."""
        ...

    @property
    def keep(self) -> Mapping[str, int]:
        """Files that are there already."""
        ...

    @property
    def remove(self) -> Mapping[str, int]:
        """Files of the release before that this one lacks."""
        ...

    @property
    def steps(self) -> Sequence[str]:
        """What is to be done, in order."""
        ...

    @property
    def num_requests(self) -> int:
        """Requests that change something, if none has to be repeated."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is worth knowing before."""
        ...


class Watcher(Protocol):
    """Is told how far a host is."""

    def note(self, text: str) -> None:
        """Tell what is going on."""
        ...

    def advance(self, stage: str, done: int, total: int) -> None:
        """Tell how many of a stage's bytes are done."""
        ...


class Unwatched:
    """A watcher that shows nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def advance(self, stage: str, done: int, total: int) -> None:
        """Show nothing."""


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True)
class Held:
    """A release as a host holds it.

    Attributes:
        revision: The host's own name of it: a commit's sha, a number.
        manifest_sha256: Digest of its manifest; None where that cannot be read.
        missing: What has still to happen there, in words; empty if nothing has.
        withdrawn: Why it should not be used, as the host shows it; empty if it does not say so.
        remark: What else is worth knowing, in words.
    """

    revision: str
    manifest_sha256: str | None
    missing: str = ""
    withdrawn: str = ""
    remark: str = ""


P = TypeVar("P", bound=HostPlan)


class Host(Protocol[P]):
    """A place on the network that holds releases. Each call may be made again after any failure."""

    def ready(self, *, beside: bool = True) -> tuple[Problem, ...]:
        """Return what prevents every write there: credentials, rights, names.

        Args:
            beside: Whether to count what prevents writing what goes beside a release.
        """
        ...

    def releases(self) -> Mapping[str, Held]:
        """Return every version that is there.

        Raises:
            ReleaseError: The host does not say.
        """
        ...

    def state(self) -> str:
        """Return the state of the host in one line, which differs after any change that matters to a release.

        Raises:
            ReleaseError: The host does not say.
        """
        ...

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a release from the host itself.

        Raises:
            ReleaseError: The release is not there, or its manifest cannot be read.
        """
        ...

    def plan(self, manifest: Manifest, folder: Path | None = None) -> P:
        """Look at what is there, changing nothing.

        Raises:
            ReleaseError: The host cannot be asked at all.
        """
        ...

    def upload(
        self,
        folder: Path,
        manifest: Manifest,
        plan: P | None = None,
        watcher: Watcher = ...,
        *,
        exact: bool = False,
    ) -> bool:
        """Send what is missing of a checked release; nothing if all is there.

        If `exact`, what is there must be as it was when `plan` was made.

        Returns:
            False where another run has published the release since `plan`, on a host that lets one win.

        Raises:
            ReleaseError: It is refused, or the host did not do it.
        """
        ...

    def verify(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare what is there with the manifest, as far as the host can tell; a warning is no difference.

        Raises:
            ReleaseError: The host does not say.
        """
        ...

    def read_back(
        self, manifest: Manifest, paths: Sequence[str] | None = None, watcher: Watcher = ...
    ) -> tuple[Problem, ...]:
        """Download files, all if no paths are given, and compare their bytes with the manifest.

        Raises:
            ReleaseError: The host does not give them.
        """
        ...

    def finish(self, manifest: Manifest) -> None:
        """Name a release for ever that `verify` has found right; nothing where a host has no such names.

        Raises:
            ReleaseError: The name is taken, or the host did not do it.
        """
        ...

    def accompany(self, manifest: Manifest, watcher: Watcher = ...) -> None:
        """Publish what goes beside a finished release, such as a page that shows it; nothing on most hosts.

        Raises:
            ReleaseError: It is not there; the release is published all the same.
        """
        ...

    def verify_beside(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare what `accompany` has published with what it should be; nothing on most hosts.

        Raises:
            ReleaseError: The host does not say.
        """
        ...

    def withdraw(self, version: str, reason: str) -> bool:
        """Mark a release as withdrawn where people look; nothing is removed.

        Returns:
            Whether it was not said before.

        Raises:
            ReleaseError: The release is not there, or the host did not do it.
        """
        ...

    def receipt(self, manifest: Manifest) -> Receipt:
        """Return the receipt of a release.

        Raises:
            ReleaseError: It is not there.
        """
        ...


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the flags of a command say of all hosts.

    Attributes:
        times: Time limits, with the command's `--patience`.
        note: Shows a line about a host that is silent; may be called from another thread.
        waits: Whether to stay until a request without an answer is decided.
        trusts_rights: Whether to go on where a host does not say if this user may write there.
    """

    times: TimeLimits = field(default_factory=TimeLimits)
    note: Callable[[str], object] = UNWATCHED.note
    waits: bool = False
    trusts_rights: bool = False


class HostTable(BaseModel):
    """A host's table in `release.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each of the host's rules that the table breaks; `column` is its key."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKind:
    """What the kit knows of a host before it is asked.

    Attributes:
        name: Its key in `publish.hosts.HOSTS`, as `--to` takes it.
        title: Its name for people.
        settings_key: Its table in `release.toml`.
        settings: The model of that table.
        formats: Formats that it takes.
        default_formats: Formats that it is given where the settings do not say.
        keeps_tars: Whether a tar that is sent stays a tar.
        is_atomic: Whether of two runs that write at once only one can win: such hosts are written to first.
        open: Makes the host from the dataset's settings, its own table, the output folder and the run's
            options; asks nothing.
        loading_line: Returns the Python line that loads a version from there; empty if there is none.

    Raises:
        ValueError: The capabilities contradict each other.
    """

    name: str
    title: str
    settings_key: str
    settings: type[HostTable]
    formats: tuple[Format, ...]
    default_formats: tuple[Format, ...]
    keeps_tars: bool
    is_atomic: bool
    open: Callable[[DatasetSettings, Any, Path, HostOptions], Host[Any]]
    loading_line: Callable[[DatasetSettings, str], str] = lambda _dataset, _version: ""

    def __post_init__(self) -> None:
        if Format.PARQUET not in self.default_formats:
            raise ValueError(f"host {self.name}: every host is given 'parquet'")
        if not set(self.default_formats) <= set(self.formats):
            raise ValueError(f"host {self.name}: default formats that it does not take")
        if (tars := [each.value for each in self.formats if each.is_tar]) and not self.keeps_tars:
            raise ValueError(f"host {self.name}: takes {', '.join(map(repr, tars))}, and keeps no tars")

    @property
    def needs_table(self) -> bool:
        """Whether nothing can be published there without its table in `release.toml`."""
        return any(field.is_required() for field in self.settings.model_fields.values())

    def why_not(self, wanted: Format) -> str | None:
        """Return why it is not given a format; None if it can be."""
        if wanted in self.formats:
            return None
        if wanted.is_tar and not self.keeps_tars:
            return f"whose tars {self.title} would unpack"
        return f"which {self.title} does not take"


def differences(old: Inputs, new: Inputs) -> Iterator[str]:
    """Yield in words how the inputs of a release differ from those of a build now."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield f"{key}: {_brief(before.get(key))} there, {_brief(after.get(key))} now"


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, list):
        value = {
            str(item.get("name", index)) if isinstance(item, dict) else str(index): item
            for index, item in enumerate(value)
        }
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: item
        for name, nested in value.items()
        for key, item in _flat(nested, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _brief(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"

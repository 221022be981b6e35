"""Plans: what a run would do to each target, known before anything is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from schemas.manifest import Inputs, Manifest, Receipt
from schemas.problems import Problem


class Action(StrEnum):
    """What a target needs."""

    ADD = "add"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a run would do to one target.

    Attributes:
        target: Its key in `publish.targets.TARGETS`.
        url: Where the release is or will be.
        action: `KEEP` where it is already there with the same content.
        problems: Every reason for a refusal.
    """

    target: str
    url: str
    action: Action
    problems: tuple[Problem, ...] = ()


class Target(Protocol):
    """A place that holds releases."""

    def plan(self, inputs: Inputs) -> TargetPlan:
        """Look at what is there, changing nothing."""
        ...

    def upload(self, folder: Path, manifest: Manifest) -> None:
        """Place a checked release, whole or not at all.

        Raises:
            ReleaseError: It cannot be placed, or the version is there already.
        """
        ...

    def verify(self, manifest: Manifest) -> tuple[Problem, ...]:
        """Compare what is there with the manifest, as far as the place can tell."""
        ...

    def receipt(self, manifest: Manifest) -> Receipt:
        """Say where a release is that has been verified."""
        ...


def differences(old: Inputs, new: Inputs) -> Iterator[str]:
    """Say in words how what a release was built from differs from what it would be built from now."""
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

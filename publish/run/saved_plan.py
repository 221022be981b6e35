"""Saved plans: what `--plan FILE` has seen, so that `--apply FILE` does that and nothing else.

A build is deterministic: equal inputs on an equal previous release make equal files. So what a plan stands
for is known from the inputs and from what each host held; the rest of the file is for people.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from builders.files import write_whole
from publish.hosts.protocol import HostPlan
from schemas.manifest import Inputs, RowChanges
from schemas.problems import Problem, Reason, SettingsError, printable
from schemas.versions import Bump

_MAX_BYTES = 100_000_000
_AGAIN = "make a new plan, look at it, and apply that"


# A plan is the inputs and the state of each host, not a file list: the files of an unbuilt release follow
# from its inputs.
class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SavedHost(_Frozen):
    """What a host held, and what would be done to it.

    Attributes:
        state: What was there, as `Host.state` says it.
        is_exact: Whether the release was built; sizes and names of new files are not known before.
        steps: What is to be done, in order.
        add: Files to send, each with its size in bytes.
        keep: Files that are there already.
        remove: Files of the release before that this one lacks.
    """

    state: str
    is_exact: bool = False
    steps: tuple[str, ...] = ()
    add: Mapping[str, int] = {}
    keep: Mapping[str, int] = {}
    remove: Mapping[str, int] = {}


class SavedPlan(_Frozen):
    """What a run would do.

    Attributes:
        inputs: What the release is built from.
        is_built: Whether it was there already.
        bump: What differs from the release before, in a word; None where there is none.
        rows: Config → rows that differ from it.
        hosts: Name → what would be done there.
    """

    inputs: Inputs
    is_built: bool
    bump: Bump | None
    rows: Mapping[str, RowChanges]
    hosts: Mapping[str, SavedHost]


def save_host(state: str, plan: HostPlan | None, *, is_exact: bool) -> SavedHost:
    """Note what a host held and, where it is known, what would be done to it."""
    if plan is None:
        return SavedHost(state=state)
    return SavedHost(
        state=state,
        is_exact=is_exact,
        steps=tuple(map(str, plan.steps)),
        add=dict(plan.add),
        keep=dict(plan.keep),
        remove=dict(plan.remove),
    )


def write_plan(path: Path, plan: SavedPlan) -> None:
    """Write a plan, whole or not at all."""
    text = json.dumps(plan.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode())


def read_plan(path: Path, version: str) -> SavedPlan:
    """Read the plan of a version.

    Raises:
        SettingsError: It cannot be read, is none, or is another version's.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _unusable(path, "the file is too large for a plan")
        plan = SavedPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _unusable(path, f"the plan cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        detail = printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        raise _unusable(path, f"this is not a plan of this version of the kit: {detail}") from error
    if plan.inputs.version != version:
        raise _unusable(path, f"this is a plan for version {plan.inputs.version}, not {version}")
    return plan


def _unusable(path: Path, message: str) -> SettingsError:
    problem = Problem(
        Reason.SETTINGS, message, column="--apply", value=str(path), fix="make one with --plan FILE"
    )
    return SettingsError(problem)

"""What Kaggle was asked for, kept where the next run finds it: so that no release becomes two versions."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from builders.files import write_whole
from publish.hosts.kaggle.access import Limits
from publish.hosts.kaggle.contents import Site
from schemas.manifest import Manifest

ATTEMPTS_NAME = "attempts.json"


class Attempts(BaseModel):
    """How often Kaggle was asked to make a version of a release.

    Attributes:
        num_taken: How often it took the files: it said so, or was seen to process them.
        asked_at: When it was asked, in seconds since 1970, while it is unknown whether it heard; else None.
        above: Number of its newest version when it was asked; 0 where it was asked for a new dataset.
        spoilt: Numbers of its versions from which other bytes came back than were sent.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    num_taken: int = 0
    asked_at: float | None = None
    above: int = 0
    spoilt: tuple[int, ...] = ()

    def doubt_ends(self, limits: Limits) -> float | None:
        """Return when an unanswered request can no longer produce a version; None if none is pending."""
        # A dataset's name is taken once, so that Kaggle refuses a second request for a new one.
        seconds = limits.doubt_seconds if self.above else limits.settle_seconds
        if self.asked_at is None or abs(limits.clock.unix_seconds() - self.asked_at) >= seconds:
            return None
        return self.asked_at + seconds

    def asked(self, limits: Limits, above: int) -> "Attempts":
        """Return what holds from just before Kaggle is asked."""
        return self.model_copy(update={"asked_at": limits.clock.unix_seconds(), "above": above})

    def refused(self) -> "Attempts":
        """Return what holds when Kaggle has said no, or has not heard."""
        return self.model_copy(update={"asked_at": None, "above": 0})

    def taken(self) -> "Attempts":
        """Return what holds when Kaggle has said yes, or is seen to have heard."""
        num_taken = self.num_taken + (self.asked_at is not None)
        return self.model_copy(update={"num_taken": num_taken, "asked_at": None, "above": 0})

    def found_spoilt(self, number: int) -> "Attempts":
        """Return what holds when other bytes than were sent came back from a version."""
        return self.model_copy(update={"spoilt": tuple({*self.spoilt, number})})


def read_attempts(place: Path) -> Attempts:
    """Read what is kept in the folder of a release's upload: nothing where there is none."""
    try:
        return Attempts.model_validate_json((place / ATTEMPTS_NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Attempts()


def write_attempts(place: Path, attempts: Attempts) -> None:
    """Keep it in the folder of a release's upload."""
    write_whole(place / ATTEMPTS_NAME, attempts.model_dump_json().encode())


class Uploads:
    """The uploads that are not done, each in a folder named by its manifest's digest.

    Args:
        state: Holds them; made if missing.
        limits: How long an unanswered request may still produce a version.
    """

    def __init__(self, state: Path, limits: Limits) -> None:
        self._state, self._limits = state, limits

    def place(self, manifest: Manifest) -> Path:
        """Return the folder of a release's upload."""
        return self._state / manifest.digest

    def forget(self, manifest: Manifest) -> None:
        """Remove what is kept of an upload that is done."""
        shutil.rmtree(self.place(manifest), ignore_errors=True)
        with suppress(OSError):  # there is none, or another release's upload is unfinished
            self._state.rmdir()

    def spoilt(self, manifest: Manifest) -> tuple[int, ...]:
        """Return the numbers of the versions that hold other bytes of a release than were sent."""
        return read_attempts(self.place(manifest)).spoilt

    def note_spoilt(self, manifest: Manifest, number: int) -> None:
        """Remember that a version holds other bytes of a release than were sent."""
        place = self.place(manifest)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_attempts(place, read_attempts(place).found_spoilt(number))

    def num_tries(self, site: Site, manifest: Manifest) -> int:
        """Return how often Kaggle was given a release."""
        # Kaggle may list what it could not process, or not.
        return max(len(site.holding(manifest)), read_attempts(self.place(manifest)).num_taken)

    def outlook(self, site: Site) -> str:
        """Return in one sentence what comes after a request without an answer; empty if there is none."""
        if (end := self.doubt(site)) is None:
            return ""
        minutes = max(end - self._limits.clock.unix_seconds(), 0) / 60
        return (
            f"If a version appears by {datetime.fromtimestamp(end, UTC):%H:%M} UTC (in {minutes:.0f} min), "
            "the same command finishes it; after that it asks Kaggle once more"
        )

    def doubt(self, site: Site) -> float | None:
        """Return when an unanswered request for any release can no longer produce a version.

        Returns:
            Seconds since 1970; None if no such request is pending.
        """
        ends = []
        for path in self._state.glob(f"*/{ATTEMPTS_NAME}"):
            attempts = read_attempts(path.parent)
            end = attempts.doubt_ends(self._limits)
            if end is not None and not site.holding_digest(path.parent.name, attempts.above):
                ends.append(end)
        return max(ends, default=None)

"""Time for tests, which only waiting moves."""

from collections.abc import Callable
from dataclasses import dataclass, field

from publish.network import Clock


@dataclass
class FakeTime:
    """What a clock of the kit shows.

    Attributes:
        now: Seconds of the clock.
        unix: Seconds since 1970 when `now` is 0.
        waits: Every wait so far, in seconds.
        on_wait: Is called after each.
    """

    now: float = 0.0
    unix: float = 0.0
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.unix + self.now, self.wait)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.on_wait()

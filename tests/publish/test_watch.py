"""The watch of a stage: what it reports, and when it ends the stage; the time is the tests' own."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from publish.network import (
    Clock,
    RequestError,
    RetryPolicy,
    StalledError,
    TimeLimits,
    Watch,
    longer_patience,
    retry,
)
from tests.publish.fake_time import FakeTime

TIMES = TimeLimits(patience_seconds=300)


@dataclass
class FakeStage(FakeTime):
    """The time of a stage, and the lines that a person sees."""

    now: float = 1000.0
    notes: list[str] = field(default_factory=list)

    def watch(self) -> Watch:
        return Watch("sending files", TIMES, self.notes.append, self.clock)


@pytest.fixture
def fake() -> FakeStage:
    return FakeStage()


class TransientError(RequestError):
    """An error that may pass, with a wait that the server asks for."""

    is_transient = True

    def __init__(self, asked_seconds: float | None = None) -> None:
        super().__init__("not now")
        self.asked_seconds = asked_seconds


def test_silence_is_reported_within_a_minute_with_its_cause_and_its_end(fake: FakeStage) -> None:
    watch = fake.watch()
    watch.await_answer("PUT /lfs/ab")
    watch.begin_try(2, 5)
    for _ in range(59):
        fake.now += 1
        watch.report()
    (note,) = fake.notes
    assert note.startswith(
        "sending files: nothing has moved for 45 s (waiting for PUT /lfs/ab, try 2 of 5); given up at "
    )
    assert note.endswith(", after 5 min")
    fake.now += 31
    watch.report()
    assert "for 90 s" in fake.notes[1]


def test_a_stage_in_which_nothing_moves_is_ended_and_stays_so(fake: FakeStage) -> None:
    watch = fake.watch()
    fake.now += 299
    watch.check()
    fake.now += 1
    with pytest.raises(StalledError, match="sending files was ended: nothing moved for 5 min"):
        watch.check()
    watch.succeed()  # by a thread that was left behind
    with pytest.raises(StalledError):
        watch.check()
    watch.report()
    assert fake.notes == []


def test_a_success_begins_the_count_again(fake: FakeStage) -> None:
    watch = fake.watch()
    for _ in range(10):
        fake.now += 250
        watch.check()
        watch.succeed()
    assert watch.seconds_silent() == 0


def test_bytes_stop_the_count_and_do_not_set_it_back(fake: FakeStage) -> None:
    """A store that takes every byte and never answers is ended like one that takes nothing."""
    watch = fake.watch()
    for _ in range(1000):  # a slow line is no silence
        fake.now += 10
        watch.flow()
    assert watch.seconds_silent() == 0
    for _ in range(3):
        fake.now += 90  # no answer to all that, so it is sent again
        watch.flow()
    assert watch.seconds_silent() == 270
    fake.now += 30
    with pytest.raises(StalledError):
        watch.check()


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Return what keeps a call from returning, as native code can; set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_that_cannot_be_interrupted_is_cancelled_and_left_behind(
    fake: FakeStage, stuck: threading.Event
) -> None:
    cancelled: list[str] = []

    def move_time() -> float:
        fake.now += 100
        return fake.now

    watch = Watch("sending files", TIMES, fake.notes.append, Clock(move_time, time.time))
    with watch, pytest.raises(StalledError):
        watch.run(stuck.wait, lambda: cancelled.append("yes"))
    assert cancelled == ["yes"]


def test_a_thread_reports_while_the_stage_waits_for_something_else() -> None:
    reported = threading.Event()
    seconds = iter(range(0, 10**6, 20))
    times = TimeLimits(patience_seconds=10**6)
    with Watch("loading", times, lambda _: reported.set(), Clock(lambda: next(seconds))):
        assert reported.wait(60)


def test_what_a_call_returns_or_raises_comes_through(fake: FakeStage) -> None:
    watch = fake.watch()
    assert watch.run(lambda: 7) == 7
    for error in (ValueError("a bug"), TimeoutError("of its own"), KeyboardInterrupt()):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            watch.run(fail)
        assert caught.value is error


def test_a_thread_that_outlives_its_stage_can_do_nothing_more(fake: FakeStage) -> None:
    with fake.watch() as watch:
        watch.check()
    with pytest.raises(StalledError):
        watch.check()


def test_a_wait_that_a_server_asks_for_is_reported_before_it_begins(fake: FakeStage) -> None:
    watch, errors = fake.watch(), [TransientError(120)]

    def call() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert retry(call, RetryPolicy(tries=3, jitter_seconds=0), fake.clock, 10**6, watch) == "done"
    assert fake.notes == ["sending files: the server asks to wait 120 s, try 1 of 3"]
    assert watch.seconds_silent() == 120


def test_a_wait_longer_than_the_patience_ends_the_tries_at_once(fake: FakeStage) -> None:
    watch = fake.watch()

    def call() -> str:
        raise TransientError(350)

    with pytest.raises(TransientError) as caught:
        retry(call, RetryPolicy(tries=3, jitter_seconds=0), fake.clock, 10**6, watch)
    assert caught.value.needs_patience
    assert (fake.now, fake.notes) == (1000, [])


def test_who_waits_is_told_how_to_wait_for_longer() -> None:
    assert longer_patience(TimeLimits()).endswith("add --patience 10 to wait for longer")

"""What a person sees: results on stdout; progress, problems and errors on stderr."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from builders.parallel import Track
from schemas.problems import KitError, Problem, SettingsError, Severity

if TYPE_CHECKING:  # `--help` imports this module, and these load pyarrow
    from schemas.configs import Table
    from schemas.manifest import Counts

T = TypeVar("T")
MAX_PROBLEMS_SHOWN = 20
_WIDE = 10_000  # a pipe or a file gets whole lines
_STYLES = {Severity.BLOCKING: "bold red", Severity.REJECTED: "yellow", Severity.WARNING: "cyan"}


class _Speed(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class Transfer:
    """Shows how far a host is: a bar of bytes for each stage, and what is worth telling."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, dict[str, TaskID]()

    def note(self, text: str) -> None:
        """Tell what is going on."""
        self._bars.console.print(escape(text), soft_wrap=True)

    def advance(self, stage: str, done: int, total: int) -> None:
        """Show how many of a stage's bytes are done."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(escape(stage), total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)


class Terminal:
    """Writes to a person, or to the pipe or file that stands in for one."""

    def __init__(self) -> None:
        self._out, self._err = Console(highlight=False), Console(stderr=True, highlight=False)
        for console in (self._out, self._err):
            if not console.is_terminal:
                console.width = _WIDE

    @contextmanager
    def progress(self) -> Iterator[Track]:
        """Yield a `Track` that shows bars on a terminal, and nothing elsewhere."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._err, disable=not self._err.is_terminal) as bars:

            def track(items: Iterable[T], stage: str, total: int | None) -> Iterator[T]:
                task = bars.add_task(escape(stage), total=total)
                for item in items:
                    yield item
                    bars.advance(task)
                bars.update(task, total=bars.tasks[bars.task_ids.index(task)].completed)

            yield track

    @contextmanager
    def transfer(self) -> Iterator[Transfer]:
        """Yield a `Transfer` that shows bars on a terminal, and notes everywhere."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._err, disable=not self._err.is_terminal) as bars:
            yield Transfer(bars)

    def problems(self, problems: Iterable[Problem], total: int | None = None) -> None:
        """Show problems, the first of them in full.

        Args:
            problems: What to show.
            total: How many there are, where `problems` is only the beginning.
        """
        listed = list(problems)
        for problem in listed[:MAX_PROBLEMS_SHOWN]:
            style = _STYLES[problem.severity]
            code = escape(f"[{problem.code}]")
            text = f"[{style}]{problem.severity}[/] {escape(str(problem))} [dim]{code}[/]"
            self._err.print(text, soft_wrap=True)
        hidden = (total or len(listed)) - MAX_PROBLEMS_SHOWN
        if hidden > 0:
            self._err.print(f"… and {hidden:,} more", style="dim")

    def note(self, text: str) -> None:
        """Tell what is going on."""
        self._err.print(escape(text), soft_wrap=True)

    def title(self, text: str) -> None:
        """Begin a table of results."""
        self._out.print(escape(text), style="bold", soft_wrap=True)

    def counts(self, counts: "Mapping[Table, Counts]") -> None:
        """Show where the input rows of each table went: one line each, and why some were rejected."""
        rows = [
            (table, count.read, count.published, sum(count.rejected.values()), count.num_rows)
            for table, count in counts.items()
        ]
        self.grid(("", "read", "published", "rejected", "rows made"), rows)
        for head, kinds in (("rejected", "rejected"), ("noted", "warnings")):
            total: Counter[str] = sum(
                (Counter(getattr(count, kinds)) for count in counts.values()), Counter()
            )
            if total:
                self.table([(head, format_counts(total))])

    def grid(self, heads: Sequence[str], rows: Iterable[tuple[str | int, ...]]) -> None:
        """Show numbers in columns under heads; the first column names the line."""
        first, *others = heads
        line = "".join(f"{head:>11}" for head in others)
        self._out.print(f"  {first:<12}{line}", style="cyan", soft_wrap=True)
        for name, *numbers in rows:
            cells = "".join(f"{number:>11,}" for number in numbers)
            self._out.print(f"  [cyan]{name:<12}[/]{cells}", soft_wrap=True)

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show results as a table of names and values."""
        width = max([12, *(len(name) for name, _ in rows)])
        for name, value in rows:
            self._out.print(f"  [cyan]{escape(name):<{width}}[/]  {escape(value)}", soft_wrap=True)

    def line(self, text: str) -> None:
        """Show one line of results as it is, to be copied."""
        self._out.print(text, markup=False, soft_wrap=True)


def guard(
    terminal: Terminal,
    command: Callable[[], int],
    *,
    place: Path | str = "reading",
    stopped: str = "Stopped; nothing was changed.",
    advice: str = "",
) -> int:
    """Run a command that can be run again; show every error as a sentence, never as a traceback.

    Args:
        terminal: Where to show errors.
        command: Returns the exit status.
        place: Where an error of the disk happened, if it does not name a file itself.
        stopped: What to show after Ctrl-C.
        advice: What to do after an error of the disk.

    Returns:
        Exit status: the command's own, 1 after an error, 2 for wrong settings, 130 after Ctrl-C.
    """
    try:
        return command()
    except KitError as error:
        terminal.problems(error.problems)
        return 2 if isinstance(error, SettingsError) else 1
    except (OSError, sqlite3.OperationalError) as error:  # a full disk, a missing permission
        where = getattr(error, "filename", None) or place
        terminal.note(f"{where}: {getattr(error, 'strerror', None) or error}")
        if advice:
            terminal.note(advice)
        return 1
    except KeyboardInterrupt:
        terminal.note(stopped)
        return 130


def format_counts(counts: Mapping[str, int]) -> str:
    """Write counts by kind in one line: `3 image missing, 1 bad config`."""
    return ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items())


def format_size(num_bytes: int) -> str:
    """Write a size in decimal units, as file managers and the hosts do."""
    return decimal(num_bytes)

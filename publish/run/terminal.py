"""What a person sees: results on stdout; progress, problems and errors on stderr."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

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
from rich.table import Table as RichTable
from rich.text import Text

from builders.parallel import Track
from schemas.problems import Problem, Severity

if TYPE_CHECKING:  # `--help` imports this module, and these load pyarrow
    from publish.run.results import Result
    from schemas.configs import Table
    from schemas.manifest import Counts

T = TypeVar("T")
MAX_PROBLEMS_SHOWN, MAX_PROBLEMS_IN_JSON = 20, 10_000
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


class Making:
    """Shows how many images are made, and what they have cost."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars, self._task = bars, bars.add_task("making images", total=total, money="")

    def note(self, text: str) -> None:
        """Tell what is going on."""
        self._bars.console.print(escape(text), soft_wrap=True)

    def advance(self, spent_usd: float) -> None:
        """Count one more request, and show what the folder has cost up to now."""
        self._bars.update(self._task, advance=1, money=f"${spent_usd:,.2f}")


class Terminal:
    """Writes to a person, or to the pipe or file that stands in for one.

    Args:
        as_json: Whether stdout gets one JSON document in place of tables; stderr is the same.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._out = Console(highlight=False, quiet=as_json)
        self._err = Console(stderr=True, highlight=False)
        self._as_json = as_json
        self._result: Result | None = None
        self._problems: list[Problem] = []
        self._num_problems = 0
        for console in (self._out, self._err):
            if not console.is_terminal:
                console.width = _WIDE

    def give(self, result: "Result") -> None:
        """Take what the command came to; `--json` writes it."""
        self._result = result

    def finish(self, command: str, status: int) -> None:
        """Write the JSON document, if one is wanted."""
        if self._as_json:
            from publish.run.results import write_document  # noqa: PLC0415 - --help must load no library

            left_out = self._num_problems - len(self._problems)
            sys.stdout.write(write_document(command, status, self._result, self._problems, left_out) + "\n")

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

    @contextmanager
    def making(self, total: int, *, is_paid: bool) -> Iterator["Making"]:
        """Yield a `Making` that shows a bar of images with the money spent; nothing without a terminal."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            *([TextColumn("{task.fields[money]}")] if is_paid else [_Speed()]),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self._err, disable=not self._err.is_terminal) as bars:
            yield Making(bars, total)

    def most_problems(self, shown: int = MAX_PROBLEMS_SHOWN) -> int:
        """Return how many problems of one kind are wanted, where only `shown` are shown."""
        return MAX_PROBLEMS_IN_JSON if self._as_json else shown

    def problems(
        self,
        problems: Iterable[Problem],
        total: int | None = None,
        *,
        shown: int = MAX_PROBLEMS_SHOWN,
        kind: str = "",
    ) -> None:
        """Show problems, the first of them in full.

        Args:
            problems: What to show.
            total: How many there are, where `problems` is only the beginning.
            shown: How many to show in full.
            kind: What they have in common, in a word.
        """
        listed = list(problems)
        total = max(total or 0, len(listed))
        self._num_problems += total
        self._problems += listed[: MAX_PROBLEMS_IN_JSON - len(self._problems)]
        for problem in listed[:shown]:
            style = _STYLES[problem.severity]
            code = escape(f"[{problem.code}]")
            text = f"[{style}]{problem.severity}[/] {escape(str(problem))} [dim]{code}[/]"
            self._err.print(text, soft_wrap=True)
        hidden = total - min(shown, len(listed))
        if hidden > 0:
            self._err.print(f"… and {hidden:,} more{f' with {kind}' if kind else ''}", style="dim")

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

    def grid(
        self, heads: Sequence[str], rows: Iterable[tuple[str | int, ...]], *, num_texts: int = 1
    ) -> None:
        """Show a table under heads.

        Args:
            heads: One for each column.
            rows: Cells; numbers get thousands separators.
            num_texts: How many columns, counted from the left, hold text; the others are numbers.
        """
        table = _table(header_style="cyan")
        for number, head in enumerate(heads):
            is_text = number < num_texts
            table.add_column(
                Text(head),
                justify="left" if is_text else "right",
                style="cyan" if number == 0 else "",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else cell) for cell in row))
        self._show(table)

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show results as a table of names and values."""
        table = _table(show_header=False)
        table.add_column(style="cyan", no_wrap=True, min_width=12)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name), Text(value))
        self._show(table)

    def _show(self, table: RichTable) -> None:
        with self._out.capture() as capture:
            self._out.print(table)
        for line in capture.get().splitlines():  # cells are padded, which a pipe or a file has no use for
            self._out.out(line.rstrip(), highlight=False)

    def line(self, text: str) -> None:
        """Show one line of results as it is, to be copied."""
        self._out.print(text, markup=False, soft_wrap=True)


def _table(**options: Any) -> RichTable:
    return RichTable(box=None, pad_edge=True, padding=(0, 1), **options)


def format_counts(counts: Mapping[str, int]) -> str:
    """Write counts by kind in one line: `3 image missing, 1 bad config`."""
    return ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items())


def format_size(num_bytes: int) -> str:
    """Write a size in decimal units, as file managers and the hosts do."""
    return decimal(num_bytes)

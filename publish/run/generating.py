"""Make images from prompts; `publish/generate.py` reads the flags."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from builders.generation.image_folder import WORK, ImageFolder
from builders.generation.image_requests import PlannedImage, plan_images
from builders.generation.journal import Journal
from builders.generation.making import ImageMaker, MakingOptions, Step
from builders.generation.request_journal import State, states_to_send
from publish.network import TimeLimits
from publish.providers.images import PROVIDERS, ProviderOptions, open_provider
from publish.run.generation_settings import (
    CODE,
    GenerationSettings,
    Job,
    read_key,
    refuse_spending,
    resolve_all,
)
from publish.run.results import GenerationPlan, GenerationPlans, GenerationResult, GenerationResults
from publish.run.settings import load_settings
from publish.run.terminal import Terminal, format_counts
from publish.run.workspace import lock_output
from schemas.generators import Generator
from schemas.problems import KitError, Problem, Reason, SettingsError, name_some

_CONFIG = Path("release.toml")
_MAX_MESSAGES = 5
_INCOMPLETE = (State.PLANNED, State.SENT, State.FAILED, State.UNCERTAIN)
_SECONDS = ((3600, "h"), (60, "min"), (1, "s"))


def generate(options: argparse.Namespace, terminal: Terminal) -> int:
    """Make the images of a file of prompts, or show what that takes.

    Returns:
        0 if every request was delivered or refused, 1 if some failed, are uncertain or are left.

    Raises:
        KitError: A flag, a setting or a prompt is wrong, or the provider lets no request pass.
    """
    table, declared, base = _load(options.config)
    jobs = resolve_all(options, table, declared, base)
    out = jobs[0].out
    if out is None and not options.plan:
        raise SettingsError(_problem("--out", "there is no folder for the images", "give --out my-faces"))
    folder = ImageFolder(out) if out is not None else None
    plans = [
        _plan_first(job, folder, options, terminal, is_checked=number > 0) for number, job in enumerate(jobs)
    ]
    if options.plan or folder is None:
        _show_plans(jobs, plans, terminal)
        return 0
    if problems := list(refuse_spending(zip(jobs, [plan.num_to_send for plan in plans], strict=True))):
        raise SettingsError(problems)
    seconds = 60 * options.patience  # an image may take minutes, and a provider is silent meanwhile
    times = TimeLimits(read_seconds=seconds, patience_seconds=seconds)
    providers = [  # every key is looked for before the first image is paid for
        ProviderOptions(
            job.kind, job.model, read_key(job.kind, job.endpoint), job.endpoint, times, terminal.note
        )
        for job in jobs
    ]
    folder.make()
    results, error = list[GenerationResult](), None
    with lock_output(folder.path / WORK):
        for job, provider_options in zip(jobs, providers, strict=True):
            result, error = _make(provider_options, job, folder, options, terminal)
            results.append(result)
            if len(jobs) > 1:
                terminal.title(_title(job))
            _show(job, result, terminal)
            if error is not None:
                break
    for job in jobs[len(results) :]:
        terminal.note(f"{_title(job)} was not asked for an image: {_title(jobs[len(results) - 1])} failed.")
    terminal.line(f"Next: python publish/release.py --version 1.0 --sfhq {folder.path}")
    terminal.give(results[0] if len(jobs) == 1 else GenerationResults(folder=folder.path, results=results))
    if isinstance(error, SettingsError):
        return 2
    return 0 if error is None and all(map(_is_complete, results)) else 1


def _is_complete(result: GenerationResult) -> bool:
    return not (any(result.plan.states.get(state) for state in _INCOMPLETE) or result.missing)


def _plan_first(
    job: Job, folder: ImageFolder | None, options: argparse.Namespace, terminal: Terminal, *, is_checked: bool
) -> GenerationPlan:
    """Return what is to be done for one generator; nothing is written."""
    path = folder.journal_path if folder is not None and folder.journal_path.is_file() else None
    with Journal(path, is_read_only=path is not None) as journal:
        if folder is not None and path is None:
            journal.adopt(folder.read_records())
        journal.want(_planned(job, options, is_checked=is_checked))
        plan = _plan(job, journal, sends_again=options.send_again)
        elsewhere = journal.made_elsewhere(job.kind.name, job.model)
    for (provider, model), number in elsewhere.items():
        terminal.note(
            f"{number:,} images are there already, by {provider} ({model}); they are not made again."
        )
    return plan


def _make(
    provider_options: ProviderOptions,
    job: Job,
    folder: ImageFolder,
    options: argparse.Namespace,
    terminal: Terminal,
) -> tuple[GenerationResult, KitError | None]:
    """Make the images of one generator, in a folder that no other run has.

    Raises:
        SettingsError: Another run ended meanwhile, and now there is something to pay for.
    """
    with Journal(folder.journal_path, is_durable=job.kind.is_paid) as journal:
        journal.recover(kind.name for kind in PROVIDERS.values() if not kind.is_paid)
        journal.adopt(folder.read_records())
        journal.want(_planned(job, options, is_checked=True))
        journal.plan()
        num_to_send = _plan(job, journal, sends_again=options.send_again).num_to_send
        if problems := list(refuse_spending([(job, num_to_send)])):
            raise SettingsError(problems)
        return _run(provider_options, job, folder, journal, options, terminal)


def _load(path: Path | None) -> tuple[GenerationSettings, tuple[Generator, ...], Path]:
    """Load the settings; there need be none."""
    if path is None and not _CONFIG.is_file():
        return GenerationSettings(), (), Path()
    settings = load_settings(path or _CONFIG)
    declared = tuple(each.generator for each in settings.generators)
    return settings.generation, declared, (path or _CONFIG).parent


def _planned(job: Job, options: argparse.Namespace, *, is_checked: bool = False) -> Iterator[PlannedImage]:
    return plan_images(options.prompts, job.generator.name, job.settings, job.seed, is_checked=is_checked)


def _run(
    provider_options: ProviderOptions,
    job: Job,
    folder: ImageFolder,
    journal: Journal,
    options: argparse.Namespace,
    terminal: Terminal,
) -> tuple[GenerationResult, KitError | None]:
    """Send what is to be sent; return what came of it, and why no request could pass, if so."""
    error: KitError | None = None
    making_options = MakingOptions(
        provider_name=job.kind.name,
        model=job.model,
        price_usd=job.price_usd or 0.0,
        budget_usd=job.budget_usd,
        concurrency=job.concurrency,
        is_remote=job.kind.is_paid,
        sends_again=options.send_again,
    )
    with closing(open_provider(provider_options)) as provider:
        maker = ImageMaker(folder, journal, provider, making_options)
        num_fetched = maker.finish_last_run()
        plan = _plan(job, journal, sends_again=options.send_again)
        with terminal.making(plan.num_to_send, is_paid=job.kind.is_paid) as bar:

            def tell(step: Step) -> None:
                bar.advance(step.spent_usd)

            try:
                maker.run(tell, bar.note)
            except KitError as caught:  # what was made before is shown, too
                error = caught
    end = _plan(job, journal, sends_again=False)
    result = GenerationResult(
        folder=folder.path,
        plan=end,
        refusals=journal.refusals(),
        num_fetched=num_fetched,
        is_over_budget=maker.is_over_budget,
        missing=maker.missing,
    )
    failed, lost = (journal.messages(state, _MAX_MESSAGES) for state in (State.FAILED, State.UNCERTAIN))
    terminal.problems([*(error.problems if error else ()), *_problems(job, result, failed, lost)])
    return result, error


def _plan(job: Job, journal: Journal, *, sends_again: bool) -> GenerationPlan:
    counts = dict(journal.counts())
    if sent := counts.pop(State.SENT, 0):  # by a run that was killed, if none goes on
        state = State.UNCERTAIN if job.kind.is_paid else State.PLANNED
        counts[state] = counts.get(state, 0) + sent
    num_to_send = sum(counts.get(state, 0) for state in states_to_send(sends_again=sends_again))
    seconds = journal.usual_seconds(job.generator.name, job.kind.name) or job.usual_seconds
    return GenerationPlan(
        generator=job.generator.name,
        provider=job.kind.name,
        model=job.model,
        num_prompts=sum(counts.values()),
        states={state.value: counts[state] for state in State if state in counts},
        num_to_send=num_to_send,
        price_usd=job.price_usd,
        cost_usd=None if job.price_usd is None else num_to_send * job.price_usd,
        spent_usd=journal.spent_usd(),
        seconds=None if seconds is None else num_to_send * seconds / job.concurrency,
    )


def _show_plans(jobs: Sequence[Job], plans: Sequence[GenerationPlan], terminal: Terminal) -> None:
    for job, plan in zip(jobs, plans, strict=True):
        if len(jobs) > 1:
            terminal.title(_title(job))
        _show_plan(job, plan, terminal)
    if len(jobs) == 1:
        terminal.give(plans[0])
        return
    costs = [plan.cost_usd for plan in plans]
    cost_usd = None if None in costs else sum(cost for cost in costs if cost is not None)
    num_to_send = sum(plan.num_to_send for plan in plans)
    terminal.title("All generators")
    rows = [("to make", f"{num_to_send:,}")]
    if any(job.kind.is_paid for job in jobs):
        rows.append(("cost", "not known" if cost_usd is None else _usd(cost_usd)))
    terminal.table(rows)
    terminal.give(GenerationPlans(plans=plans, num_to_send=num_to_send, cost_usd=cost_usd))


def _title(job: Job) -> str:
    """Name a generator with its settings: two jobs may differ in these alone."""
    settings = ", ".join(f"{name}={value}" for name, value in job.settings.items())
    return f"{job.generator.name} ({settings})" if settings else job.generator.name


def _show_plan(job: Job, plan: GenerationPlan, terminal: Terminal) -> None:
    rows = [("prompts", f"{plan.num_prompts:,}"), ("to make", f"{plan.num_to_send:,}")]
    done = {state: number for state, number in plan.states.items() if state != State.PLANNED}
    if done:
        rows.append(("before", format_counts(done)))
    rows += [("generator", f"{job.generator.title} ({plan.generator})")]
    rows += [("provider", f"{plan.provider}: {plan.model}")]
    settings = ", ".join(f"{name}={value}" for name, value in job.settings.items())
    rows += [("settings", settings or "the provider's own")]
    if job.kind.is_paid:
        price = "not known; give --price" if job.price_usd is None else f"{_usd(job.price_usd)} an image"
        rows.append(("price", price if job.price_usd is None else f"{price} ({job.price_source})"))
        rows.append(("cost", "not known" if plan.cost_usd is None else _usd(plan.cost_usd)))
        rows.append(("spent before", _usd(plan.spent_usd)))
    time = "not known" if plan.seconds is None else f"about {_time(plan.seconds)}"
    rows.append(("time", f"{time}, {job.concurrency} at once"))
    terminal.table(rows)


def _show(job: Job, result: GenerationResult, terminal: Terminal) -> None:
    states, rows = result.plan.states, list[tuple[str, str]]()
    for state in (State.DELIVERED, State.REFUSED, State.FAILED, State.UNCERTAIN):
        number = f"{states.get(state, 0):,}"
        if state is State.REFUSED and result.refusals:
            number += f" ({format_counts(result.refusals)})"
        if state in states or state is State.DELIVERED or job.kind.is_paid:
            rows.append((state.value, number))
    if left := states.get(State.PLANNED, 0):
        rows.append(("left", f"{left:,}"))
    if result.num_fetched:
        rows.append(("fetched", f"{result.num_fetched:,} images of an earlier run"))
    if job.kind.is_paid:
        rows.append(("cost", f"{_usd(result.plan.spent_usd)} in this folder"))
    rows.append(("folder", str(result.folder)))
    terminal.table(rows)


def _problems(
    job: Job, result: GenerationResult, failed: Mapping[str, int], lost: Mapping[str, int]
) -> list[Problem]:
    """Return what keeps a run from being complete."""
    states = result.plan.states
    return [
        *_failed(states.get(State.FAILED, 0), failed),
        *_uncertain(states.get(State.UNCERTAIN, 0), lost),
        *_over_budget(job, result),
        *_missing(result),
    ]


def _failed(number: int, messages: Mapping[str, int]) -> Iterator[Problem]:
    if number:
        message = f"{number:,} requests failed: {_list(messages)}"
        fix = "run the same command again: it sends them again"
        yield Problem(Reason.RELEASE, message, fix=fix, code="run/images-failed")


def _uncertain(number: int, messages: Mapping[str, int]) -> Iterator[Problem]:
    if number:
        message = f"{number:,} requests have no usable answer, and may be charged: {_list(messages)}"
        fix = "see at the provider what was made; --send-again sends them once more, and may pay twice"
        yield Problem(Reason.RELEASE, message, fix=fix, code="run/images-uncertain")


def _list(messages: Mapping[str, int]) -> str:
    return "; ".join(f"{message} ({times:,})" for message, times in messages.items())


def _over_budget(job: Job, result: GenerationResult) -> Iterator[Problem]:
    if result.is_over_budget:
        yield Problem(
            Reason.RELEASE,
            f"the next image would pass the budget; the folder has cost {_usd(result.plan.spent_usd)}",
            column="--budget",
            value=f"{job.budget_usd:g}",
            fix="give a larger one to go on; it counts all that the folder has cost",
            code="run/budget",
        )


def _missing(result: GenerationResult) -> Iterator[Problem]:
    if result.missing:
        names = name_some(result.missing, _MAX_MESSAGES)
        message = f"{len(result.missing):,} images of the table are not in the folder: {names}"
        fix = "put them back; or remove their rows from the table, if they are to stay away"
        folder = str(result.folder)
        yield Problem(Reason.RELEASE, message, file=folder, fix=fix, code="run/images-missing")


def _usd(amount: float) -> str:
    return f"${amount:,.4f}".rstrip("0").rstrip(".") if 0 < amount < 0.1 else f"${amount:,.2f}"


def _time(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _SECONDS if seconds >= size), _SECONDS[-1])
    return f"{max(1, round(seconds / size)):,} {unit}"


def _problem(place: str, message: str, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=place, fix=fix, code=CODE)

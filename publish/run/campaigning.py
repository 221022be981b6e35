"""Make a campaign, and show how one goes; `publish/campaign.py` reads the flags."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from builders.generation.campaign.candidates import (
    CODE,
    Candidate,
    GoldLine,
    find_copies,
    read_candidates,
    read_gold,
)
from builders.generation.campaign.design import (
    MAX_PAIRS_OF_PROMPT,
    ChosenPair,
    choose_pairs,
    count_categories,
    place_sides,
    possible_pairs,
)
from builders.generation.campaign.folder import read_campaign, refuse_existing, write_campaign
from builders.generation.campaign.measuring import CampaignNumbers, Rate, measure_campaign
from builders.generation.campaign.planning import half_width, plan_widths
from builders.generation.campaign.showing import NotShownNumbers, read_reports, sum_up_reports
from builders.generation.campaign.stopping import num_wanted
from builders.generation.campaign.votes_log import read_votes
from publish.run.campaign_results import CampaignPlan, CampaignResult, CampaignStatus
from publish.run.terminal import Terminal
from schemas.campaign import ANSWERS, MAX_GUIDELINES_CHARS, CampaignSettings
from schemas.problems import Problem, Reason, SettingsError, SourceError, suggest

GUIDELINES = """Choose the image that you like better for the text above it.

Look at how well it shows what the text says, and at how real the face looks: eyes, teeth, hair, hands.

If you see no difference, say whether both are good or both are bad. "Unsafe" is for anything sexual, \
violent or hateful: such a pair leaves the collection."""
_SHOWN_ANNOTATORS, _SHOWN_CATEGORIES, _SHOWN_PAIRS = 20, 15, 20


def new(options: argparse.Namespace, terminal: Terminal) -> int:
    """Make a campaign, or show what intervals take.

    Raises:
        KitError: The folder or a flag is wrong.
    """
    if options.out is None and not options.plan:
        raise SettingsError(_problem("there is no folder for the campaign", "--out", "give --out campaign"))
    if options.out is not None:
        refuse_existing(options.out)
    guidelines = _read_guidelines(options.guidelines)
    listed, problems = read_candidates(options.folder)
    copies = find_copies(listed)
    candidates = [candidate for candidate in listed if candidate.name not in copies]
    by_name = {candidate.name: copies.get(candidate.name, candidate) for candidate in listed}
    gold = _read_gold(options.gold, by_name) if options.gold is not None else []
    terminal.problems([*problems, *_copy_problems(listed, copies)])
    pairs = _choose(options, candidates, gold)
    plan = _plan(options, pairs)
    if options.plan:
        _show_plan(plan, terminal)
        terminal.give(plan)
        return 0
    settings = _settings(options, guidelines)
    placed = [*place_sides(pairs, options.seed), *gold]
    campaign = write_campaign(options.out, settings, placed, options.annotators)
    rows = [
        ("campaign", str(options.out)),
        ("pairs", f"{len(pairs):,}"),
        ("categories", f"{len(plan.categories):,}; rates to ± {100 * plan.half_width:.0f} % in the smallest"),
        ("gold pairs", f"{len(gold):,}"),
        ("votes", f"{plan.least_votes:,} to {plan.most_votes:,}, by at most {options.overlap} people a pair"),
        ("links", f"{len(campaign.annotators):,}; `sfhq campaign serve {options.out}` shows them"),
    ]
    terminal.table(rows if gold else [row for row in rows if row[0] != "gold pairs"])
    terminal.give(
        CampaignResult(
            folder=options.out, plan=plan, num_gold=len(gold), num_annotators=len(campaign.annotators)
        )
    )
    return 0


def status(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show how a campaign goes.

    Raises:
        SourceError: A file of it cannot be read.
    """
    campaign = read_campaign(options.campaign)
    votes, torn = read_votes(campaign.votes_path)
    if torn:  # a server may be writing it right now
        terminal.note("The last line of the votes is not complete, and is not counted.")
    numbers = measure_campaign(campaign.settings, campaign.pairs, votes)
    _show_progress(numbers, len(campaign.annotators), terminal)
    _show_annotators(numbers, terminal)
    _show_next(numbers, terminal)
    reports = read_reports(campaign.not_shown_path)
    not_shown = sum_up_reports(campaign.path, {pair.id: pair for pair in campaign.pairs}, reports)
    _show_not_shown(not_shown, terminal)
    terminal.give(CampaignStatus(folder=options.campaign, numbers=numbers, not_shown=not_shown))
    return 0


def _choose(
    options: argparse.Namespace, candidates: Sequence[Candidate], gold: Sequence[ChosenPair]
) -> list[tuple[Candidate, Candidate]]:
    """Choose the pairs.

    Raises:
        KitError: There are not as many as are asked for, or none at all.
    """
    taken = {_names(pair.first, pair.second) for pair in gold}
    is_taken = dict[str, bool]()  # prompts whose pairs all are gold ones
    for first, second in possible_pairs(candidates, options.seed):
        is_taken[first.prompt] = is_taken.get(first.prompt, True) and _names(first, second) in taken
    if not is_taken:
        message = "no prompt has two different images"
        fix = "make them with several --generator, or --seed, in one folder of `sfhq generate`"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(options.folder), fix=fix, code=CODE))
    if all(is_taken.values()):
        message, fix = "each pair of the folder is a gold pair", "give fewer of them, or make more images"
        raise SettingsError(_problem(message, "--gold", fix, str(options.gold)))
    wanted = options.pairs or list(is_taken.values()).count(False)
    pairs = choose_pairs(candidates, wanted, options.seed, taken)
    if len(pairs) < wanted:
        others = " besides gold ones" if gold else ""
        message = f"the folder has {len(pairs):,} pairs of images with one prompt{others}"
        fix = f"give --pairs {len(pairs)}, or make more images; a prompt has at most {MAX_PAIRS_OF_PROMPT}"
        raise SettingsError(_problem(message, "--pairs", fix, str(wanted)))
    return pairs


def _names(first: Candidate, second: Candidate) -> frozenset[str]:
    return frozenset((first.name, second.name))


def _settings(options: argparse.Namespace, guidelines: str) -> CampaignSettings:
    """Return the settings of the campaign.

    Raises:
        SettingsError: A text is too long.
    """
    try:
        return CampaignSettings(
            name=options.name or options.out.absolute().name,
            seed=options.seed,
            overlap=options.overlap,
            guidelines=guidelines,
            license=options.license,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag = f"--{first['loc'][0]}"
        raise SettingsError(_problem(f"the text is refused: {first['msg']}", flag, "shorten it")) from error


def _read_guidelines(path: Path | None) -> str:
    """Return the guidelines of a file, or the kit's own.

    Raises:
        SettingsError: The file is no text, or too long.
    """
    if path is None:
        return GUIDELINES
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the guidelines cannot be read: {error}"
        raise SettingsError(_problem(message, "--guidelines", "give a text file", str(path))) from error
    if len(text) > MAX_GUIDELINES_CHARS:
        message = f"the guidelines have more than {MAX_GUIDELINES_CHARS:,} characters"
        raise SettingsError(_problem(message, "--guidelines", "shorten them", str(path)))
    return text


def _copy_problems(listed: Sequence[Candidate], copies: Mapping[str, Candidate]) -> list[Problem]:
    fix = "nothing has to be done: pairs have the other one"
    return [
        Problem(
            Reason.DUPLICATE_IMAGE,
            f"the image has the same bytes as {copies[image.name].name}, of the same prompt",
            file=str(image.path),
            fix=fix,
            code=CODE,
        )
        for image in listed
        if image.name in copies
    ]


def _read_gold(path: Path, by_name: Mapping[str, Candidate]) -> list[ChosenPair]:
    """Return the gold pairs of a file.

    Args:
        path: The file.
        by_name: Name in the table → the image that is shown for it.

    Raises:
        SettingsError: Some lines are wrong; all are listed.
    """
    lines, problems = read_gold(path)
    pairs, rows = list[ChosenPair](), dict[frozenset[str], int]()
    for line in lines:
        fault = _find_fault(line, by_name, rows)
        if fault is None:
            first, second = by_name[line.image_1], by_name[line.image_2]
            rows[_names(first, second)] = line.row
            pairs.append(ChosenPair(first, second, "image_1", line.label))
        else:
            message, value, fix = fault
            row = line.row
            problems.append(
                Problem(Reason.SETTINGS, message, file=str(path), row=row, value=value, fix=fix, code=CODE)
            )
    if problems:
        raise SettingsError(sorted(problems, key=lambda problem: problem.row or 0))
    return pairs


def _find_fault(
    line: GoldLine, by_name: Mapping[str, Candidate], rows: Mapping[frozenset[str], int]
) -> tuple[str, str | None, str] | None:
    """Return what is wrong with a gold pair, the value, and what to do; None if it can be asked.

    Args:
        line: The pair.
        by_name: Name in the table → the image that is shown for it.
        rows: Names of the images of earlier gold pairs → row.
    """
    for name in (line.image_1, line.image_2):
        if name not in by_name:
            return "the folder has no such image that may be shown", name, suggest(name, by_name)
    first, second = by_name[line.image_1], by_name[line.image_2]
    if first.prompt != second.prompt or first == second:
        message = "the images have different prompts, or the same content"
        return message, f"{line.image_1} and {line.image_2}", "take two different images of one prompt"
    if line.label not in set(ANSWERS):
        return "there is no such answer", line.label, f"write one of {', '.join(ANSWERS)}"
    if (row := rows.get(_names(first, second))) is not None:
        both = f"{line.image_1} and {line.image_2}"
        return f"the pair is in row {row} already", both, "remove one of the two lines"
    return None


def _plan(options: argparse.Namespace, pairs: Sequence[tuple[Candidate, Candidate]]) -> CampaignPlan:
    categories, overlap = count_categories(pairs), options.overlap
    return CampaignPlan(
        pairs=len(pairs),
        overlap=overlap,
        categories=categories,
        least_votes=len(pairs) * num_wanted({}, overlap),
        most_votes=len(pairs) * overlap,
        half_width=half_width(min(categories.values())),
        widths=plan_widths(categories, overlap),
    )


def _show_plan(plan: CampaignPlan, terminal: Terminal) -> None:
    terminal.title(f"This campaign: {plan.pairs:,} pairs, at most {plan.overlap} people each")
    terminal.grid(
        ("category", "pairs", "interval"),
        [
            (name or "(none)", number, f"± {100 * half_width(number):.1f} %")
            for name, number in plan.categories.items()
        ],
    )
    terminal.title("What an interval of each category takes")
    terminal.grid(
        ("interval", "pairs a category", "pairs in all", "votes, least", "votes, most", "hours, most", ""),
        [
            (
                f"± {100 * each.half_width:.3g} %",
                each.pairs_of_category,
                each.pairs,
                each.least_votes,
                each.most_votes,
                f"{each.hours:,.1f}",
                "reached" if each.is_covered else "",
            )
            for each in plan.widths
        ],
    )
    terminal.line(
        "95 % intervals by Wilson of a rate of 50 %, if every pair is decided. Answers about one pair are no "
        "independent trials, so pairs count. A vote takes 8 s."
    )


def _show_progress(numbers: CampaignNumbers, num_links: int, terminal: Terminal) -> None:
    agreement = "no pair has two answers"
    if numbers.agreement is not None:
        agreement = f"{100 * numbers.agreement:.0f} % of the pairs, by their first two answers"
    done = 100 * numbers.settled / numbers.pairs if numbers.pairs else 100
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in numbers.votes.items()) or "none"
    decisions = {kind: count for kind, count in numbers.decisions.items() if kind != "no_votes"}
    terminal.title(numbers.name)
    terminal.table(
        [
            ("pairs settled", f"{numbers.settled:,} of {numbers.pairs:,} ({done:.0f} %)"),
            ("votes", kinds),
            ("taken back", f"{numbers.undone:,}"),
            ("not needed", f"{numbers.spared:,} votes, as the decision could not change"),
            ("decisions", _listed(decisions)),
            ("agreement", agreement),
            ("annotators", f"{len(numbers.annotators):,} of {num_links:,} links"),
        ]
    )
    if numbers.wins:
        terminal.title("Decided pairs won")
        terminal.grid(
            ("model", "won", "of", "share", "95 % interval"),
            [
                (model, rate.count, rate.total, _share(rate), _span(rate))
                for model, rate in numbers.wins.items()
            ],
        )


def _show_annotators(numbers: CampaignNumbers, terminal: Terminal) -> None:
    if not numbers.annotators:
        return
    terminal.title("Annotators")
    heads = ("annotator", "votes", "same again", "left side", "95 % interval", "same side mirrored", "unsafe")
    rows = []
    for each in islice(numbers.annotators, _SHOWN_ANNOTATORS):
        seconds = "" if each.seconds is None else f"{each.seconds:.1f} s"
        notes = ["favours a side"] * each.is_one_sided
        notes += ["says unsafe far more often than others"] * each.is_often_unsafe
        rows.append(
            (
                *(each.annotator, each.votes, _of(each.consistency), _share(each.left), _span(each.left)),
                *(_of(each.mirrored_side), _share(each.unsafe), _of(each.gold), seconds, ", ".join(notes)),
            )
        )
    terminal.grid((*heads, "gold", "median time", ""), rows)
    if len(numbers.annotators) > _SHOWN_ANNOTATORS:
        terminal.line(f"… and {len(numbers.annotators) - _SHOWN_ANNOTATORS:,} more; --json has all of them.")


def _show_next(numbers: CampaignNumbers, terminal: Terminal) -> None:
    open_ones = [each for each in numbers.categories if each.wanted]
    if not open_ones:
        terminal.line("Every pair is settled. Nothing has to be asked.")
        return
    terminal.title("Worth asking next: the categories with the widest intervals")
    terminal.grid(
        ("category", "settled", "of", "decided", "interval", "votes missing, least"),
        [
            (
                *(each.category or "(none)", each.settled, each.pairs, each.decided),
                *(f"± {100 * each.half_width:.0f} %", each.wanted),
            )
            for each in open_ones[:_SHOWN_CATEGORIES]
        ],
    )


def _show_not_shown(pairs: Sequence[NotShownNumbers], terminal: Terminal) -> None:
    if not pairs:
        return
    terminal.title("Pairs that could not be shown, and were left out")
    rows = [(each.pair, len(each.annotators), each.last, each.problem or "in order") for each in pairs]
    terminal.grid(("pair", "people", "last time", "images now"), rows[:_SHOWN_PAIRS])
    if len(pairs) > _SHOWN_PAIRS:
        terminal.line(f"… and {len(pairs) - _SHOWN_PAIRS:,} more; --json has all of them.")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _share(rate: Rate) -> str:
    return "" if rate.share is None else f"{100 * rate.share:.0f} %"


def _span(rate: Rate) -> str:
    return "" if rate.share is None else f"{100 * rate.low:.0f} to {100 * rate.high:.0f} %"


def _of(rate: Rate) -> str:
    return f"{rate.count:,} of {rate.total:,}" if rate.total else ""


def _problem(message: str, flag: str, fix: str, value: str | None = None) -> Problem:
    return Problem(Reason.SETTINGS, message, column=flag, value=value, fix=fix, code=CODE)

"""Reports about a release; `publish/report.py` reads the flags.

They are computed from the release's files alone, so that anybody can repeat them.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builders.annotator_marks import Estimate
from builders.card.facts.fairness import (
    MIN_IMAGES,
    Comparison,
    FairnessSummary,
    Group,
    Grouping,
    read_accuracy_facts,
    read_fairness_facts,
)
from builders.card.figures.fairness import draw_agreement
from builders.card.labels import labels_of
from builders.card.readme import render_template
from builders.files import real_path, write_whole
from builders.release.reader import ReleaseReader
from builders.sources.captions import CaptionSource
from builders.sources.intake import CaptionInput, SourceOptions
from publish.checks.files import check_files, read_manifest
from publish.report import ATTRIBUTES
from publish.run.results import ReportResult
from publish.run.terminal import Terminal
from schemas.manifest import Manifest
from schemas.problems import Problem, Reason, ReleaseError, SettingsError, Severity, suggest

_HEADS = ("attribute", "model", "by", "lowest", "highest", "ratio", "images", "agree")
_ACCURACY_HEADS = ("attribute", "model", "lowest value", "images", "right")
_READ = ("prompts", "captions")
_OF_DRAWN = "the prompts of drawn images, which show what they are asked to"


def report(options: argparse.Namespace, terminal: Terminal) -> int:
    """Compare, show the result as a table, and write it as Markdown with a figure.

    Raises:
        KitError: The release is none or damaged, has nothing to compare, or the labels cannot be read.
    """
    manifest = read_manifest(options.release)
    folder = real_path(options.release)  # which has a name, also where `.` is given
    out = options.out or folder.with_name(f"{folder.name}-report")
    _refuse_place(folder, out)
    _check(options.release, manifest)
    release = ReleaseReader(options.release, manifest.shards)
    truth = _read_truth(options.truth, release, terminal) if options.truth is not None else None
    is_accuracy = options.kind == ATTRIBUTES
    if is_accuracy:
        facts = read_accuracy_facts(release, truth, options.by)
    else:
        facts = read_fairness_facts(release, options.by)
    if facts is None or not facts.comparisons:
        raise ReleaseError(_nothing(options, facts))
    _refuse_unknown(options.by, facts.attributes)
    errors = _accuracy(release, truth) if truth is not None and not is_accuracy else {}
    name = f"{manifest.inputs.dataset.name} {manifest.version}"
    title = f"{'Accuracy of attribute models' if is_accuracy else 'Asked for and seen'}: {name}"
    terminal.title(title)
    _show(terminal, facts, errors, is_accuracy=is_accuracy)
    out.mkdir(parents=True, exist_ok=True)
    figure, page = f"{options.kind}.png", out / f"{options.kind}.md"
    draw_agreement(out / figure, facts.comparisons, title)
    text = render_template(
        "fairness.md.j2",
        title=title,
        name=name,
        facts=facts,
        figure=figure,
        errors=errors,
        is_accuracy=is_accuracy,
        truth=options.truth.name
        if options.truth
        else "prompts of drawn images, which show what they ask for",
    )
    write_whole(page, text.encode())
    terminal.table([("report", str(page)), ("figure", str(out / figure))])
    terminal.give(
        ReportResult(
            kind=options.kind, version=manifest.version, report=page, figure=out / figure, facts=facts
        )
    )
    return 0


def _refuse_place(release: Path, out: Path) -> None:
    if real_path(out).is_relative_to(real_path(release)):
        message, fix = "a release is never changed, so no report is written into it", "give another folder"
        raise SettingsError(Problem(Reason.SETTINGS, message, file="--out", value=str(out), fix=fix))


def _refuse_unknown(names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse groups of attributes that nothing is asked for of."""
    problems = [
        Problem(
            Reason.SETTINGS,
            "no prompt or label of an image states this attribute",
            column="--by",
            value=name,
            fix=suggest(name, known),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise SettingsError(problems)


def _check(folder: Path, manifest: Manifest) -> None:
    """Compare the files that are read with the manifest, and only the sizes of the others."""
    others = {shard.path for shard in manifest.shards if shard.config not in _READ}
    others |= {entry.path for entry in manifest.files}
    if problems := tuple(check_files(folder, manifest, others)):
        raise ReleaseError(problems)
    if missing := [name for name in _READ if name not in manifest.configs]:
        message = (
            f"the release has no config {' and no config '.join(missing)}, so there is nothing to compare"
        )
        fix = "caption the images with `sfhq caption`, and release them with --captions"
        raise ReleaseError(
            Problem(Reason.RELEASE, message, file=str(folder), fix=fix, code="run/nothing-compared")
        )


def _nothing(options: argparse.Namespace, facts: FairnessSummary | None) -> Problem:
    if facts is not None:
        why = f"fewer than {MIN_IMAGES} images of each attribute"
    elif options.truth is not None:
        why = "no label of the file is of an attribute that a model names"
    elif options.kind == ATTRIBUTES:
        why = "the truth is known of drawn images only"
    else:
        why = "no attribute that a prompt asks for is one that a model names"
    fix = "give labels of your own with --truth" if options.truth is None else "label more images"
    return Problem(
        Reason.RELEASE,
        f"there is nothing to compare: {why}",
        file=str(options.release),
        fix=fix,
        code="run/nothing-compared",
    )


def _read_truth(path: Path, release: ReleaseReader, terminal: Terminal) -> Mapping[str, Mapping[str, str]]:
    """Read image id → attribute → label from a person's labels, whose images are named by file or by id.

    Raises:
        SourceError: The file cannot be read, or is in no form of captions.
        SettingsError: Rows are wrong, or name no image of the release.
    """
    images: dict[str, str] = {}
    for group in release.row_groups("prompts", ("image_id", "file_name")):
        for row in group.to_pylist():
            images |= {row["image_id"]: row["image_id"], row["file_name"]: row["image_id"]}
    found: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for row in CaptionSource(path, path.name, SourceOptions()).rows():
        problems += [problem for problem in row.problems if problem.severity is not Severity.WARNING]
        if not isinstance(row.content, CaptionInput):
            continue
        image_id = images.get(Path(row.name).name)
        if image_id is None:
            problems.append(
                Problem(
                    Reason.SETTINGS,
                    "the release has no image of this name",
                    file=path.name,
                    row=row.row,
                    value=row.name,
                    fix="name it by its file name or its image_id",
                    code="run/truth",
                )
            )
            continue
        said = [(each.attribute, each.value) for each in row.content.text.attributes]
        found.setdefault(image_id, {}).update(labels_of(said))
    if problems:
        raise SettingsError(problems)
    terminal.note(f"{path.name} labels {len(found):,} images")
    return found


def _accuracy(
    release: ReleaseReader, truth: Mapping[str, Mapping[str, str]]
) -> Mapping[tuple[str, str | None], Estimate]:
    """Return how often each model is right about an attribute, on images that a person labelled."""
    facts = read_accuracy_facts(release, truth)
    return {(one.attribute, one.model): one.agreement for one in facts.comparisons} if facts else {}


def _show(
    terminal: Terminal,
    facts: FairnessSummary,
    errors: Mapping[tuple[str, str | None], Estimate],
    *,
    is_accuracy: bool,
) -> None:
    if is_accuracy:
        terminal.grid(_ACCURACY_HEADS, map(_accuracy_row, facts.comparisons), num_texts=3)
    else:
        rows = [_row(one, grouping) for one in facts.comparisons for grouping in one.groupings or (None,)]
        terminal.grid(_HEADS, rows, num_texts=6)
        for line in _lower(facts):
            terminal.note(line)
        terminal.table([*_coverage(facts), *_errors(errors)])


def _row(one: Comparison, grouping: Grouping | None) -> tuple[str | int, ...]:
    ratio = grouping.ratio if grouping is not None else None
    return (
        one.attribute,
        one.model or "not named",
        grouping.name if grouping is not None else "",
        _group(grouping.lowest) if grouping is not None else "too few of each",
        _group(grouping.highest) if grouping is not None and ratio is not None else "",
        f"{ratio:.2f}" if ratio is not None else "",
        one.agreement.total,
        format_estimate(one.agreement),
    )


def _accuracy_row(one: Comparison) -> tuple[str | int, ...]:
    own = next((each for each in one.groupings if each.name == one.attribute), None)
    lowest = _group(own.lowest) if own is not None else "too few of each"
    return (
        one.attribute,
        one.model or "not named",
        lowest,
        one.agreement.total,
        format_estimate(one.agreement),
    )


def _group(group: Group) -> str:
    return f"{group.label} {format_estimate(group.agreement)}"


def _lower(facts: FairnessSummary) -> Iterator[str]:
    """Yield a sentence for each group that is below all others together."""
    for one in facts.comparisons:
        for grouping in one.groupings:
            for group in grouping.groups:
                if group.is_lower:
                    rate, total = format_estimate(group.agreement), group.agreement.total
                    yield (
                        f"{one.attribute} of {grouping.name} {group.label}: prompt and model agree on "
                        f"{rate} of {total:,} images, less than of all others together"
                    )


def _coverage(facts: FairnessSummary) -> Iterator[tuple[str, str]]:
    without = facts.num_prompts - facts.num_with_attributes
    yield "images", f"{facts.num_images:,}, of which {facts.num_prompts:,} have a prompt"
    asked = f"{facts.num_with_attributes:,} prompts have attributes"
    yield (
        "asked for",
        f"{asked}; some were read from the text of {facts.num_read:,} of {max(without, 0):,} others",
    )
    small = sum(one.num_small for one in facts.comparisons)
    yield (
        "left out",
        f"{small:,} groups and {facts.num_small:,} attributes with fewer than {MIN_IMAGES} images",
    )


def _errors(errors: Mapping[tuple[str, str | None], Estimate]) -> Iterator[tuple[str, str]]:
    for (attribute, model), estimate in errors.items():
        name = f"{attribute} by {model or 'a model that is not named'}"
        yield (
            "model alone",
            f"{name} is right on {format_estimate(estimate)} of {estimate.total:,} labelled images",
        )


def format_estimate(estimate: Estimate) -> str:
    """Write a share with its interval: 64.1 % (52.0 to 75.2)."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "unknown"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"

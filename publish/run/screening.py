"""Look for images to leave out of a release; `publish/screen.py` reads the flags.

Sources are read as a release reads them, so that what is proposed is what a release would publish.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from builders.card.figures.features import name_encoder
from builders.features.encoder import Encoder
from builders.features.proposals import (
    judge_images,
    list_set_aside,
    name_of,
    propose_exclusions,
    worst_first,
    write_scores,
)
from builders.features.screening import (
    MIN_PROMPTS,
    Candidate,
    Instruments,
    measure_images,
)
from builders.features.store import FEATURES_NAME, FeatureStore
from builders.files import real_path
from builders.images import faces, safety
from builders.parallel import IN_THREADS
from builders.sources.exclusions import write_exclusions
from publish.run.collection import (
    Collection,
    collection_flags,
    open_collection,
    open_folders,
    refuse_places_in_sources,
)
from publish.run.results import ScreenResult
from publish.run.screen_sheets import SHEETS, draw_sheets
from publish.run.settings import Settings, load_settings
from publish.run.terminal import Terminal
from schemas.features import DEMO_NOTICE
from schemas.problems import Problem, Reason, SettingsError
from schemas.screening import Finding, ScreenedImage, ScreenLimits
from schemas.settings import DuplicateSettings

SCORES_NAME, EXCLUSIONS_NAME = "scores.csv", "exclusions.csv"
_SHOWN = 3
_HEADS = ("finding", "image id", "file name", "why")


@dataclass(frozen=True, slots=True)
class _Screened:
    """What a run found.

    Attributes:
        images: Every image, with findings and scores.
        candidates: Those that a release would publish, by id.
        encoder: What compared images; None if there is none.
        not_checked: What was not looked for → why, and what to do.
    """

    images: Sequence[ScreenedImage]
    candidates: Mapping[str, Candidate]
    encoder: Encoder | None
    not_checked: Mapping[str, str]


def screen(options: argparse.Namespace, terminal: Terminal) -> int:
    """Measure all images, show what was found, and write scores, sheets and proposed exclusions.

    Raises:
        KitError: Settings or a flag are wrong, or a source cannot be read.
    """
    settings = load_settings(options.config, collection_flags(options))
    base = options.config.parent
    out = options.out or Path(f"{_name(options.sources, settings)}-screen")
    cache = options.cache or out
    problems = [*_refuse(options, settings, base, out)]
    if problems:
        raise SettingsError(problems)
    with open_folders(out, cache) as work:
        screened = _screen(options, settings, work, cache, terminal)
        made = work / "made"
        made.mkdir()
        write_scores(made / SCORES_NAME, screened.images)
        with terminal.progress() as track:
            sheets = draw_sheets(made, screened.images, screened.candidates, settings.build, track)
        write_exclusions(made / EXCLUSIONS_NAME, propose_exclusions(screened.images))
        _place(made, out)
    _show(screened, out, [out / name for name in sheets], terminal)
    return 0


def _name(sources: Sequence[Path], settings: Settings) -> str:
    if not sources:
        return settings.dataset.name
    return real_path(sources[0]).stem if sources[0].is_file() else real_path(sources[0]).name


def _refuse(options: argparse.Namespace, settings: Settings, base: Path, out: Path) -> Iterator[Problem]:
    """Refuse to write into a source, and over a list that a person may have edited."""
    yield from refuse_places_in_sources(settings, base, {"--out": out, "--cache": options.cache})
    listed = out / EXCLUSIONS_NAME
    if listed.exists() and not options.overwrite:
        message = "there is a list of exclusions, which may have been edited"
        fix = "give another --out, or --overwrite to replace it"
        yield _problem(message, "--out", str(listed), fix)


def _screen(
    options: argparse.Namespace, settings: Settings, work: Path, cache: Path, terminal: Terminal
) -> _Screened:
    base = options.config.parent
    with terminal.progress() as track, ExitStack() as stack:
        collection = stack.enter_context(open_collection(settings, base, work, cache, track))
        set_aside = list_set_aside(collection.catalog.ledger.rejected())
        limits = _limits(options)
        instruments = Instruments(
            store=stack.enter_context(FeatureStore(cache / FEATURES_NAME)),
            limits=limits,
            duplicates=settings.near_duplicates or DuplicateSettings(),
            build=settings.build,
            encoder=collection.encoder,
            safety=safety.load_safety_model(),
            # The detector knows photographs: of drawn faces it misses some.
            faces=None if collection.are_drawn else faces.load_face_model(),
        )
        measured = measure_images(collection.candidates, instruments, replace(IN_THREADS, track=track))
        return _Screened(
            images=[*judge_images(collection.candidates, measured, limits), *set_aside],
            candidates={one.image_id: one for one in collection.candidates},
            encoder=collection.encoder[1] if collection.encoder else None,
            not_checked=dict(_not_checked(collection, instruments)),
        )


def _limits(options: argparse.Namespace) -> ScreenLimits:
    limits = ScreenLimits()
    if options.max_safety is not None:
        limits = replace(limits, safety=options.max_safety)
    if options.max_better_prompts is not None:
        limits = replace(limits, better_prompts=options.max_better_prompts)
    return limits


def _not_checked(collection: Collection, instruments: Instruments) -> Iterator[tuple[str, str]]:
    """Yield what is not looked for, and what to do."""
    if instruments.safety is None:
        yield "safety", f"not scored: the extra `safety` is not installed; {safety.INSTALL}"
    if collection.are_drawn:
        yield "faces", "not counted: the detector knows photographs, and these faces are drawn"
    elif instruments.faces is None:
        yield "faces", f"not counted: the extra `faces` is not installed; {faces.INSTALL}"
    prompts = {one.prompt for one in collection.candidates if one.prompt is not None}
    if instruments.encoder is None:
        yield "adherence", "not measured: release.toml names no encoder of photographs in [[features]]"
        yield (
            "crops",
            "not looked for: hashes find copies and new sizes, an encoder in [[features]] crops, too",
        )
    elif len(prompts) < MIN_PROMPTS:
        yield "adherence", f"not judged: fewer than {MIN_PROMPTS} different prompts to compare with"


def _place(made: Path, out: Path) -> None:
    """Move finished files to their places, the exclusions last, and remove sheets of an earlier run."""
    names = {path.name for path in made.iterdir()}
    for path in out.glob(SHEETS):
        if path.name not in names:
            path.unlink()
    for name in sorted(names, key=lambda name: (name == EXCLUSIONS_NAME, name)):
        (made / name).replace(out / name)


def _show(screened: _Screened, out: Path, sheets: Sequence[Path], terminal: Terminal) -> None:
    found = Counter(finding for image in screened.images for finding in image.findings)
    proposed = Counter(
        finding for image in screened.images if image.is_proposed for finding in image.findings
    )
    num_proposed = sum(image.is_proposed for image in screened.images)
    terminal.title(f"{len(screened.images):,} images, {num_proposed:,} proposed for exclusion")
    counts = [(finding, found[finding], proposed[finding]) for finding in Finding if found[finding]]
    if counts:
        terminal.grid(("finding", "images", "proposed"), counts)
        terminal.title(f"The worst of each, at most {_SHOWN}")
        terminal.grid(_HEADS, _worst(screened.images), num_texts=len(_HEADS))
    rows = [("scores", str(out / SCORES_NAME)), ("exclusions", str(out / EXCLUSIONS_NAME))]
    rows += [("sheet", str(path)) for path in sheets]
    if screened.encoder is not None:
        provenance = screened.encoder.provenance
        rows.append(("encoder", name_encoder(provenance)))
        if provenance.is_demonstration:
            rows.append(("note", DEMO_NOTICE))
    terminal.table([*rows, *screened.not_checked.items()])
    terminal.give(
        ScreenResult(
            num_images=len(screened.images),
            findings=found,
            num_proposed=num_proposed,
            encoder=screened.encoder.provenance if screened.encoder else None,
            not_checked=screened.not_checked,
            scores=out / SCORES_NAME,
            exclusions=out / EXCLUSIONS_NAME,
            sheets=sheets,
        )
    )


def _worst(images: Sequence[ScreenedImage]) -> Iterator[tuple[str, str, str, str]]:
    for finding in Finding:
        for image in worst_first(images, finding)[:_SHOWN]:
            reason = image.reasons[image.findings.index(finding)]
            yield finding, image.image_id, name_of(image), reason


def _problem(message: str, column: str, value: str, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=column, value=value, fix=fix)

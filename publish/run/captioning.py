"""Say what images show: attribute models, a bag of facts for each image, and a line of a captions file.

`publish/caption.py` reads the flags. The file is a source of releases, and may have other captioners' lines.
"""

import argparse
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from builders.features.attributing import (
    Answer,
    AttributeModel,
    Reading,
    leave_out,
    measure_attributes,
    read_attributes,
)
from builders.features.face_attributes import AGE
from builders.features.screening import Candidate, shown_of
from builders.features.store import FEATURES_NAME, FeatureStore
from builders.features.zero_shot import digest_recipe
from builders.files import open_whole, sync
from builders.generation.ages import ADULT_AGE
from builders.generation.captions import SentenceWriter
from builders.generation.captions.ages import OLDEST, Age, find_ages, read_age
from builders.generation.rules import find_in_prompt, is_young
from builders.parallel import IN_THREADS
from publish.providers.attributes import open_attribute_models
from publish.run.caption_settings import FACES, ZERO_SHOT, AttributeJob, problem, resolve
from publish.run.collection import (
    Collection,
    collection_flags,
    open_collection,
    open_folders,
    refuse_places_in_sources,
)
from publish.run.results import AttributeCounts, CaptionResult
from publish.run.sentence_writing import LLM_FLAGS, open_writer
from publish.run.settings import Settings, load_settings
from publish.run.terminal import Terminal
from schemas.attributes import is_personal, kind_of
from schemas.bags import Bag, Sentence
from schemas.features import DEMO_NOTICE
from schemas.problems import Problem, SettingsError, SourceError, suggest

LANGUAGE = "en"
# An age is estimated with an error of 10 years, so that of a person of 18 may be a range up to this.
_MOST_YEARS_OF_MINOR = 30
_DEFAULT_CAPTIONER, _VERSION = "sfhq-attributes", "1"
_MAX_NAME = 200
_MAX_NAME_IN_VERSION = 100  # a version has at most 200 characters
# Attribute → the noun that its value needs to be understood alone.
_NOUNS = {
    "skin": "skin",
    "hair_color": "hair",
    "hair_style": "hair",
    "eyes": "eyes",
    "eye_color": "eyes",
    "glasses": "glasses",
    "expression": "expression",
    "background": "background",
    "lighting": "lighting",
    "age": "years",
}


@dataclass(frozen=True, slots=True)
class _Identity:
    """A captioner as the file names it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the file has already.

    Attributes:
        lines: The lines to keep, byte for byte.
        done: Images that have a line of this captioner and version.
        num_replaced: Lines of this captioner that go.
        state: Of the file when it was read; None if there was none.
    """

    lines: Sequence[bytes] = ()
    done: frozenset[str] = frozenset()
    num_replaced: int = 0
    state: tuple[int, int, int] | None = None


@dataclass(slots=True)
class _Tally:
    """Counts while lines are written."""

    num_captioned: int = 0
    num_attributes_only: int = 0
    num_without_facts: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    abstained: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def caption(options: argparse.Namespace, terminal: Terminal, writer: SentenceWriter | None = None) -> int:
    """Let attribute models look at all images, and write or extend the file of captions.

    Args:
        options: The flags of `publish.caption`.
        terminal: Shows progress and results.
        writer: Makes sentences in place of the one that the flags name.

    Raises:
        KitError: Settings or a flag are wrong, a source cannot be read, or a model fails.
    """
    settings = load_settings(options.config, collection_flags(options))
    base, out = options.config.parent, options.out
    job = resolve(options, settings.captions, base)
    # A path without a name, such as ".", is refused below.
    cache = options.cache or out.parent / f"{out.stem}-cache"
    if problems := [*_refuse(options, settings, base, cache, job.captioner)]:
        raise SettingsError(problems)
    with open_folders(cache, cache) as work, terminal.progress() as track, ExitStack() as stack:
        collection = stack.enter_context(open_collection(settings, base, work, cache, track))
        models, left_out = _open_models(job, collection, terminal)
        if writer is None and not options.attributes_only:
            writer = stack.enter_context(open_writer(options, out, terminal))
        who = _name(job, models, writer)
        ids = frozenset(one.image_id for one in collection.candidates)
        earlier = _read_earlier(out, who, ids if options.overwrite else frozenset())
        todo = _order(collection, earlier)
        store = stack.enter_context(FeatureStore(cache / FEATURES_NAME))
        execution = replace(IN_THREADS, track=track)
        measure_attributes([shown_of(one) for one in todo], models, store, settings.build, execution)
        tally = _Tally()
        readings = (_read(one, models, store, job, tally) for one in todo)
        lines = _write_lines(readings, who, writer, tally)
        _write(out, earlier, track(lines, "writing captions", len(todo)))
    _show(options, collection, models, left_out, (who, earlier, tally), terminal)
    known = {*tally.answered, *tally.abstained}
    for name in job.thresholds.keys() - known if known else ():
        terminal.note(
            f"The threshold of {name!r} did nothing: no model answers on it; {suggest(name, known)}"
        )
    return 0


def _refuse(
    options: argparse.Namespace, settings: Settings, base: Path, cache: Path, captioner: str | None
) -> Iterator[Problem]:
    out = options.out
    yield from refuse_places_in_sources(settings, base, {"--out": out, "--cache": cache})
    if not out.name or out.suffix != ".jsonl":
        fix = "let the name end in .jsonl: one JSON object a line"
        yield problem("--out", "captions are written as JSON lines", str(out), fix)
    if out.is_dir():
        yield problem("--out", "there is a folder in the way of the file", str(out), "give another --out")
    if captioner is not None and not 0 < len(captioner.strip()) <= _MAX_NAME:
        yield problem("--captioner", f"a name has 1 to {_MAX_NAME} characters", captioner, "shorten it")
    elif captioner is not None and not captioner.isprintable():
        fix = "use characters that can be printed, in UTF-8"
        yield problem("--captioner", "the name has control characters", ascii(captioner), fix)
    if options.attributes_only:
        given = [
            flag for name, flag in LLM_FLAGS.items() if getattr(options, name, None) not in (None, False)
        ]
        for flag in given:
            fix = f"leave out {flag} or --attributes-only"
            yield problem(flag, "there are no sentences to write with --attributes-only", None, fix)


def _open_models(
    job: AttributeJob, collection: Collection, terminal: Terminal
) -> tuple[Sequence[AttributeModel], Mapping[str, str]]:
    """Open the models that fit the images.

    Returns:
        The models, and kind → why it is left out.
    """
    models, left_out = list[AttributeModel](), dict[str, str]()
    encoder = collection.encoder[1] if collection.encoder else None
    for kind, options in job.kinds:
        if kind.name == FACES and collection.are_drawn:
            left_out[FACES] = "left out: its models know photographs, and these faces are drawn"
        elif kind.name == ZERO_SHOT and encoder is None and job.is_default and len(job.kinds) > 1:
            left_out[ZERO_SHOT] = "left out: release.toml names no encoder of photographs in [[features]]"
        else:
            given = replace(options, encoder=encoder, note=terminal.note)
            models += open_attribute_models(kind, given)
    if not models:
        why = "; ".join(f"{name} is {text}" for name, text in left_out.items())
        fix = "name another model with --model"
        raise SettingsError(problem("--model", f"no attribute model is left: {why}", None, fix))
    return models, left_out


def _name(job: AttributeJob, models: Sequence[AttributeModel], writer: SentenceWriter | None) -> _Identity:
    """Name the captioner; its version changes with everything that its lines depend on."""
    made_by = [text for model in models for text in (model.source_model, model.maker, model.recipe)]
    name, version = (writer.captioner, writer.captioner_version) if writer else (_DEFAULT_CAPTIONER, _VERSION)
    recipe = digest_recipe([*made_by, *sorted(job.infer), name, version])
    if job.captioner is not None:  # else the name does not tell which model wrote the line
        version = f"{name[:_MAX_NAME_IN_VERSION]} {version}"
    return _Identity(job.captioner or name, f"{version}+{recipe}")


def _read_earlier(out: Path, who: _Identity, replaced: frozenset[str]) -> _Earlier:
    """Read the lines that are there.

    Args:
        out: The file.
        who: This captioner.
        replaced: Images whose lines by this captioner go.

    Raises:
        SourceError: A line is no JSON object; every such line is named.
    """
    if not out.exists():
        return _Earlier()
    kept, done, problems, num_replaced = list[bytes](), set[str](), list[Problem](), 0
    state = _state(out)
    with out.open("rb") as file:
        for row, line in enumerate(file, 1):
            try:
                said = json.loads(line) if line.strip() else {}
                if not isinstance(said, dict):
                    raise TypeError
            except (ValueError, TypeError, RecursionError):  # the last one: of 100,000 brackets
                fix = "correct the line, or give another --out"
                one = problem("--out", "the file has a line that is no JSON object", None, fix)
                problems.append(replace(one, file=str(out), row=row, column=None))
                continue
            image_id = str(said.get("image_id"))
            if said.get("captioner") == who.name and image_id in replaced:
                num_replaced += 1
                continue
            if said.get("captioner") == who.name and said.get("captioner_version") == who.version:
                done.add(image_id)
            kept.append(line if line.endswith(b"\n") else line + b"\n")
    if problems:
        raise SourceError(problems)
    return _Earlier(kept, frozenset(done), num_replaced, state)


def _order(collection: Collection, earlier: _Earlier) -> list[Candidate]:
    """Return the images that need a line, in the order of the source."""
    known = {one.image_id: one for one in collection.candidates}
    ids = collection.catalog.images.ids_as_read()
    return [known[image_id] for image_id in ids if image_id not in earlier.done]


def _read(
    one: Candidate, models: Sequence[AttributeModel], store: FeatureStore, job: AttributeJob, tally: _Tally
) -> Reading:
    reading = read_attributes(one.image_id, one.sha256, models, store, job.infer)
    reading = leave_out(reading, _unfit_for_minors(reading))
    tally.refused.update(reading.refused)
    for answer in reading.answers:
        counter = tally.abstained if answer.value is None else tally.answered
        counter[answer.attribute] += 1
    return reading


def _unfit_for_minors(reading: Reading) -> frozenset[str]:
    """Return the attributes that are never said of a person who may be under 18, such as a beard."""
    values = {answer.attribute: answer.value for answer in reading.answers if answer.value is not None}
    if not any(_may_be_minor(value) for name, value in values.items() if kind_of(name) == AGE):
        return frozenset()
    return frozenset(
        name
        for name, value in values.items()
        if find_in_prompt(f"a child with {value} {name.replace('_', ' ')}")
    )


def _may_be_minor(value: str) -> bool:
    """Return whether a person of an age, such as 12-25, 10+ or toddler, may be under 18."""
    ages = [age] if (age := read_age(value)) else [each.age for each in find_ages(value)]
    years = [int(number) for number in re.findall(r"\d+", value)]
    if not ages and years:
        ages = [Age(min(years), max(years))]
    if not ages:
        return is_young(value)
    low, high = min(age.low for age in ages), max(age.high for age in ages)
    return low < ADULT_AGE and (high <= _MOST_YEARS_OF_MINOR or high == OLDEST)


def _write_lines(
    readings: Iterator[Reading], who: _Identity, writer: SentenceWriter | None, tally: _Tally
) -> Iterator[bytes]:
    """Yield the line of each image, in order; an image of which nothing is known has none."""
    if writer is None:
        for reading in readings:
            yield from _line(reading, None, who, tally)
        return
    waiting = deque[Reading]()  # a writer may take bags ahead

    def bags() -> Iterator[Bag]:
        for reading in readings:
            waiting.append(reading)
            if reading.bag.facts:
                yield reading.bag

    for sentence in writer.write(bags()):
        while not waiting[0].bag.facts:
            yield from _line(waiting.popleft(), None, who, tally)
        yield from _line(waiting.popleft(), sentence, who, tally)
    while waiting:
        yield from _line(waiting.popleft(), None, who, tally)


def _line(reading: Reading, sentence: Sentence | None, who: _Identity, tally: _Tally) -> Iterator[bytes]:
    attributes = [_record(answer) for answer in reading.answers if answer.value is not None]
    if not attributes:
        tally.num_without_facts += 1
        return
    tally.num_captioned += sentence is not None
    tally.num_attributes_only += sentence is None
    words = [_word(fact.attribute, fact.value) for fact in reading.bag.facts if fact.value != "none"]
    said = {
        "image_id": reading.bag.image_id,
        "caption": sentence.text if sentence else None,
        "language": LANGUAGE if sentence else None,
        "captioner": who.name,
        "captioner_version": who.version,
        "method": sentence.method if sentence else None,
        "instruction": sentence.instruction if sentence else None,
        "attributes": attributes,
        "bag_of_words": words,
    }
    yield json.dumps(said, ensure_ascii=False).encode() + b"\n"


def _record(answer: Answer) -> dict[str, object]:
    """Return an attribute as the file has it; the last key is for people, and a release says it by name."""
    said: dict[str, object] = {
        "attribute": answer.attribute,
        "value": answer.value,
        "confidence": answer.confidence,
        "source_model": answer.source_model,
    }
    return said | ({"inferred_about_a_person": True} if is_personal(answer.attribute) else {})


def _word(attribute: str, value: str) -> str:
    noun = _NOUNS.get(attribute, "")
    return value if not noun or noun in value or value.startswith("side-lit") else f"{value} {noun}"


def _write(out: Path, earlier: _Earlier, lines: Iterable[bytes]) -> None:
    """Write the file whole.

    Raises:
        SourceError: Another program has changed it since it was read.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(out) as path:
        with path.open("wb") as file:
            file.writelines(earlier.lines)
            file.writelines(lines)
        sync(path)
        if (_state(out) if out.exists() else None) != earlier.state:
            fix = "run the same command again; nothing is measured twice"
            one = problem("--out", "the file has changed while captions were made", str(out), fix)
            raise SourceError(one)


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _show(
    options: argparse.Namespace,
    collection: Collection,
    models: Sequence[AttributeModel],
    left_out: Mapping[str, str],
    done: tuple[_Identity, _Earlier, _Tally],
    terminal: Terminal,
) -> None:
    who, earlier, tally = done
    num_images = len(collection.candidates)
    num_kept = sum(one.image_id in earlier.done for one in collection.candidates)
    terminal.title(f"{num_images:,} images, {tally.num_captioned:,} captioned")
    names = [*dict.fromkeys([*tally.answered, *tally.abstained])]
    counts = {
        name: AttributeCounts(
            answered=tally.answered[name], abstained=tally.abstained[name], is_personal=is_personal(name)
        )
        for name in names
    }
    if counts:
        rows = [
            (name, "inferred about a person" if each.is_personal else "", each.answered, each.abstained)
            for name, each in counts.items()
        ]
        terminal.grid(("attribute", "", "answered", "abstained"), rows, num_texts=2)
    table = [("file", str(options.out)), ("captioner", f"{who.name} {who.version}")]
    table += [("model", model.source_model) for model in models]
    table += [*left_out.items()]
    for name, number in (
        ("kept", num_kept),
        ("replaced", earlier.num_replaced),
        ("no sentence", tally.num_attributes_only),
        ("no attribute", tally.num_without_facts),
    ):
        if number:
            table.append((name, f"{number:,} lines" if name != "no attribute" else f"{number:,} images"))
    for name, number in tally.refused.items():
        table.append(("never inferred", f"{name}, answered for {number:,} images, is left out"))
    if collection.encoder and collection.encoder[1].provenance.is_demonstration:
        table.append(("note", DEMO_NOTICE))
    terminal.table(table)
    terminal.give(
        CaptionResult(
            num_images=num_images,
            num_captioned=tally.num_captioned,
            num_attributes_only=tally.num_attributes_only,
            num_without_attributes=tally.num_without_facts,
            num_kept=num_kept,
            num_replaced=earlier.num_replaced,
            attributes=counts,
            captioner=who.name,
            captioner_version=who.version,
            never_inferred=tally.refused,
            models=[model.source_model for model in models],
            left_out=left_out,
            out=options.out,
        )
    )

"""A card states no config, figure, number or citation that it was not given, whatever a release has."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from builders.annotator_marks import Estimate, find_unsafe_annotators, proportion
from builders.card.facts import Facts, GenerationSummary, read_facts
from builders.card.facts.fairness import Comparison, FairnessSummary, Group, Grouping
from builders.card.facts.generation import AskedValue, RequestGroup
from builders.card.figures.drawing import SERIES
from builders.card.figures.inputs import FigureInputs
from builders.card.figures.overview import PROMPTS_PATH, draw_prompts_and_sizes
from builders.card.notes import bibtex, cite_only, parse_citation, release_changelog
from builders.card.provenance import provenance
from builders.card.readme import CardInputs, read_numbers, render_card, true_numbers
from builders.features.near_duplicates import DuplicateSummary
from builders.release.reader import ReleaseReader
from builders.sources.sample import NOTICE
from publish.checks.files import read_manifest
from schemas.configs import CONFIGS, Format, Table
from schemas.duplicates import DuplicateKind
from schemas.features import OF_CAPTIONS
from schemas.manifest import Changes, Counts, PreviousEntry, RowChanges, SplitCounts
from schemas.settings import DuplicateSettings
from tests.builders.card.reading import check_readable, tables_of
from tests.support import ROOT

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARTS = (
    *("captions", "preferences", "binarized", "features", "near-duplicates", "webdataset", "prompts"),
    "generation",
)
# The sample has no requests.
REQUESTS = GenerationSummary(
    total=100,
    num_images=90,
    num_refused=10,
    groups=(
        RequestGroup("FLUX1_schnell", "hf", "a`b|c", 60, 55, 5, 50, 1.5, "2026-11-28", "2026-11-29"),
        RequestGroup("drawn", "drawn", "", 40, 35, 5, 0, 0.0, None, None),
    ),
    refusals={"content_policy_violation": 8, None: 2},
    values=(AskedValue("age group", "a|`b`", 40, 8), AskedValue("sex", "woman", 50, 2)),
    num_values=30,
    num_small=12,
)
FIGURES = (
    "sample.jpg",
    "example.jpg",
    "generators.png",
    "prompts.png",
    "preferences.png",
    "near_duplicates.jpg",
)
HEADINGS = {"captions": "Captions", "preferences": "Preferences", "features": "CLIP features"}
CITED = {"captions": "tarasiou2024", "preferences": "dataisbettertogether2024"}
BIG_NUMBER = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")


@pytest.fixture(scope="module")
def inputs(sample_release: Path) -> CardInputs:
    """Return all that the sample's card was rendered from, with near-duplicates and no figures."""
    manifest = read_manifest(sample_release)
    stated = manifest.inputs
    facts = read_facts(ReleaseReader(sample_release, manifest.shards))
    alike = DuplicateSummary(4, 2, 2, 2, {DuplicateKind.BOTH: 4})
    return CardInputs(
        dataset=stated.dataset,
        version="1.1",
        facts=replace(
            facts,
            near_duplicates=alike,
            generation=REQUESTS,
            splits={**facts.splits, "generation": {"train": SplitCounts(num_rows=100, num_bytes=1000)}},
        ),
        shards=manifest.shards,
        voting=stated.preferences,
        counts={Table(name): count for name, count in manifest.counts.items()},
        notices=(NOTICE,),
        bibtex="",
        changes="",
        previous=None,
        differences=None,
        formats=stated.formats,
        features=stated.features,
        limits=stated.near_duplicates,
        generators=stated.all_generators,
        figures={},
    )


def is_facts(value: object) -> TypeGuard["DataclassInstance"]:
    """Return whether a value is facts, or a part of them."""
    return is_dataclass(value) and not isinstance(value, type)


def change_numbers(value: Any, draw: Callable[[], int]) -> Any:
    """Return facts with another number in each place of one; sizes of images are names here, and stay."""
    if isinstance(value, SplitCounts):
        return SplitCounts(num_rows=draw(), num_bytes=draw())
    if not isinstance(value, int | tuple | Mapping) and not is_facts(value):
        return value
    if isinstance(value, int):
        return draw() if value else 0
    if isinstance(value, tuple):
        return tuple(change_numbers(each, draw) for each in value)
    if isinstance(value, Mapping):
        return {key: change_numbers(each, draw) for key, each in value.items()}
    kept = {"example", "side_biases", "prompt_lengths"}
    changed = {
        each.name: change_numbers(getattr(value, each.name), draw)
        for each in fields(value)
        if each.name not in kept
    }
    return replace(value, **changed)


def numbers_in(value: Any) -> Iterator[int]:
    """Yield every whole number in facts, and the sums that a card makes of them."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from numbers_in(each)
    elif isinstance(value, Mapping):
        yield from numbers_in(tuple(value.values()))
        yield sum(each for each in value.values() if isinstance(each, int))
    elif is_facts(value):
        yield from numbers_in({each.name: getattr(value, each.name) for each in fields(value)})
    elif isinstance(value, Counts | RowChanges | SplitCounts):
        yield from numbers_in(dict(value))


def take_parts(inputs: CardInputs, parts: frozenset[str]) -> CardInputs:
    """Return the inputs of a release with some parts only."""
    facts, missing = inputs.facts, set(PARTS) - parts
    gone = missing | ({"binarized"} if "preferences" in missing else set())
    if "features" in missing:
        gone |= {name for one in facts.features for name in (one.config, f"{one.config}{OF_CAPTIONS}")}
    if "captions" in missing:
        gone |= {f"{one.config}{OF_CAPTIONS}" for one in facts.features}
    images = facts.images
    if "captions" in missing:
        images = replace(images, num_captioned=0)
    if "prompts" in missing:
        images = replace(images, num_prompts=0, prompt_words=(), prompt_lengths={}, num_originals=0)
    features = tuple(
        replace(
            one,
            prompts=() if "prompts" in missing else one.prompts,
            captions=() if "captions" in missing else one.captions,
        )
        for one in facts.features
    )
    gone -= {"prompts"}  # the config is there without prompts, too
    changed = Facts(
        splits={name: splits for name, splits in facts.splits.items() if name not in gone},
        images=images,
        example=facts.example,
        captions=None if "captions" in missing else facts.captions,
        preferences=None if "preferences" in missing else facts.preferences,
        generation=None if "generation" in missing else facts.generation,
        fairness=None if {"captions", "prompts"} & missing else facts.fairness,
        features=() if "features" in missing else features,
        near_duplicates=None if "near-duplicates" in missing else facts.near_duplicates,
    )
    return replace(
        inputs,
        facts=changed,
        shards=tuple(shard for shard in inputs.shards if shard.config not in gone),
        counts={table: count for table, count in inputs.counts.items() if table.value not in gone},
        features={} if "features" in missing else inputs.features,
        limits=DuplicateSettings() if "features" in missing else inputs.limits,
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), parts=st.frozensets(st.sampled_from(PARTS)), is_sample=st.booleans())
def test_a_card_states_only_what_it_was_given(
    inputs: CardInputs, data: st.DataObject, parts: frozenset[str], is_sample: bool
) -> None:
    numbers = itertools.count(data.draw(st.integers(10**6, 10**9)), 7919)

    def draw() -> int:
        return next(numbers)

    own = take_parts(inputs, parts)
    own = replace(own, facts=change_numbers(own.facts, draw), notices=own.notices if is_sample else ())
    own = replace(own, counts={table: count_rows(draw, is_sample) for table in own.counts})
    figures = data.draw(st.frozensets(st.sampled_from(FIGURES[1:]))) | {FIGURES[0]}
    own = replace(
        own, figures={f"figures/{name}": f"What {name} shows" for name in FIGURES if name in figures}
    )
    citation = cite_only(parse_citation((ROOT / "CITATION.cff").read_text()), own.facts.splits)
    own = replace(own, bibtex=bibtex(citation, "faces"))
    if data.draw(st.booleans()):
        changed = data.draw(st.frozensets(st.sampled_from(sorted(own.facts.splits))))
        rows = {
            name: RowChanges(added=draw() if name in changed else 0, edited=0, removed=0)
            for name in own.facts.splits
        }
        differences = Changes(bump="minor", rows=rows, lost_configs=(), new_columns=(), lost_columns=())
        own = replace(
            own, previous=PreviousEntry(version="1.0", manifest_sha256="0" * 64), differences=differences
        )
    card = render_card(own)
    check_contents(card.split("---\n", 2)[2], own)
    assert read_numbers(card) == pytest.approx(true_numbers(own.facts))
    check_readable(card)


def test_the_card_says_where_alpha_is_that_of_the_first_two_votes(inputs: CardInputs) -> None:
    votes = inputs.facts.preferences
    assert votes is not None
    lines = {}
    for is_first in (False, True):
        facts = replace(inputs.facts, preferences=replace(votes, is_alpha_of_first=is_first))
        card = render_card(replace(inputs, facts=facts, figures={f"figures/{FIGURES[0]}": "What it shows"}))
        (lines[is_first],) = (line for line in card.splitlines() if "Krippendorff" in line)
    assert "first two" not in lines[False]
    assert "pairs with two or more votes, by the first two where votes have times" in lines[True]


def test_annotators_who_vote_for_toxic_content_far_more_often_are_named(inputs: CardInputs) -> None:
    def render(unsafe: dict[str, tuple[int, int]]) -> str:
        votes = inputs.facts.preferences
        assert votes is not None
        said = replace(votes.annotators, unsafe=find_unsafe_annotators(unsafe))
        facts = replace(inputs.facts, preferences=replace(votes, annotators=said))
        return render_card(replace(inputs, facts=facts, figures={f"figures/{FIGURES[0]}": "What it shows"}))

    card = render({"ann": (40, 90), "b|n": (80, 80), "cat": (1, 400), "dan": (0, 300), "few": (9, 9)})
    row = "| Annotators who vote for toxic content far more often than the others, of 4 with 20 or more"
    assert f"{row} votes | 2 |" in card.splitlines()
    section = card.split("<!-- unsafe annotators -->")[1].split("<!-- /unsafe annotators -->")[0]
    lines = [line for line in section.splitlines() if "`" in line]
    assert [re.sub(r" \(.*?\)", "", line) for line in lines] == [
        "| `b/n` | 100 % | 80 |",
        "| `ann` | 44 % | 90 |",
    ]
    check_readable(card)
    assert "toxic content far more often" not in render({"ann": (3, 90), "ben": (2, 80)})


def count_rows(draw: Callable[[], int], is_rejected: bool) -> Counts:
    """Return counts that add up."""
    published, rejected = draw(), draw() if is_rejected else 0
    reasons = {"missing_image": rejected} if rejected else {}
    return Counts(
        read=published + rejected, published=published, num_rows=draw(), rejected=reasons, warnings={}
    )


def check_contents(card: str, own: CardInputs) -> None:
    """See that configs, figures, headings, citations and numbers are those of the inputs."""
    there = {*own.facts.splits, *(shard.config for shard in own.shards)}
    possible = {*CONFIGS, *map(str, Format), *own.features} - {"parquet", "default", "captions"}
    assert {name for name in possible if f"`{name}`" in card or f"`{name}/`" in card} <= there
    assert set(re.findall(r'load_dataset\("[^"]+", "([^"]+)"', card)) <= there
    assert set(re.findall(r"\]\((figures/[^)]+)\)", card)) == set(own.figures)
    headings = set(re.findall(r"^## (.+)$", card, re.MULTILINE))
    parts = {"features" if name in own.features else name for name in there}
    has_alike = own.facts.near_duplicates is not None
    wanted = {heading for part, heading in HEADINGS.items() if part in parts}
    assert headings & set(HEADINGS.values()) == wanted | ({"CLIP features"} if has_alike else set())
    assert ("WebDataset" in card) == ("webdataset" in there)
    assert set(re.findall(r"^@\w+\{(\w+2024),", card, re.MULTILINE)) == {
        key for config, key in CITED.items() if config in own.facts.splits
    }
    differences = own.differences.rows if own.differences is not None else {}
    known = set(numbers_in((own.facts, dict(own.counts), dict(differences))))
    if own.facts.preferences is not None:
        known.add(own.facts.preferences.num_responses - own.facts.preferences.num_votes)
    if own.facts.captions is not None:
        known.add(sum(one.num_images for one in own.facts.captions.attributes))
    shown = {int(number.replace(",", "")) for number in BIG_NUMBER.findall(card)}
    assert shown <= known
    assert own.facts.images.total in shown


def test_configs_of_a_collection_without_settings_captions_and_prompts_do_not_promise_them(
    inputs: CardInputs,
) -> None:
    own = take_parts(inputs, frozenset())
    own = replace(own, facts=replace(own.facts, images=replace(own.facts.images, num_settings=0)))
    own = replace(own, figures={"figures/sample.jpg": "Images"})
    contents = {row[0]: row[-1] for row in tables_of(render_card(own))["Config"]}
    assert contents["`default`"] == "Every image with its generator."
    assert contents["`prompts`"] == "The rows of `default` without the images."


def test_a_contact_is_on_the_card_whether_or_not_the_maintainer_states_one(inputs: CardInputs) -> None:
    own = replace(inputs, figures={"figures/sample.jpg": "Images"})
    discussions = "[discussions on the Hub](https://huggingface.co/datasets/org/sfhq-t2i/discussions)"
    for contact, shown in (
        (None, discussions),
        ("mailto:a@example.org", "<mailto:a@example.org>"),
        ("A. Person, a@example.org", "A. Person, a@example.org"),
    ):
        own = replace(own, dataset=own.dataset.model_copy(update={"contact": contact}))
        (found,) = re.findall(r"^\| Contact, removals \| (.+) \|$", render_card(own), re.MULTILINE)
        assert found == shown


def test_a_version_that_changes_no_row_lists_no_zeros(inputs: CardInputs) -> None:
    rows = {name: RowChanges(added=0, edited=0, removed=0) for name in inputs.facts.splits}
    differences = Changes(bump="patch", rows=rows, lost_configs=(), new_columns=(), lost_columns=())
    previous = PreviousEntry(version="1.0", manifest_sha256="0" * 64)
    own = replace(
        inputs, figures={"figures/sample.jpg": "Images"}, previous=previous, differences=differences
    )
    card = render_card(own)
    assert "Changes since 1.0, a patch change: no row was added, edited or removed." in card
    assert "Rows added" not in card
    text = release_changelog("Faces", "", "1.1", "1.0", differences)
    assert text.endswith("Since 1.0, a patch change:\n\n- No row was added, edited or removed.\n")


def test_a_figure_of_sizes_has_no_empty_chart_of_prompts(inputs: CardInputs, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    prompted = replace(inputs.facts.images, sizes={(256, 256): 40, (512, 256): 20})
    bare = replace(prompted, num_prompts=0, prompt_words=(), prompt_lengths={})
    for images, caption in (
        (prompted, "Words in a prompt, and sizes of the images"),
        (bare, "Sizes of the images"),
    ):
        release, facts = ReleaseReader(tmp_path, ()), replace(inputs.facts, images=images)
        assert draw_prompts_and_sizes(FigureInputs(release, facts, inputs.generators)) == {
            PROMPTS_PATH: caption
        }
        with Image.open(tmp_path / PROMPTS_PATH) as figure:
            colors = {color for _, color in figure.convert("RGB").getcolors(2**20) or ()}
        assert (ImageColor.getrgb(SERIES[2]) in colors) == (images is prompted)  # of bars of prompts


def test_a_group_that_agrees_less_often_is_among_the_biases(inputs: CardInputs) -> None:
    group = Group("brown", proportion(30, 50), is_lower=True)
    grouping = Grouping("skin", (group,), 0, None, Estimate(None, None, None, 0))
    one = Comparison("expression", "eyes-1", 50, proportion(30, 50), {}, (grouping,), 0)
    own = replace(inputs, facts=replace(inputs.facts, fairness=FairnessSummary(50, 50, 0, 50, (one,), 0)))
    said = provenance(own)["rai:dataBiases"]
    assert "Measured: of skin brown, prompt and model eyes-1 agree on expression in 60 % of 50 images" in said
    assert "Measured" not in provenance(inputs)["rai:dataBiases"]

"""What croissant.json says of origin and use: responsible-AI fields (RAI 1.0) and W3C PROV.

NeurIPS 2026 asks for eight of them: https://neurips.cc/Conferences/2026/EvaluationsDatasetsHosting. Each has
what the maintainer states. Where nothing is stated, it has what follows from the release's files.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builders.card.facts import Facts, GenerationSummary
from builders.card.readme import CardInputs
from schemas.records import ALGORITHMIC_MEDIA, TRAINED_ALGORITHMIC_MEDIA

PROV = "http://www.w3.org/ns/prov#"
_NOT_STATED = "Not stated by the maintainer."
_IMPACT = (
    f"{_NOT_STATED} The images show no real person, so work on faces needs fewer photographs of real people. "
    "Synthetic faces can be used to deceive, and models trained on them learn the biases of their makers."
)


def provenance(inputs: CardInputs) -> dict[str, Any]:
    """Return the fields, by their name in croissant.json."""
    dataset = inputs.dataset
    return {
        "rai:dataCollection": " ".join([*inputs.notices, dataset.description or dataset.summary]),
        "rai:dataCollectionType": ["Software Collection"],
        "rai:dataLimitations": dataset.limitations or _NOT_STATED,
        "rai:dataBiases": " ".join(
            [dataset.biases or dataset.limitations or _NOT_STATED, *_measured_biases(inputs.facts)]
        ),
        "rai:dataUseCases": list(dataset.use_cases or _use_cases(inputs)),
        "rai:dataSocialImpact": dataset.social_impact or _IMPACT,
        "rai:personalSensitiveInformation": [dataset.personal_information or _personal_information(inputs)],
        "rai:hasSyntheticData": True,  # every image that the kit reads is made by a model or by code
        "prov:wasDerivedFrom": [*_origins(inputs)],
        "prov:wasGeneratedBy": [*_activities(inputs)],
    }


def _measured_biases(facts: Facts) -> Iterator[str]:
    """Yield each group for which models see less often than for all others what prompts ask for."""
    for one in facts.fairness.comparisons if facts.fairness is not None else ():
        for grouping in one.groupings:
            for group in grouping.groups:
                if group.is_lower:
                    share = (
                        f"{100 * (group.agreement.value or 0.0):.0f} % of {group.agreement.total:,} images"
                    )
                    yield (
                        f"Measured: of {grouping.name} {group.label}, prompt and model "
                        f"{one.model or 'not named'} agree on {one.attribute} in {share}, less often "
                        "than of all others together."
                    )


def _use_cases(inputs: CardInputs) -> Iterator[str]:
    """Yield what the contents allow, said to be no more than that."""
    facts = inputs.facts
    contents = [f"{facts.images.num_prompts:,} images with a prompt"]
    if facts.captions is not None:
        contents.append(f"{facts.captions.num_sentences:,} captions")
    if "binarized" in facts.splits:
        num_pairs = sum(size.num_rows for size in facts.splits["binarized"].values())
        contents.append(f"{num_pairs:,} pairs of a chosen and a rejected image")
    contents += [f"embeddings by {one.model}" for one in inputs.features.values()]
    tasks = ", ".join(inputs.dataset.task_categories)
    yield f"{_NOT_STATED} Tasks that the card names: {tasks}. The contents: {', '.join(contents)}."


def _personal_information(inputs: CardInputs) -> str:
    """Say whom the images show, and what is published of annotators."""
    facts = inputs.facts
    said = ["The images are synthetic and show no real person."]
    personal = [one.name for one in facts.captions.attributes if one.is_personal] if facts.captions else []
    if personal:
        said.append(
            f"Attributes of the faces shown that would be sensitive of people: {', '.join(personal)}."
        )
    if facts.preferences is not None and facts.preferences.num_annotators:
        published = "their ids" if inputs.voting.publish_annotators else "keyed hashes of their ids"
        said.append(f"Of annotators, {published} are published.")
    return " ".join(said)


def _origins(inputs: CardInputs) -> Iterator[dict[str, Any]]:
    """Yield what the release was made from: stated addresses, then its sources by name."""
    dataset, facts = inputs.dataset, inputs.facts
    addresses = dataset.derived_from
    # Images drawn by code do not come from the collection that `homepage` is of.
    if not addresses and _has_trained(inputs) and re.match(r"https?://\S+$", dataset.homepage or ""):
        addresses = (str(dataset.homepage),)
    yield from ({"@type": "prov:Entity", "@id": address, "prov:label": address} for address in addresses)
    tables: list[tuple[str, Mapping[str, int]]] = [("images", facts.images.sources)]
    if facts.captions is not None:
        tables.append(("captions", facts.captions.sources))
    if facts.preferences is not None:
        tables.append(("pairs of images with votes", facts.preferences.sources))
    for name, sources in tables:
        for source, count in sources.items():
            yield {"@type": "prov:Entity", "prov:label": f'source "{source}": {count:,} {name}'}


def _activities(inputs: CardInputs) -> Iterator[dict[str, Any]]:
    """Yield how images, captions, votes and features were made, by whom."""
    facts = inputs.facts
    if inputs.notices:
        yield _activity("Demonstration", " ".join(inputs.notices))
    if _has_trained(inputs):
        yield _making("Text-to-image generation", inputs, is_trained=True)
    if not inputs.notices and ALGORITHMIC_MEDIA in facts.images.digital_source_types:
        yield _making("Drawing by code", inputs, is_trained=False)
    if facts.generation is not None:
        yield _requests(facts.generation)
    # The sample invents captions and votes, as its notice says: there is no captioner or annotator.
    if _has_trained(inputs) or not inputs.notices:
        yield from _annotations(inputs)
    for config, one in inputs.features.items():
        agent = _software(f"{one.model}, weights {one.pretrained}")
        yield _activity("Encoding", f"Embeddings and similarities in the config {config}.", [agent])
    yield from (_activity("Stated by the maintainer", step) for step in inputs.dataset.generated_by)


def _making(label: str, inputs: CardInputs, *, is_trained: bool) -> dict[str, Any]:
    """Describe how the images of trained models, or of code, were made."""
    made = {
        name: count
        for name, count in inputs.facts.images.generators.items()
        if inputs.generators[name].is_trained == is_trained
    }
    makers = (_software(inputs.generators[name].title, inputs.generators[name].url) for name in made)
    return _activity(label, f"{sum(made.values()):,} images.", makers)


def _requests(facts: GenerationSummary) -> dict[str, Any]:
    """Describe what was asked of the providers of generators."""
    providers = sorted({one.provider for one in facts.groups})
    return _activity(
        "Requests to providers",
        f"{facts.total:,} requests for images: {facts.num_images:,} led to an image, and "
        f"{facts.num_refused:,} were refused.",
        map(_agent, providers),
    )


def _annotations(inputs: CardInputs) -> Iterator[dict[str, Any]]:
    captions, preferences = inputs.facts.captions, inputs.facts.preferences
    if captions is not None:
        names = {" ".join(filter(None, (one.captioner, one.version))) for one in captions.captioners}
        yield _activity(
            "Captioning",
            f"{captions.total:,} captions and sets of attributes of {captions.num_images:,} images. "
            "Captioners as the sources name them.",
            (_agent(name) for name in sorted(names - {""})),
        )
    if preferences is not None:
        models = ", ".join(one.model for one in preferences.models)
        people = f" by {preferences.num_annotators:,} annotators" if preferences.num_annotators else ""
        yield _activity(
            "Human preference annotation",
            f"{preferences.num_votes:,} votes{people} on {preferences.total:,} pairs of images, decided by "
            f"the rule {preferences.rule}." + (f" Models that made the images: {models}." if models else ""),
        )


def _has_trained(inputs: CardInputs) -> bool:
    """Whether a trained model made any of the images."""
    return TRAINED_ALGORITHMIC_MEDIA in inputs.facts.images.digital_source_types


def _activity(label: str, description: str, agents: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    activity: dict[str, Any] = {
        "@type": "prov:Activity",
        "prov:label": label,
        "description": description,
    }
    found = list(agents)
    return activity | ({"prov:wasAssociatedWith": found} if found else {})


def _software(label: str, address: str | None = None) -> dict[str, Any]:
    return {"@type": "prov:SoftwareAgent", **({"@id": address} if address else {}), "prov:label": label}


def _agent(label: str) -> dict[str, Any]:
    return {"@type": "prov:Agent", "prov:label": label}

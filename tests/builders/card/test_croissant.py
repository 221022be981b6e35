"""croissant.json: read by the real mlcroissant, from the folder and alone, and true of the release."""

import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlcroissant._src.core import constants
from mlcroissant._src.operation_graph.operations.download import extract_git_info
from PIL import Image

from builders.card.croissant import CROISSANT_NAME, REPOSITORY, render_croissant
from builders.card.facts import read_facts
from builders.card.readme import CardInputs
from builders.release.reader import ReleaseReader
from builders.sources.sample import NOTICE
from publish.checks.files import read_manifest
from schemas.configs import CONFIGS, Format
from schemas.generators import GENERATORS
from schemas.manifest import Manifest, Shard
from schemas.settings import DatasetSettings
from schemas.versions import tag_of
from tests.publish.hosts.hub_server import HubServer, Repo
from tests.readers.page import RecordResult
from tests.support import ROOT, good_folder, run_release

HUB = "https://huggingface.co"
CITATION = {"authors": [{"given-names": "A", "family-names": "B"}]}
# https://neurips.cc/Conferences/2026/EvaluationsDatasetsHosting
RAI_FIELDS = (
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries below mlcroissant


def read_croissant(folder: Path) -> dict[str, Any]:
    """Return croissant.json as a document."""
    return dict(json.loads((folder / CROISSANT_NAME).read_text()))


def local_files(folder: Path) -> dict[str, str]:
    """Map what croissant.json would have downloaded to the files of a folder, by the code of RELEASING.md."""
    values: dict[str, Any] = {}
    exec(snippet(folder).partition("records =")[0], values)
    return dict(values["mapping"])


def snippet(folder: Path) -> str:
    """Return the example of RELEASING.md, with this folder."""
    page = (
        (ROOT / "RELEASING.md").read_text(encoding="utf-8").partition("## Read a release with mlcroissant")[2]
    )
    return page.partition("```python\n")[2].partition("```")[0].replace("dist/1.0", str(folder))


def open_locally(folder: Path) -> Any:
    """Open a release in a folder with mlcroissant, and see that it finds nothing wrong."""
    dataset = mlcroissant.Dataset(jsonld=str(folder / CROISSANT_NAME), mapping=local_files(folder))
    assert not dataset.metadata.issues.errors
    assert not dataset.metadata.issues.warnings
    return dataset


def parquet_rows(folder: Path, config: str) -> list[dict[str, Any]]:
    """Read a config's rows without mlcroissant."""
    shards = [shard for shard in read_manifest(folder).shards if shard.config == config]
    paths = sorted(folder / shard.path for shard in shards)
    return list(pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist())


def plain(value: Any) -> Any:
    """Turn a value of mlcroissant into that of pyarrow: text is UTF-8, and keys are whole paths."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {key.rpartition("/")[2]: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    image = Image.open(io.BytesIO(data))
    return image.size, image.tobytes()


def assert_same(record: Mapping[str, Any], row: Mapping[str, Any], config: str) -> None:
    """Compare a record with its row: every column, images by their pixels."""
    assert list(record) == [f"{config}/{name}" for name in row]
    for name, wanted in row.items():
        found = record[f"{config}/{name}"]
        if isinstance(found, Image.Image):
            assert (found.size, found.tobytes()) == pixels(wanted["bytes"])
        elif isinstance(found, Mapping) and wanted is None:  # mlcroissant has no struct that is null
            assert set(found.values()) == {None}
        else:
            assert plain(found) == wanted, name


def inputs_of(folder: Path) -> CardInputs:
    """Return what a written release's croissant.json was rendered from; None for what it does not say."""
    manifest = read_manifest(folder)
    inputs = manifest.inputs
    values: dict[str, Any] = {field.name: None for field in fields(CardInputs)}
    values |= {
        "dataset": inputs.dataset,
        "version": inputs.version,
        "facts": read_facts(ReleaseReader(folder, manifest.shards)),
        "shards": manifest.shards,
        "voting": inputs.preferences,
        "notices": (NOTICE,) if any(source.kind == "sample" for source in inputs.sources) else (),
        "bibtex": "",
        "formats": inputs.formats,
        "features": inputs.features,
        "generators": inputs.all_generators,
    }
    return CardInputs(**values)


def render(inputs: CardInputs, **changes: Any) -> dict[str, Any]:
    return dict(json.loads(render_croissant(replace(inputs, **changes), CITATION, None)))


@pytest.fixture(scope="module")
def sample_inputs(sample_release: Path) -> CardInputs:
    return inputs_of(sample_release)


@pytest.fixture(scope="module")
def plain_inputs(plain_release: Path) -> CardInputs:
    return inputs_of(plain_release)


# --- read by mlcroissant --------------------------------------------------------------------


RELEASES = {"sample_release": "sample", "sfhq_release": "sfhq-sample"}  # fixture → name in READERS.md


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_every_record_comes_from_local_files(
    release: str, request: pytest.FixtureRequest, record_result: RecordResult
) -> None:
    folder: Path = request.getfixturevalue(release)
    dataset = open_locally(folder)
    assert dataset.metadata.version == "1.0.0"
    names = [each.uuid for each in dataset.metadata.record_sets]
    assert set(names) == set(read_manifest(folder).configs)
    for name in names:
        for record, row in zip(dataset.records(name), parquet_rows(folder, name), strict=True):
            assert_same(record, row, name)
    result = f"reads all {len(names)} record sets, from local files"
    record_result("mlcroissant", metadata.version("mlcroissant"), RELEASES[release], result)


def test_the_documented_example_runs(plain_release: Path) -> None:
    values: dict[str, Any] = {}
    exec(snippet(plain_release), values)
    assert values["prompt"] == parquet_rows(plain_release, "prompts")[0]["prompt"]


@pytest.fixture
def alone(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[HubServer, dict[str, Any]]]:
    """Yield a server that plays the Hub with a release in it, and croissant.json with its addresses.

    The release is the sample's, or that of the fixture that a test names as parameter. The server plays
    `resolve` of the tag as the Hub does, with a redirect to where large files are.
    """
    folder: Path = request.getfixturevalue(getattr(request, "param", "sample_release"))
    monkeypatch.setattr(constants, "DOWNLOAD_PATH", type(constants.DOWNLOAD_PATH)(tmp_path))
    with HubServer() as server:
        repository = server.repos["org/sfhq-t2i"] = Repo(private=False)
        files = {}
        for shard in read_manifest(folder).shards:
            server.stored[shard.sha256] = (folder / shard.path).read_bytes()
            files[shard.path] = server._large(shard.sha256, shard.num_bytes)
        repository.tags["v1.0"] = server._add_commit(repository, files, "alice", "1.0", "").sha
        text = (folder / CROISSANT_NAME).read_text()
        yield server, json.loads(text.replace(f"{HUB}/datasets/", f"{server.endpoint}/datasets/"))


@pytest.mark.parametrize(
    ("alone", "release"),
    [
        (name, name) if name == "sample_release" else pytest.param(name, name, marks=pytest.mark.slow)
        for name in RELEASES
    ],
    indirect=["alone"],
)
def test_the_neurips_checker_passes_a_file_alone(
    alone: tuple[HubServer, dict[str, Any]],
    release: str,
    request: pytest.FixtureRequest,
    record_result: RecordResult,
) -> None:
    """Take the steps of the checker: one record of each set within a time limit, from addresses alone.

    Its source: health/croissant-validator-neurips/hf-gradio-app/validation.py in mlcommons/croissant.
    """
    server, document = alone
    folder: Path = request.getfixturevalue(release)
    dataset = mlcroissant.Dataset(jsonld=document)
    with ThreadPoolExecutor(1) as pool:
        for each in dataset.metadata.record_sets:
            records = dataset.records(record_set=each.uuid)
            record = pool.submit(next, iter(records)).result(timeout=300)
            assert_same(record, parquet_rows(folder, each.uuid)[0], each.uuid)
    # Nothing is loaded but the file of each set, once, at the tag.
    paths = [seen.url for seen in server.seen if seen.kind == "resolve"]
    parquet = [shard.path for shard in read_manifest(folder).shards if shard.format is Format.PARQUET]
    assert sorted(paths) == sorted(f"/datasets/org/sfhq-t2i/resolve/v1.0/{path}" for path in parquet)
    result = "passes its steps: a record of each set over HTTP, from `croissant.json` alone"
    record_result(
        "NeurIPS checker", f"mlcroissant {metadata.version('mlcroissant')}", RELEASES[release], result
    )


def test_a_file_that_is_not_the_release_s_is_refused(alone: tuple[HubServer, dict[str, Any]]) -> None:
    server, document = alone
    for shard in document["distribution"]:
        if shard["@id"].startswith("prompts/"):
            server.stored[shard["sha256"]] = b"PAR1 another PAR1"
    with pytest.raises(mlcroissant.GenerationError) as caught:
        next(iter(mlcroissant.Dataset(jsonld=document).records("prompts")))
    assert "is not identical with" in str(caught.value.__cause__)


@pytest.mark.slow
def test_a_config_of_several_files_is_a_set_in_the_repository(tmp_path: Path) -> None:
    """Git is not run here: `mapping` stands for the clone, and mlcroissant itself parses its address."""
    collection, config = good_folder(tmp_path / "faces", num_images=24).write(), tmp_path / "release.toml"
    text = (ROOT / "release.toml").read_text() + "\n[build]\nsplits = { test = 0.4 }\n"
    config.write_text(text)
    for name in ("CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    where = ("--config", config, "--sfhq", collection, "--out", tmp_path / "dist")
    assert run_release("--version", "1.0", *where).status == 0
    folder = tmp_path / "dist" / "1.0"
    entries = {each["@id"]: each for each in read_croissant(folder)["distribution"]}
    assert entries["default-files"]["containedIn"] == {"@id": REPOSITORY}
    assert extract_git_info(entries[REPOSITORY]["contentUrl"]) == (
        f"{HUB}/datasets/org/sfhq-t2i",
        "refs/tags/v1.0",
    )
    dataset = open_locally(folder)
    for name in ("default", "prompts"):
        rows = parquet_rows(folder, name)
        assert len(rows) == 24
        for record, row in zip(dataset.records(name), rows, strict=True):
            assert_same(record, row, name)


# --- true of the release --------------------------------------------------------------------


def assert_of(document: Mapping[str, Any], shards: tuple[Shard, ...], page: str, tag: str) -> None:
    """See that files and record sets are those of the release, and that every reference has its target."""
    entries = {each["@id"]: each for each in document["distribution"]}
    assert len(entries) == len(document["distribution"])
    objects = {name: each for name, each in entries.items() if "contentUrl" in each and name != REPOSITORY}
    assert {
        name: (each["sha256"], each["contentSize"], each["contentUrl"]) for name, each in objects.items()
    } == {
        shard.path: (shard.sha256, f"{shard.num_bytes} B", f"{page}/resolve/{tag}/{shard.path}")
        for shard in shards
    }
    tables: dict[str, list[str]] = {}
    for shard in shards:
        if shard.format is Format.PARQUET:
            tables.setdefault(shard.config, []).append(shard.path)
    assert {each["@id"] for each in document["recordSet"]} == set(tables)
    for each in document["recordSet"]:
        sources = {json.dumps({**source, "extract": 0, "transform": 0}) for source in sources_in(each)}
        (source,) = map(json.loads, sources)
        if len(tables[each["@id"]]) == 1:
            assert source["fileObject"] == {"@id": tables[each["@id"]][0]}
        else:
            files = entries[source["fileSet"]["@id"]]
            folder = files["includes"].removesuffix("*.parquet")
            assert all(path.startswith(folder) for path in tables[each["@id"]])
            assert entries[files["containedIn"]["@id"]]["contentUrl"] == f"{page}/tree/refs%2Ftags%2F{tag}"


def sources_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each source of a record set's fields, also of fields in fields."""
    for field in value.get("field", value.get("subField", ())):
        if "source" in field:
            yield field["source"]
        yield from sources_in(field)


@pytest.mark.parametrize("release", ["sample_release", "plain_release"])
def test_files_and_record_sets_are_those_of_the_manifest(
    release: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(release)
    manifest, document = read_manifest(folder), read_croissant(folder)
    assert_of(document, manifest.shards, f"{HUB}/datasets/{manifest.inputs.dataset.repository}", "v1.0")
    assert {each["@id"]: columns_in(each) for each in document["recordSet"]} == {
        name: columns_of(manifest, name) for name in manifest.configs
    }


def columns_in(value: Mapping[str, Any]) -> set[str]:
    """Return the dotted names of the columns that a record set describes."""
    return {
        name.partition("/")[2].replace("/", ".")
        for field in value.get("field", value.get("subField", ()))
        for name in ({field["@id"]} | {f"x/{each}" for each in columns_in(field)})
    }


def columns_of(manifest: Manifest, config: str) -> set[str]:
    """Return the dotted names of a config's columns; an image is one column."""
    columns = manifest.columns[config]
    return {name for name in columns if not name.endswith((".bytes", ".path"))}


@st.composite
def shard_lists(draw: st.DrawFn) -> tuple[Shard, ...]:
    """Draw data files of any configs, some of them of several files and splits."""
    names = draw(st.sets(st.sampled_from(sorted(CONFIGS)), min_size=1)) | {"default", "prompts"}
    shards = []
    for name in sorted(names):
        for number in range(draw(st.integers(1, 4))):
            digest = draw(st.integers(0, 2**64)).to_bytes(32, "big").hex()
            split = draw(st.sampled_from(["train", "test"]))
            config = CONFIGS[name]
            path = f"{config.folder}/{split}-{number:05d}-{digest[-12:]}.{config.extension}"
            num_bytes = draw(st.integers(0, 2**40))
            values = {"path": path, "sha256": digest, "num_bytes": num_bytes, "num_rows": 1}
            shards.append(Shard(**values, config=name, split=split, number=number))
    return tuple(shards)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shards=shard_lists(),
    version=st.from_regex(r"[0-9]\.[0-9](\.[0-9])?", fullmatch=True),
    repository=st.from_regex(r"[A-Za-z0-9_.-]{1,20}/[A-Za-z0-9_.-]{1,20}", fullmatch=True),
    hub=st.sampled_from([(Format.PARQUET,), tuple(Format)]),
)
def test_any_files_and_record_sets_are_those_of_the_release(
    sample_inputs: CardInputs,
    shards: tuple[Shard, ...],
    version: str,
    repository: str,
    hub: tuple[Format, ...],
) -> None:
    """A format that the Hub is not given is left out: its address would lead nowhere."""
    facts = sample_inputs.facts
    configs = {shard.config for shard in shards if shard.format is Format.PARQUET}
    splits = {name: facts.splits.get(name, facts.splits["prompts"]) for name in configs}  # of any release
    document = render(
        sample_inputs,
        shards=shards,
        version=version,
        dataset=sample_inputs.dataset.model_copy(update={"repository": repository}),
        formats={"folder": tuple(Format), "hub": hub},
        features={},
        facts=replace(facts, splits=splits),
    )
    given_to_hub = tuple(shard for shard in shards if shard.format in hub)
    assert_of(document, given_to_hub, f"{HUB}/datasets/{repository}", tag_of(version))


# --- responsible AI and origin --------------------------------------------------------------


@pytest.mark.parametrize("release", ["sample_release", "plain_release"])
def test_all_that_neurips_asks_for_is_there(release: str, request: pytest.FixtureRequest) -> None:
    document = read_croissant(request.getfixturevalue(release))
    assert document["conformsTo"] == [
        "http://mlcommons.org/croissant/1.1",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    assert document["@context"]["prov"] == "http://www.w3.org/ns/prov#"
    assert document["citeAs"].startswith("@misc{sfhq-t2i,")
    assert all(document[name] for name in RAI_FIELDS)
    assert document["rai:hasSyntheticData"] is True


def agents_in(document: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    """Return the address and the name of everyone and everything that took part."""
    return [
        (agent.get("@id"), agent["prov:label"])
        for activity in document["prov:wasGeneratedBy"]
        for agent in activity.get("prov:wasAssociatedWith", ())
    ]


def test_a_release_of_a_collection_names_its_generators_and_nothing_else(plain_release: Path) -> None:
    document = read_croissant(plain_release)
    used = set(pq.read_table(plain_release / "prompts")["generator"].to_pylist())
    assert set(agents_in(document)) == {(GENERATORS[name].url, GENERATORS[name].title) for name in used}
    assert [each["prov:label"] for each in document["prov:wasGeneratedBy"]] == ["Text-to-image generation"]
    assert [each.get("@id") for each in document["prov:wasDerivedFrom"]] == [
        "https://github.com/SelfishGene/SFHQ-T2I-dataset",
        None,
    ]
    derived = [name for name in RAI_FIELDS if name != "rai:dataUseCases"]  # which release.toml states
    text = json.dumps({name: document[name] for name in derived}).lower()
    assert not [word for word in ("vote", "annotator", "caption", "embedding", "pairs") if word in text]


def test_the_sample_claims_no_generator_and_no_people(sample_release: Path) -> None:
    document = read_croissant(sample_release)
    assert agents_in(document) == [(None, "sfhq-demo, weights built-in")]
    assert "Captions and votes are invented by the kit" in document["prov:wasGeneratedBy"][0]["description"]
    assert not [each for each in document["prov:wasDerivedFrom"] if "@id" in each]


def test_captions_and_votes_have_captioners_and_annotators(sample_inputs: CardInputs) -> None:
    """The sample's files without its notice, as if they came from a collection."""
    images = replace(
        sample_inputs.facts.images,
        digital_source_types={"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia": 60},
    )
    document = render(sample_inputs, notices=(), facts=replace(sample_inputs.facts, images=images))
    activities = {each["prov:label"]: each for each in document["prov:wasGeneratedBy"]}
    assert list(activities) == [
        "Text-to-image generation",
        "Captioning",
        "Human preference annotation",
        "Encoding",
    ]
    captions = sample_inputs.facts.captions
    assert captions is not None
    names = {f"{each.captioner} {each.version}" for each in captions.captioners}
    agents = activities["Captioning"]["prov:wasAssociatedWith"]
    assert {each["prov:label"] for each in agents} == names
    votes = sample_inputs.facts.preferences
    assert votes is not None
    assert f"{votes.num_votes:,} votes by {votes.num_annotators}" in str(activities)
    assert "keyed hashes" in str(document["rai:personalSensitiveInformation"])
    shown = render(sample_inputs, voting=sample_inputs.voting.model_copy(update={"publish_annotators": True}))
    assert "keyed hashes" not in str(shown["rai:personalSensitiveInformation"])


def test_what_the_maintainer_states_takes_the_place_of_defaults(plain_inputs: CardInputs) -> None:
    stated = {
        "use_cases": ["Tested for A.", "Tested for B."],
        "biases": "A bias.",
        "social_impact": "An impact.",
        "personal_information": "No information.",
        "derived_from": ["https://example.org/dataset"],
        "generated_by": ["Curated by eye."],
    }
    dataset = DatasetSettings.model_validate_json(
        json.dumps({**plain_inputs.dataset.model_dump(mode="json"), **stated})
    )
    document = render(plain_inputs, dataset=dataset)
    assert document["rai:dataUseCases"] == stated["use_cases"]
    assert document["rai:dataBiases"] == "A bias."
    assert document["rai:dataSocialImpact"] == "An impact."
    assert document["rai:personalSensitiveInformation"] == ["No information."]
    assert document["prov:wasDerivedFrom"][0]["@id"] == "https://example.org/dataset"
    assert document["prov:wasGeneratedBy"][-1]["description"] == "Curated by eye."
    assert document["rai:dataLimitations"] == plain_inputs.dataset.limitations
    assert not mlcroissant.Dataset(jsonld=document).metadata.issues.errors


def test_settings_that_state_nothing_are_not_in_a_manifest() -> None:
    """A release without them has the manifest that it always had."""
    dataset = DatasetSettings(name="faces", title="Faces", repository="org/faces", summary="Faces.")
    assert not set(dataset.model_dump()) & {"use_cases", "biases", "derived_from", "generated_by"}


def test_a_minimal_release_says_that_nothing_is_stated(plain_inputs: CardInputs) -> None:
    dataset = DatasetSettings(name="faces", title="Faces", repository="org/faces", summary="Faces.")
    document = render(plain_inputs, dataset=dataset)
    assert document["rai:dataLimitations"] == document["rai:dataBiases"] == "Not stated by the maintainer."
    assert all(document[name] for name in RAI_FIELDS)

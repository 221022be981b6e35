"""Features in whole releases: asked for by settings, resumed after a kill, loadable, and checked."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from builders.features.near_duplicates import write_near_duplicates
from builders.sample.encoder import EXAMPLES
from publish.checks.files import read_manifest
from publish.checks.release import check_release
from publish.release import main
from publish.run.settings import load_settings
from schemas.columns import type_names
from schemas.duplicates import DuplicateKind, NearDuplicate
from schemas.features import PROVENANCE_KEY
from schemas.manifest import NEAR_DUPLICATES_NAME, Manifest
from schemas.problems import SettingsError
from schemas.settings import SearchSettings
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes, run_release, tree_digest

CONFIG, CAPTIONS = "clip_sfhq_demo", "clip_sfhq_demo_captions"
DEMO = '\n[[features]]\nmodel = "sfhq-demo"\npretrained = "built-in"\nallow_demonstration = true\n'
NUM_IMAGES = 40


SHIPPED_FEATURES = '[[features]]\nmodel = "sfhq-demo"\npretrained = "built-in"\n'


def write_settings(folder: Path, features: str = DEMO) -> Path:
    """Write the shipped settings into a folder, with these features in place of the sample's."""
    for name in ("CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    path = folder / "release.toml"
    shipped = (ROOT / "release.toml").read_text()
    assert SHIPPED_FEATURES in shipped
    path.write_text(shipped.replace(SHIPPED_FEATURES, "") + features)
    return path


def collect(folder: Path) -> SfhqFolder:
    """Make a collection of noise, with a caption for each image."""
    collection = good_folder(folder / "faces", NUM_IMAGES)
    lines = [{"file_name": row[0], "caption": f"a caption of {row[0]}"} for row in collection.rows]
    (folder / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return collection


def arguments(folder: Path, version: str = "1.0") -> list[str]:
    """Return the command line for a collection's release."""
    places = {"config": "release.toml", "sfhq": "faces", "captions": "captions.jsonl", "out": "dist"}
    flags = [each for name, place in places.items() for each in (f"--{name}", str(folder / place))]
    return [*flags, "--version", version]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release a collection with features once."""
    folder = tmp_path_factory.mktemp("world")
    write_settings(folder)
    collect(folder).write()
    assert main(arguments(folder)) == 0
    return folder


@pytest.fixture
def release(world: Path, tmp_path: Path) -> Path:
    """Return a copy of the release, to spoil."""
    return Path(shutil.copytree(world / "dist" / "1.0", tmp_path / "1.0"))


# --- a release ------------------------------------------------------------------------------


def test_a_user_loads_vectors(world: Path) -> None:
    path = str(world / "dist" / "1.0")
    features = load_dataset(path, CONFIG, split="train").with_format("numpy")
    images = load_dataset(path, "prompts", split="train")
    assert features["image_id"][:].tolist() == images["image_id"][:]
    vectors = features["embedding"][:]
    assert vectors.shape == (NUM_IMAGES, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    captions = load_dataset(path, CAPTIONS, split="train", streaming=True)
    assert all(-1 <= row["similarity"] <= 1 for row in captions)


def test_the_card_declares_the_configs(world: Path) -> None:
    card = (world / "dist" / "1.0" / "README.md").read_text()
    assert f"path: {CONFIG}/train-*.parquet" in card
    columns = (world / "dist" / "1.0" / "COLUMNS.md").read_text()
    assert "| `embedding` | list of 128 float |" in columns


@pytest.mark.filterwarnings("ignore")  # of libraries below mlcroissant
def test_croissant_describes_vectors(world: Path) -> None:
    path = world / "dist" / "1.0" / "croissant.json"
    assert not mlcroissant.Dataset(jsonld=str(path)).metadata.issues.errors
    sets = {each["name"]: each for each in json.loads(path.read_text())["recordSet"]}
    fields = {each["@id"]: each for each in sets[CONFIG]["field"]}
    vector = fields[f"{CONFIG}/embedding"]
    assert (vector["dataType"], vector["isArray"], vector["arrayShape"]) == ("sc:Float", True, "128")
    assert sets[CAPTIONS]["key"] == {"@id": f"{CAPTIONS}/caption_id"}


def test_a_release_that_is_there_needs_nothing_done(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree_digest(world / "dist" / "1.0")
    assert main(arguments(world)) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert tree_digest(world / "dist" / "1.0") == before


def test_a_plan_encodes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_settings(tmp_path)
    collect(tmp_path).write()
    before = tree_digest(tmp_path)
    assert main([*arguments(tmp_path), "--plan"]) == 0
    assert tree_digest(tmp_path) == before
    assert "encoding" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_version_with_one_more_image_keeps_the_files_of_features(world: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(world, tmp_path / "world"))
    collection = collect(folder)
    collection.rows.append(["SDXL_image_0000099.jpg", *collection.rows[3][1:]])
    collection.images["images/SDXL_image_0000099.jpg"] = image_bytes(99)
    collection.write()
    assert main(arguments(folder, "1.1")) == 0
    old, new = (
        {
            shard.path: (folder / "dist" / version / shard.path).stat().st_ino
            for shard in read_manifest(folder / "dist" / version).shards
            if shard.config in (CONFIG, CAPTIONS)
        }
        for version in ("1.0", "1.1")
    )
    assert len(old) == 2
    assert len(new) == 3
    assert old.items() < new.items()


# Stops for ever once the second batch is in the store; says how many images were encoded.
KILLED = """
import os, signal, sys
from builders.features.demonstration import DemonstrationEncoder
from builders.features.store import FeatureStore
from publish.release import main
moment, seen, encoded = int(sys.argv[1]), [], []
add, encode = FeatureStore.add_images, DemonstrationEncoder.encode_images
def add_images(store, maker, made):
    made = list(made)
    add(store, maker, made)
    if len(made) <= 16:
        seen.append(made)
    if len(seen) == moment:
        os.kill(os.getpid(), signal.SIGKILL)
def encode_images(encoder, images):
    encoded.append(images)
    return encode(encoder, images)
FeatureStore.add_images, DemonstrationEncoder.encode_images = add_images, encode_images
status = main(sys.argv[2:])
print(len(encoded))
sys.exit(status)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_batches_that_are_missing(world: Path, tmp_path: Path) -> None:
    write_settings(tmp_path)
    shutil.copytree(world / "faces", tmp_path / "faces")
    shutil.copy(world / "captions.jsonl", tmp_path)
    killed = run_release("2", *arguments(tmp_path), door=["-c", KILLED])
    assert killed.status == -signal.SIGKILL
    with sqlite3.connect(tmp_path / "dist" / "features.sqlite") as store:
        (num_kept,) = store.execute("SELECT count(*) FROM images WHERE length(made) = 256").fetchone()
    store.close()
    again = run_release("0", *arguments(tmp_path), door=["-c", KILLED])
    assert again.status == 0, again.err
    assert num_kept in (16 + 16, 16 + 8)  # of three batches two, whichever were done first
    assert again.out.splitlines()[-1] == "1"
    assert tree_digest(tmp_path / "dist" / "1.0") == tree_digest(world / "dist" / "1.0")


# --- settings -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_demonstration_encoder_is_refused_for_real_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_settings(tmp_path, DEMO.replace("allow_demonstration = true\n", ""))
    collect(tmp_path).write()
    flags = arguments(tmp_path)
    assert main(flags) == 0  # --sfhq takes the place of the sample, and of its encoder with it
    assert "clip_sfhq_demo" not in capsys.readouterr().out
    settings.write_text(settings.read_text().replace('kind = "sample"', 'path = "faces"'))
    assert main([*flags[:2], *flags[6:-1], "1.1"]) == 2
    assert "allow_demonstration = true" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (DEMO * 2, "two encoders have a config of this name (value: 'clip_sfhq_demo') → give one of them"),
        (
            DEMO + DEMO + 'name = "clip_a_captions"\n',
            "features.1: the config's name is 'clip_a_captions', and what ends in '_captions' is the",
        ),
        (DEMO.replace("pretrained", "pretraned"), "did you mean pretrained?"),
        (DEMO + 'device = "tpu"\n', "features.0.device"),
        ("[near_duplicates]\nsimilarity = 2.0\n", "near_duplicates.similarity"),
        ("[near_duplicates]\nhash_distanse = 2\n", "did you mean hash_distance?"),
        (
            DEMO + DEMO + 'name = "clip_a"\n',
            "→ name its config, as features of [near_duplicates]: clip_sfhq_demo, clip_a",
        ),
        (
            '[near_duplicates]\nfeatures = "clip_sfhq_deno"\n' + DEMO,
            "no encoder has a config of this name (value: 'clip_sfhq_deno') → did you mean clip_sfhq_demo?",
        ),
        ('[near_duplicates]\nfeatures = "clip_a"\n', "leave it out: there are no [[features]]"),
    ],
)
def test_a_mistake_is_told_with_its_place(features: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write_settings(tmp_path, features))
    assert any(says in str(problem) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("", None),
        (DEMO, (0.95, CONFIG)),
        ("[near_duplicates]\nsimilarity = 0.9\n", (0.9, None)),
        ("[near_duplicates]\nsimilarity = 0.9\n" + DEMO, (0.9, CONFIG)),
        (DEMO + DEMO + 'name = "clip_a"\n[near_duplicates]\nfeatures = "clip_a"\n', (0.95, "clip_a")),
    ],
)
def test_near_duplicates_are_looked_for_with_features_or_where_they_are_asked_for(
    features: str, expected: tuple[float, str | None] | None, tmp_path: Path
) -> None:
    limits = load_settings(write_settings(tmp_path, features)).content_with({}).near_duplicates
    assert (limits and (limits.similarity, limits.features)) == expected


def test_the_demonstration_encoder_is_asked_for_what_it_has_words_for(tmp_path: Path) -> None:
    real = '[[features]]\nmodel = "ViT-B-32"\npretrained = "openai"\n'
    decided = '[near_duplicates]\nfeatures = "clip_vit_b_32"\n'
    own = '[search]\nqueries = ["a child"]\n'
    asked = {
        features: load_settings(write_settings(tmp_path, features)).content_with({}).search
        for features in ("", DEMO, real, DEMO + real + decided, DEMO + own)
    }
    assert [found and found.queries for found in asked.values()] == [
        None,
        EXAMPLES,
        SearchSettings().queries,
        SearchSettings().queries,
        ("a child",),
    ]


# --- the check ------------------------------------------------------------------------------


Change = Callable[[pa.Table], pa.Table]


def damage(release: Path, config: str, change: Change) -> None:
    """Change a file of features, and have the manifest say what is in it now."""
    (path,) = (release / config).glob("*.parquet")
    pq.write_table(change(pq.read_table(path)), path)
    sign(release)


def sign(release: Path) -> None:
    """Have the manifest say of every file what is in it now."""
    values = json.loads((release / "manifest.json").read_bytes())
    for entry in [*values["shards"], *values["files"]]:
        data = (release / entry["path"]).read_bytes()
        entry["num_bytes"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    for entry in values["shards"]:
        if entry["config"] in (CONFIG, CAPTIONS):
            footer = pq.read_metadata(release / entry["path"])
            entry["num_rows"] = footer.num_rows
            values["columns"][entry["config"]] = type_names(pq.read_schema(release / entry["path"]))
            values["configs"][entry["config"]][entry["split"]]["num_rows"] = footer.num_rows
    write_manifest(release, values)


def write_manifest(release: Path, values: dict[str, Any]) -> None:
    manifest = Manifest.model_validate_json(json.dumps(values))
    (release / "manifest.json").write_bytes(manifest.to_json())


def set_column(name: str, make: Callable[[list[Any]], list[Any]], kind: pa.DataType | None = None) -> Change:
    """Change the values of a column."""

    def change(table: pa.Table) -> pa.Table:
        index, field = table.schema.get_field_index(name), table.schema.field(name)
        values = pa.array(make(table[name].to_pylist()), kind or field.type)
        return table.set_column(index, pa.field(name, kind or field.type), values)

    return change


def set_first(name: str, value: Any) -> Change:
    return set_column(name, lambda values: [value, *values[1:]])


def say_of_it(change: Callable[[dict[bytes, bytes]], None]) -> Change:
    """Change what the schema says."""

    def replace(table: pa.Table) -> pa.Table:
        metadata = dict(table.schema.metadata)
        change(metadata)
        return table.replace_schema_metadata(metadata)

    return replace


def claim_another_model(metadata: dict[bytes, bytes]) -> None:
    metadata[PROVENANCE_KEY] = metadata[PROVENANCE_KEY].replace(b'"sfhq-demo"', b'"sfhq-demo-2"')


ROWS = "it does not have one row for each row of"
COLUMNS = "the columns are not those of features of its encoder"
DAMAGES: dict[str, tuple[str, Change, str]] = {
    "another model": (CONFIG, say_of_it(claim_another_model), "another encoder made this file"),
    "another model's captions": (CAPTIONS, say_of_it(claim_another_model), "another encoder made this file"),
    "no model": (CONFIG, say_of_it(lambda each: each.__delitem__(PROVENANCE_KEY)), "another encoder made"),
    "row missing": (CONFIG, lambda table: table.slice(1), ROWS),
    "row of a caption missing": (CAPTIONS, lambda table: table.slice(1), ROWS),
    "row twice": (CONFIG, lambda table: pa.concat_tables([table, table.slice(0, 1)]), ROWS),
    "row of another image": (CONFIG, set_first("image_id", "0" * 16), ROWS),
    "row of another caption": (CAPTIONS, set_first("caption_id", "0" * 16), ROWS),
    "another order": (CONFIG, lambda table: table.sort_by([("image_id", "descending")]), ROWS),
    "another dimension": (
        CONFIG,
        set_column("embedding", lambda vectors: [each[:64] for each in vectors], pa.list_(pa.float32(), 64)),
        COLUMNS,
    ),
    "another precision": (
        CONFIG,
        set_column("embedding", lambda vectors: vectors, pa.list_(pa.float64(), 128)),
        COLUMNS,
    ),
    "lists of any length": (
        CONFIG,
        set_column("embedding", lambda vectors: vectors, pa.list_(pa.float32())),
        COLUMNS,
    ),
    "NaN": (CONFIG, set_first("embedding", [float("nan")] * 128), "numbers that are not finite"),
    "no direction": (CONFIG, set_first("embedding", [0.0] * 128), "vectors that are not of length 1"),
    "more digits": (CONFIG, set_first("embedding", [128**-0.5] * 128), "more digits than float16"),
    "too long": (CONFIG, set_first("embedding", [1.0] * 128), "vectors that are not of length 1"),
    "no vector": (CONFIG, set_first("embedding", None), "a vector, or a number in one, is missing"),
    "no similarity": (CONFIG, set_first("prompt_similarity", None), "not every text of prompts has"),
    "no similarity of a caption": (CAPTIONS, set_first("similarity", None), "not every text of captions has"),
    "too similar": (CONFIG, set_first("prompt_similarity", 1.5), "prompt_similarity is not from -1 to 1"),
    "similarity that is no number": (
        CAPTIONS,
        set_first("similarity", float("nan")),
        "similarity is not from -1 to 1",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_features_are_found(name: str, release: Path) -> None:
    config, change, says = DAMAGES[name]
    damage(release, config, change)
    problems = [problem for problem in check_release(release) if says in problem.message]
    assert [problem.file.partition("/")[0] for problem in problems] == [config]


@pytest.mark.parametrize("config", [CONFIG, CAPTIONS])
def test_features_that_are_not_there_at_all_are_missed(config: str, release: Path) -> None:
    shutil.rmtree(release / config)
    values = json.loads((release / "manifest.json").read_bytes())
    values["shards"] = [shard for shard in values["shards"] if shard["config"] != config]
    del values["configs"][config], values["columns"][config]
    write_manifest(release, values)
    assert any(f"{config}: {ROWS}" in str(problem) for problem in check_release(release))


def test_features_of_another_encoder_than_the_manifests_are_refused(release: Path) -> None:
    values = json.loads((release / "manifest.json").read_bytes())
    values["inputs"]["features"][CONFIG]["weights_sha256"] = "0" * 64
    write_manifest(release, values)
    said = [str(problem) for problem in check_release(release)]
    assert (
        len([each for each in said if "another encoder made this file than the manifest says" in each]) == 2
    )


def near(image_id: str, group: str, distance: int = 1) -> NearDuplicate:
    return NearDuplicate(
        image_id=image_id, group=group, similarity=None, hash_distance=distance, kind=DuplicateKind.HASH
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda a, b: [near(a, a), near(b, a)], None),
        (lambda a, b: [near(a, a), near("0" * 16, a)], "images that are not in the release"),
        (lambda a, b: [near(a, a), near(b, b)], "a group has one image alone"),
        (lambda a, b: [near(a, "0" * 16), near(b, "0" * 16)], "named after none of its images"),
        (lambda a, b: [near(a, a), near(b, a), near(b, a)], "more than one row has the same image_id"),
        (lambda a, b: [near(a, a, 17), near(b, a, 17)], "less alike than the manifest's thresholds"),
    ],
)
def test_near_duplicates_are_checked(
    make: Callable[[str, str], list[NearDuplicate]], says: str | None, release: Path
) -> None:
    ids = pq.read_table(next((release / "prompts").glob("*.parquet")))["image_id"].to_pylist()
    encoder = read_manifest(release).inputs.features[CONFIG]
    write_near_duplicates(release / NEAR_DUPLICATES_NAME, make(ids[0], ids[1]), encoder)
    sign(release)
    problems = [str(problem) for problem in check_release(release) if problem.file == NEAR_DUPLICATES_NAME]
    assert any(says in problem for problem in problems) if says else problems == []


def test_near_duplicates_that_another_encoder_decided_are_refused(release: Path) -> None:
    encoder = read_manifest(release).inputs.features[CONFIG]
    for other in (None, encoder.model_copy(update={"model": "sfhq-demo-2"})):
        write_near_duplicates(release / NEAR_DUPLICATES_NAME, [], other)
        sign(release)
        assert any(
            "another encoder decided than the manifest" in str(each) for each in check_release(release)
        )


def test_a_table_of_near_duplicates_that_is_none_is_refused(release: Path) -> None:
    (release / NEAR_DUPLICATES_NAME).write_bytes(b"x")
    sign(release)
    assert any("it is not a table of near-duplicates" in str(problem) for problem in check_release(release))
    (release / NEAR_DUPLICATES_NAME).unlink()
    values = json.loads((release / "manifest.json").read_bytes())
    values["files"] = [entry for entry in values["files"] if entry["path"] != NEAR_DUPLICATES_NAME]
    write_manifest(release, values)
    assert any(f"{NEAR_DUPLICATES_NAME}: it is not there" in str(each) for each in check_release(release))

"""Features are those of the right images and texts, are encoded once, and change where something changed."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.demo_encoder.measure import COPIES, rate_report
from builders.catalog import Catalog
from builders.catalog.reader import SourceReader
from builders.features.encoder import Encoder, ModelFiles, load_encoder
from builders.features.encoder import Features as Vectors
from builders.features.encoding import Features
from builders.features.store import FEATURES_NAME, FeatureStore
from builders.parallel import IN_THREADS
from builders.pipeline import Notes, Plan, build_release, describe_inputs, plan_build
from builders.release.changes import ShardState
from builders.release.previous import PreviousRelease
from builders.release.reader import ReleaseReader
from builders.sample.faces import draw_face, random_face
from builders.sources.captions import CaptionSource
from builders.sources.images.sfhq import open_sfhq_folder
from builders.sources.intake import Source, SourceOptions
from schemas.features import DEMO_MODEL, DEMO_TAG, PROVENANCE_KEY, FeatureSettings, Provenance
from schemas.manifest import Manifest, RowChanges
from schemas.settings import BuildSettings, ContentSettings, DatasetSettings, DuplicateSettings
from schemas.versions import Bump
from tests.support import ROOT, SfhqFolder, good_folder, image_bytes

T = TypeVar("T")
CONFIG, CAPTIONS = "clip_plain", "clip_plain_captions"
DATASET = DatasetSettings(name="faces", title="Faces", repository="org/faces", summary="Faces.")
IMAGES_PER_PART = 4
# 1 - cosine, of JPEGs decoded at a reduced scale in bfloat16 to plain code in float32: DECISIONS.md.
TOLERANCE = 2e-4


def provenance(**changes: object) -> Provenance:
    """Describe an encoder."""
    values: dict[str, object] = {
        "model": "plain",
        "pretrained": "none",
        "weights_sha256": "0" * 64,
        "dimension": 8,
        "input_size": (1, 1),
        "image_mean": (0.0, 0.0, 0.0),
        "image_std": (1.0, 1.0, 1.0),
        "interpolation": "none",
        "resize_mode": "squash",
        "decoding": "none",
        "context_length": 77,
        "quick_gelu": False,
        "dtype": "float32",
        "normalized": True,
        "is_demonstration": False,
        "libraries": {},
    }
    return Provenance.model_validate(values | changes)


@dataclass
class PlainEncoder:
    """Makes vectors of digests, which any test can make, too, and counts."""

    provenance: Provenance = field(default_factory=provenance)
    batch_size: int = 3
    num_workers: int = 1
    logit_scale: float = 100.0
    images: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def encode_images(self, images: Iterable[bytes]) -> Vectors:
        images = list(images)
        self.images += [hashlib.sha256(image).hexdigest() for image in images]
        return np.stack([vector_of(image, self.provenance.dimension) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += [text for text in texts if text]
        return np.stack([vector_of(text.encode(), self.provenance.dimension) for text in texts])


def vector_of(data: bytes, dimension: int = 8) -> Vectors:
    """Make a vector of length 1 of some bytes."""
    digest = hashlib.shake_256(data).digest(dimension)
    numbers = np.frombuffer(digest, np.uint8).astype(np.float32) - 127.5
    return (numbers / np.linalg.norm(numbers)).astype(np.float16)


@dataclass
class World:
    """A collection with captions, and the releases that are built of it."""

    folder: SfhqFolder
    captions: list[dict[str, object]]
    out: Path
    encoder: PlainEncoder = field(default_factory=PlainEncoder)
    near_duplicates: DuplicateSettings | None = None
    stages: dict[str, int | None] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.out / FEATURES_NAME

    def build(self, version: str, previous: str | None = None, *, encode: bool = True) -> Plan:
        """Build a version, without checking it; what it encodes is counted from nought."""
        self.stages, self.encoder.images, self.encoder.texts = {}, [], []
        encoders: dict[str, Encoder] = {CONFIG: self.encoder} if encode else {}
        captions = self.out / "captions.jsonl"
        captions.write_text("".join(f"{json.dumps(line)}\n" for line in self.captions))
        sources = (
            open_sfhq_folder(self.folder.write(), "faces"),
            CaptionSource(captions, "captions", SourceOptions()),
        )
        return self.build_from(sources, encoders, version, previous)

    def build_from(
        self,
        sources: Sequence[Source],
        encoders: Mapping[str, Encoder],
        version: str,
        previous: str | None = None,
    ) -> Plan:
        """Build a version of some sources with some encoders."""
        content = ContentSettings(
            dataset=DATASET,
            build=BuildSettings(max_shard_bytes=2**20),
            features={name: encoder.provenance for name, encoder in encoders.items()},
            near_duplicates=self.near_duplicates,
        )
        notes = Notes((ROOT / "CITATION.cff").read_text(), (ROOT / "CHANGELOG.md").read_text())
        follows = None
        if previous is not None:
            follows = PreviousRelease(self.out / previous, self.manifest(previous))
        path = self.out / "catalog.sqlite"
        path.unlink(missing_ok=True)
        with closing(Catalog(path)) as catalog, FeatureStore(self.store) as store:
            entries = SourceReader(catalog, content.build, self.out).read(sources)
            entry = follows.entry if follows else None
            plan = plan_build(catalog, describe_inputs(version, content, entries, notes, entry), follows)
            execution = replace(IN_THREADS, track=self.track)
            build_release(self.out / version, catalog, plan, notes, Features(store, encoders), execution)
        return plan

    def track(self, items: Iterable[T], stage: str, total: int | None, /) -> Iterable[T]:
        """Note what is shown."""
        self.stages[stage] = total
        return items

    def manifest(self, version: str) -> Manifest:
        return Manifest.model_validate_json((self.out / version / "manifest.json").read_bytes())

    def rows(self, version: str, config: str) -> list[dict[str, Any]]:
        """Read a config, in the order of its files."""
        paths = [shard.path for shard in self.manifest(version).shards if shard.config == config]
        return [row for path in paths for row in pq.read_table(self.out / version / path).to_pylist()]

    def files(self, version: str, config: str) -> dict[str, int]:
        """Return path and inode of each file of a config."""
        shards = [shard for shard in self.manifest(version).shards if shard.config == config]
        return {shard.path: (self.out / version / shard.path).stat().st_ino for shard in shards}

    def changes(self, plan: Plan, config: str) -> RowChanges:
        assert plan.changes is not None
        return plan.changes.rows[config]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return eight noise images, four of which fill a part, with a sentence each and attributes of one."""
    folder = good_folder(tmp_path / "faces", 2 * IMAGES_PER_PART)
    for number, name in enumerate(list(folder.images)):
        folder.images[name] = noise(number)
    captions: list[dict[str, object]] = [
        {"file_name": row[0], "caption": f"a caption of {row[0]}"} for row in folder.rows
    ]
    captions.append({"file_name": folder.rows[0][0], "attributes": {"hair": "red"}})
    (tmp_path / "dist").mkdir()
    return World(folder, captions, tmp_path / "dist")


def noise(number: int) -> bytes:
    return image_bytes(number, "PNG", size=(290, 290))


def add_image(world: World, number: int) -> str:
    """Add an image with its row and give the digest of it."""
    name = f"SDXL_image_{number:07d}.jpg"
    world.folder.rows.append([name, *world.folder.rows[3][1:]])
    world.folder.images[f"images/{name}"] = noise(number)
    return hashlib.sha256(noise(number)).hexdigest()


# --- what is written ------------------------------------------------------------------------


def test_every_image_has_its_own_vector_in_the_order_of_the_images(world: World) -> None:
    world.build("1.0")
    images, features = world.rows("1.0", "default"), world.rows("1.0", CONFIG)
    assert len(features) == 8
    assert [row["image_id"] for row in features] == [row["image_id"] for row in images]
    for image, row in zip(images, features, strict=True):
        vector = vector_of(image["image"]["bytes"])
        assert np.array_equal(np.array(row["embedding"], np.float16), vector)
        dot = vector.astype(np.float64) @ vector_of(image["prompt"].encode()).astype(np.float64)
        assert row["prompt_similarity"] == np.float32(dot)


@pytest.mark.slow
def test_every_caption_has_its_similarity_and_attributes_without_a_sentence_have_none(world: World) -> None:
    world.build("1.0")
    images = {row["image_id"]: row["image"]["bytes"] for row in world.rows("1.0", "default")}
    captions, features = world.rows("1.0", "captions"), world.rows("1.0", CAPTIONS)
    assert len(features) == 9
    assert [row["caption_id"] for row in features] == [row["caption_id"] for row in captions]
    for caption, row in zip(captions, features, strict=True):
        if caption["caption"] is None:
            assert row["similarity"] is None
            continue
        vectors = vector_of(images[row["image_id"]]), vector_of(caption["caption"].encode())
        assert row["similarity"] == np.float32(np.dot(*(each.astype(np.float64) for each in vectors)))
    assert [row["similarity"] for row in features].count(None) == 1


@pytest.mark.slow
def test_an_image_without_a_prompt_has_no_similarity(world: World) -> None:
    world.folder.rows[0][2] = ""
    world.build("1.0")
    missing = [row["image_id"] for row in world.rows("1.0", CONFIG) if row["prompt_similarity"] is None]
    assert missing == [row["image_id"] for row in world.rows("1.0", "prompts") if row["prompt"] is None]
    assert len(missing) == 1


def test_files_and_manifest_say_which_encoder_made_them(world: World) -> None:
    world.build("1.0")
    manifest = world.manifest("1.0")
    assert manifest.inputs.features == {CONFIG: world.encoder.provenance}
    assert manifest.columns[CONFIG]["embedding"] == "list of 8 float"
    for path in (*world.files("1.0", CONFIG), *world.files("1.0", CAPTIONS)):
        metadata = pq.read_schema(world.out / "1.0" / path).metadata
        assert Provenance.model_validate_json(metadata[PROVENANCE_KEY]) == world.encoder.provenance


def test_without_features_there_is_nothing_of_them(world: World) -> None:
    world.build("1.0", encode=False)
    values = json.loads((world.out / "1.0" / "manifest.json").read_bytes())
    assert not {"features", "near_duplicates"} & values["inputs"].keys()
    assert not (world.out / "1.0" / "near_duplicates.parquet").exists()
    assert world.stages.keys() == {"writing images", "writing captions"}


# --- encoded once ---------------------------------------------------------------------------


@pytest.mark.slow
def test_images_are_encoded_once_and_seen_to_be(world: World) -> None:
    world.build("1.0")
    assert world.stages[f"encoding images, {CONFIG}"] == 8
    assert world.stages[f"encoding texts, {CONFIG}"] == 16
    first = world.manifest("1.0")
    shutil.rmtree(world.out / "1.0")
    world.build("1.0")
    assert (world.encoder.images, world.encoder.texts) == ([], [])
    assert world.manifest("1.0") == first


@pytest.mark.slow
def test_a_new_version_encodes_new_images_and_keeps_files(world: World) -> None:
    world.build("1.0")
    digest = add_image(world, 8)
    plan = world.build("1.1", "1.0")
    assert set(world.encoder.images) == {digest}
    assert world.stages[f"encoding images, {CONFIG}"] == 1
    before, after = world.files("1.0", CONFIG), world.files("1.1", CONFIG)
    assert len(before) == 2
    assert before.items() < after.items()
    assert world.changes(plan, CONFIG) == RowChanges(added=1, edited=0, removed=0)
    assert plan.changes is not None
    assert plan.changes.bump is Bump.MINOR


@pytest.mark.slow
@pytest.mark.parametrize("remake", [False, True])
def test_the_previous_release_stands_in_for_a_store_that_is_gone(world: World, remake: bool) -> None:
    world.build("1.0")
    world.store.unlink()
    digest = add_image(world, 8)
    del world.folder.rows[0], world.captions[0], world.captions[-1]  # its parts are written anew
    if remake:
        world.encoder = PlainEncoder(provenance(pretrained="others"))
    world.build("2.0", "1.0")
    others = {row["sha256"] for row in world.rows("2.0", "prompts")} if remake else set()
    assert set(world.encoder.images) == {digest} | others
    prompts = 0 if remake else 1
    assert len(world.encoder.texts) == (15 if remake else prompts)


@pytest.mark.slow
def test_a_damaged_file_of_the_previous_release_is_encoded_again(world: World) -> None:
    world.build("1.0")
    world.store.unlink()
    expected = world.rows("1.0", CONFIG)
    path = world.out / "1.0" / next(iter(world.files("1.0", CONFIG)))
    path.write_bytes(path.read_bytes()[:-1])
    world.build("1.0.1", "1.0")
    assert world.rows("1.0.1", CONFIG) == expected
    assert len(set(world.encoder.images)) == 4


@pytest.mark.slow
def test_a_damaged_store_is_made_anew(world: World) -> None:
    world.build("1.0")
    world.store.write_bytes(world.store.read_bytes()[:5000] + b"x" * 3000)
    world.build("1.1")
    assert len(set(world.encoder.images)) == 8
    assert world.rows("1.1", CONFIG) == world.rows("1.0", CONFIG)


class StoppedError(Exception):
    """What stops a run."""


def stop_after(num_batches: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have a run stop when so many batches of images have been kept; give what is kept, by digest."""
    kept: list[str] = []
    keep, batches = FeatureStore.add_images, itertools.count()

    def stop(store: FeatureStore, maker: str, made: Iterable[tuple[str, bytes]]) -> None:
        if next(batches) == num_batches:
            raise StoppedError
        images = list(made)
        keep(store, maker, images)
        kept.extend(sha256 for sha256, _ in images)

    monkeypatch.setattr(FeatureStore, "add_images", stop)
    return kept


@pytest.mark.slow
def test_a_run_that_is_stopped_loses_no_batch_that_was_finished(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = stop_after(2, monkeypatch)
    with pytest.raises(StoppedError):
        world.build("1.0")
    monkeypatch.undo()
    finished = set(kept)
    world.build("1.0")
    assert len(finished) == 6
    assert len(set(world.encoder.images)) == 2
    assert not finished & set(world.encoder.images)


# --- what changes, and what does not --------------------------------------------------------


@pytest.mark.slow
def test_an_edited_prompt_edits_one_row_of_features(world: World) -> None:
    world.build("1.0")
    world.folder.rows[0][2] = "another prompt"
    plan = world.build("2.0", "1.0")
    assert (world.encoder.images, world.encoder.texts) == ([], ["another prompt"])
    assert world.changes(plan, CONFIG) == RowChanges(added=0, edited=1, removed=0)
    assert world.changes(plan, CAPTIONS) == RowChanges(added=0, edited=0, removed=0)
    assert len(world.files("1.0", CONFIG).items() & world.files("2.0", CONFIG).items()) == 1


@pytest.mark.slow
def test_what_features_do_not_see_leaves_their_files_alone(world: World) -> None:
    world.build("1.0")
    world.captions.append({"file_name": world.folder.rows[0][0], "caption": "more"})
    plan = world.build("2.0", "1.0")
    assert world.changes(plan, "prompts").edited == 1
    assert world.changes(plan, CONFIG) == RowChanges(added=0, edited=0, removed=0)
    assert world.changes(plan, CAPTIONS) == RowChanges(added=1, edited=0, removed=0)
    assert world.files("2.0", CONFIG) == world.files("1.0", CONFIG)
    assert world.files("1.0", CAPTIONS).items() < world.files("2.0", CAPTIONS).items()


@pytest.mark.slow
def test_another_encoder_edits_all_rows_of_its_configs_and_no_other_file(world: World) -> None:
    world.build("1.0")
    world.encoder = PlainEncoder(provenance(libraries={"torch": "3"}))
    plan = world.build("2.0", "1.0")
    assert world.changes(plan, CONFIG) == RowChanges(added=0, edited=8, removed=0)
    assert world.changes(plan, CAPTIONS) == RowChanges(added=0, edited=9, removed=0)
    assert plan.changes is not None
    assert plan.changes.bump is Bump.MAJOR
    rewritten = {shard.config for shard in plan.shards if shard.state is ShardState.REWRITTEN}
    assert rewritten == {CONFIG, CAPTIONS}
    assert "another encoder makes its rows" in {shard.why for shard in plan.shards}
    changed = pq.read_table(world.out / "2.0" / "changes.parquet").to_pylist()
    assert {(row["config"], row["change"]) for row in changed} == {(CONFIG, "edited"), (CAPTIONS, "edited")}
    assert len(changed) == 17


@pytest.mark.slow
def test_features_of_another_dimension_are_columns_of_another_type(world: World) -> None:
    world.build("1.0")
    world.encoder = PlainEncoder(provenance(dimension=16))
    plan = world.build("2.0", "1.0")
    assert plan.changes is not None
    assert plan.changes.new_columns == (f"{CONFIG}.embedding",)
    assert plan.changes.lost_columns == (f"{CONFIG}.embedding",)
    assert {len(row["embedding"]) for row in world.rows("2.0", CONFIG)} == {16}


@pytest.mark.slow
def test_first_features_are_a_minor_change_and_lost_ones_a_major_one(world: World) -> None:
    world.build("1.0", encode=False)
    plan = world.build("1.1", "1.0")
    assert plan.changes is not None
    assert plan.changes.bump is Bump.MINOR
    assert world.changes(plan, CONFIG) == RowChanges(added=8, edited=0, removed=0)
    assert world.files("1.1", "default") == world.files("1.0", "default")
    plan = world.build("2.0", "1.1", encode=False)
    assert plan.changes is not None
    assert plan.changes.bump is Bump.MAJOR
    assert plan.changes.lost_configs == (CONFIG, CAPTIONS)
    assert not (world.out / "2.0" / CONFIG).exists()


# --- near-duplicates ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("encode", [False, True])
def test_an_image_saved_again_is_a_near_duplicate(world: World, encode: bool) -> None:
    names = list(world.folder.images)[:2]
    faces = [image_bytes(100, kind, size=(200, 200)) for kind in ("PNG", "JPEG")]
    world.folder.images |= dict(zip(names, faces, strict=True))
    world.near_duplicates = DuplicateSettings(features=CONFIG if encode else None)
    world.build("1.0", encode=encode)
    assert world.stages["hashing images"] == 8
    rows = pq.read_table(world.out / "1.0" / "near_duplicates.parquet").to_pylist()
    ids = sorted(hashlib.sha256(face).hexdigest()[:16] for face in faces)
    assert sorted(row["image_id"] for row in rows) == ids
    assert {row["kind"] for row in rows} == {"hash"}
    assert [entry.path for entry in world.manifest("1.0").files].count("near_duplicates.parquet") == 1
    add_image(world, 8)
    world.build("1.1", "1.0", encode=encode)
    assert world.stages["hashing images"] == 1


@pytest.mark.slow
def test_planted_copies_are_found_through_a_build_and_nothing_else(tmp_path: Path) -> None:
    """Each face that the encoder has not seen lies beside one copy; kinds of copies take turns."""
    folder, planted = SfhqFolder(tmp_path / "faces"), []
    row = good_folder(tmp_path / "unused").rows[3]
    for number, make_copy in zip(range(48), itertools.cycle(COPIES.values()), strict=False):
        face = draw_face(random_face(number))
        for name, image in ((f"{number}.jpg", face), (f"{number}-copy.jpg", make_copy(face))):
            file = io.BytesIO()
            image.save(file, "JPEG", quality=90)
            folder.rows.append([name, *row[1:]])
            folder.images[f"images/{name}"] = file.getvalue()
        ids = [hashlib.sha256(data).hexdigest()[:16] for data in list(folder.images.values())[-2:]]
        planted.append((ids[0], ids[1]))
    (tmp_path / "dist").mkdir()
    world = World(folder, [], tmp_path / "dist", near_duplicates=DuplicateSettings(features=CONFIG))
    encoder = load_encoder(FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG))
    world.build_from([open_sfhq_folder(folder.write(), "faces")], {CONFIG: encoder}, "1.0")
    report = rate_report(ReleaseReader(world.out / "1.0", ()).near_duplicates() or [], planted)
    assert report.recall >= 0.9, report
    assert report.precision == 1
    assert report.by_hash < report.recall  # crops are found by their vectors


class BlindEncoder(PlainEncoder):
    """Takes all images for the same."""

    def encode_images(self, images: Iterable[bytes]) -> Vectors:
        return np.stack([vector_of(b"any", self.provenance.dimension) for _ in images])


@pytest.mark.slow
@pytest.mark.parametrize("decides", [CONFIG, "clip_a_blind_one"])
def test_the_features_that_are_named_decide_and_card_and_table_name_them(world: World, decides: str) -> None:
    blind = BlindEncoder(provenance(model="blind"))
    encoders: dict[str, Encoder] = {CONFIG: world.encoder, "clip_a_blind_one": blind}
    world.near_duplicates = DuplicateSettings(features=decides)
    world.build_from([open_sfhq_folder(world.folder.write(), "faces")], encoders, "1.0")
    table = pq.read_table(world.out / "1.0" / "near_duplicates.parquet")
    assert table.num_rows == (0 if decides == CONFIG else 8)
    assert table.schema.metadata[PROVENANCE_KEY].decode() == encoders[decides].provenance.text
    card = (world.out / "1.0" / "README.md").read_text()
    assert f"All pairs of images were compared by the features `{decides}`" in card
    limits = world.manifest("1.0").inputs.near_duplicates
    assert limits is not None
    assert limits.features == decides


# --- a real model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write random weights of ViT-B-32: the arithmetic is that of trained ones."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(open_clip.create_model("ViT-B-32").state_dict(), path)
    return path


NUM_REAL = 60  # more than three batches


def real_folder(sfhq_sample: Path, path: Path) -> Path:
    """Copy some of the real images, by every generator, with the table of all of them."""
    (path / "images").mkdir(parents=True)
    shutil.copy(sfhq_sample / "SFHQ_T2I_dataset.csv", path)
    images = sorted((sfhq_sample / "images").iterdir())
    for image in images[:: len(images) // NUM_REAL][:NUM_REAL]:
        shutil.copy(image, path / "images")
    return path


@pytest.mark.slow
def test_features_of_real_images_are_those_of_plain_code(
    sfhq_sample: Path, random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip
    import torch
    from PIL import Image

    settings = FeatureSettings(model="ViT-B-32", pretrained=str(random_weights), device="cpu")
    folder = real_folder(sfhq_sample, tmp_path / "real")
    sources = (
        open_sfhq_folder(folder, "real"),
        CaptionSource(sfhq_sample / "captions.jsonl", "captions", SourceOptions()),
    )
    encoders: dict[str, Encoder] = {settings.config: load_encoder(settings, ModelFiles(random_weights))}
    worlds = [World(good_folder(tmp_path / "unused"), [], tmp_path / name) for name in ("whole", "stopped")]
    whole, stopped = worlds
    for world in worlds:
        world.out.mkdir()
    whole.build_from(sources, encoders, "1.0")

    stop_after(3, monkeypatch)
    with pytest.raises(StoppedError):
        stopped.build_from(sources, encoders, "1.0")
    monkeypatch.undo()
    stopped.build_from(sources, encoders, "1.0")
    assert stopped.stages["encoding images, clip_vit_b_32"] in (
        NUM_REAL - 3 * 16,
        NUM_REAL - 2 * 16 - NUM_REAL % 16,
    )
    assert stopped.manifest("1.0") == whole.manifest("1.0")

    images, rows = whole.rows("1.0", "prompts"), whole.rows("1.0", "clip_vit_b_32")
    assert [row["image_id"] for row in rows] == [image["image_id"] for image in images]
    assert len(rows) == NUM_REAL
    ours = np.array([row["embedding"] for row in rows], np.float32)
    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32", str(random_weights))
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    plain, texts = [], []
    with torch.inference_mode():
        for image in images:
            with Image.open(folder / "images" / image["file_name"]) as opened:
                pixels = preprocess(opened.convert("RGB"))[None]
            plain.append(torch.nn.functional.normalize(model.eval().encode_image(pixels), dim=-1)[0].numpy())
            tokens = tokenize([image["prompt"] or ""])
            texts.append(torch.nn.functional.normalize(model.encode_text(tokens), dim=-1)[0].numpy())
    assert (1 - (ours * np.array(plain)).sum(1)).max() < TOLERANCE
    assert np.array_equal((ours @ np.array(plain).T).argmax(1), np.arange(NUM_REAL))
    for row, image, cosine in zip(rows, images, (np.array(plain) * np.array(texts)).sum(1), strict=True):
        expected = None if image["prompt"] is None else pytest.approx(cosine, abs=0.01)
        assert row["prompt_similarity"] == expected

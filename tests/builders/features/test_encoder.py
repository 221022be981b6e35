"""Encoders give what plain code gives, whatever the images stand beside, and refuse unsafe weights."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Image as DatasetImage
from PIL import ExifTags, Image, ImageChops, ImageOps, ImageStat

from builders.card.figures.drawing import TILE_PIXELS, make_tile
from builders.features.encoder import Encoder, Features, ModelFiles, encode_stream, load_encoder
from builders.images.hashes import hash_image, hash_pixels
from builders.sample import encoder as demo_encoder
from builders.sample.faces import draw_face, random_face
from schemas.features import DEMO_MODEL, DEMO_TAG, FeatureSettings, Provenance
from schemas.problems import BuildError, SettingsError
from tests.support import MODELS, ROOT, image_bytes

DEMO = FeatureSettings(model=DEMO_MODEL, pretrained=DEMO_TAG)
# Of 1 - cosine to plain code in float32; the largest measured are 9e-6 and 7e-5: DECISIONS.md.
TOLERANCES = {"float32": 2e-5, "bfloat16": 2e-4}


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder(DEMO)


@pytest.fixture(scope="session")
def faces() -> list[bytes]:
    return [saved(draw_face(random_face(seed), 128)) for seed in range(21)]


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode_all(encoder: Encoder, images: Sequence[bytes]) -> Features:
    features = np.empty((len(images), encoder.provenance.dimension), np.float16)
    for rows, vectors in encode_stream(encoder, range(len(images)), images.__getitem__):
        features[list(rows)] = vectors
    return features


# --- images and texts -----------------------------------------------------------------------


def test_vectors_have_length_one_and_are_float16(encoder: Encoder, faces: list[bytes]) -> None:
    vectors = [encoder.encode_images(faces[:3]), encoder.encode_texts(["a smiling person", "green hair"])]
    assert [each.shape for each in vectors] == [(3, 128), (2, 128)]
    for each in vectors:
        assert each.dtype == np.float16
        np.testing.assert_allclose(np.linalg.norm(each.astype(np.float32), axis=1), 1, atol=1e-3)


def test_nothing_gives_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, 128)
    assert list(encode_stream(encoder, [], bytes)) == []


def test_a_stream_is_cut_into_batches_of_names_and_vectors(encoder: Encoder, faces: list[bytes]) -> None:
    files = {f"{index}.jpg": data for index, data in enumerate(faces)}
    batches = list(encode_stream(encoder, files, files.__getitem__))
    assert sorted(len(batch) for batch, _ in batches) == [5, 16]
    assert sorted(name for batch, _ in batches for name in batch) == sorted(files)
    for batch, vectors in batches:
        alone = np.concatenate([encoder.encode_images([files[name]]) for name in batch])
        np.testing.assert_allclose(vectors, alone, atol=2e-3)


@pytest.mark.slow
def test_a_vector_does_not_depend_on_the_images_beside_it(encoder: Encoder, faces: list[bytes]) -> None:
    together = encode_all(encoder, faces)
    assert np.array_equal(encode_all(encoder, faces[::-1]), together[::-1])
    assert np.array_equal(encode_all(encoder, faces[18:]), together[18:])


def test_the_demonstration_encoder_gives_the_same_bits_beside_any_others(encoder: Encoder) -> None:
    """A run that goes on, and a new version, have other batches than a first run."""
    images = [image_bytes(number, size=(64, 64)) for number in range(40)]
    alone = np.concatenate([encoder.encode_images([image]) for image in images])
    for size in (3, 16):
        batches = [encoder.encode_images(images[at : at + size]) for at in range(0, len(images), size)]
        assert np.array_equal(np.concatenate(batches), alone)


def test_a_stream_takes_a_batch_for_each_worker_and_gives_what_is_done(
    encoder: Encoder, faces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "num_workers", 3)
    taken, released = itertools.count(), threading.Event()

    def read(number: int) -> bytes:
        if number == 0:
            released.wait(60)
        return faces[number % len(faces)]

    stream = encode_stream(encoder, taken, read)
    given = [next(stream)[0][0] for _ in range(4)]
    released.set()
    stream.close()  # type: ignore[attr-defined] # a generator
    assert 0 not in given  # nobody waits for it
    assert next(taken) == (len(given) + 2) * 16


@pytest.mark.parametrize(("device", "num_workers", "at_once"), [("cpu", 64, 4), ("cuda", 16, 1)])
def test_cores_compute_side_by_side_and_a_gpu_one_batch_at_a_time(
    device: str, num_workers: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from builders.features.clip import ClipEncoder, load_clip

    encoder = load_clip(DEMO)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    found = ClipEncoder(replace(encoder._parts, device=device), encoder.provenance)
    assert found.num_workers == num_workers
    together, running, most = threading.Barrier(4), [], []

    def compute() -> torch.Tensor:
        running.append(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.2 if at_once == 1 else 60)
        most.append(len(running))
        running.pop()
        return torch.ones(1, 128)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: found._run(compute), range(4)))
    assert max(most) == at_once


def test_the_demonstration_encoder_gives_what_open_clip_makes_of_its_weights(
    encoder: Encoder, faces: list[bytes]
) -> None:
    from builders.features.clip import load_clip

    other = load_clip(DEMO)
    wide = saved(draw_face(random_face(5), 256).crop((0, 40, 256, 201)))
    images, texts = (
        [*faces[:3], wide, saved(Image.new("L", (300, 40)), "PNG")],
        [*demo_encoder.EXAMPLES, "", "hat " * 99],
    )
    for found, expected in (
        (encoder.encode_images(images), other.encode_images(images)),
        (encoder.encode_texts(texts), other.encode_texts(texts)),
    ):
        assert found.dtype == expected.dtype
        assert np.abs(found.astype(np.float64) - expected).max() < 2e-4  # float16 rounds to 1.2e-4 below 0.25
    mine, theirs = (each.provenance.model_dump(exclude={"libraries"}) for each in (encoder, other))
    assert mine == theirs


def test_a_damaged_image_is_named(encoder: Encoder, faces: list[bytes]) -> None:
    files = {"good.jpg": faces[0], "bad.jpg": faces[1][:900], "fine.jpg": faces[2]}
    with pytest.raises(BuildError, match=r"bad\.jpg: the image cannot be encoded: it does not decode: "):
        list(encode_stream(encoder, files, files.__getitem__))


class Spoiled:
    """An encoder some of whose vectors are no use."""

    def __init__(self, encoder: Encoder, value: float) -> None:
        self._encoder, self._value = encoder, value

    @property
    def provenance(self) -> Provenance:
        return self._encoder.provenance

    @property
    def batch_size(self) -> int:
        return 2

    @property
    def num_workers(self) -> int:
        return 2

    @property
    def logit_scale(self) -> float:
        return self._encoder.logit_scale

    def encode_images(self, images: Iterable[bytes]) -> Features:
        features = self._encoder.encode_images(images)
        features[1] *= self._value
        return features

    def encode_texts(self, texts: Sequence[str]) -> Features:
        return self._encoder.encode_texts(texts)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_that_is_none_is_refused_with_the_images_name(
    encoder: Encoder, faces: list[bytes], value: float
) -> None:
    files = dict(zip(["a.jpg", "b.jpg"], faces, strict=False))
    with pytest.raises(BuildError, match=r"^b\.jpg: .* a vector of length (nan|inf|0) where 1 is right"):
        list(encode_stream(Spoiled(encoder, value), files, files.__getitem__))


@pytest.mark.parametrize(
    ("kind", "mode", "size", "decoded"),
    [
        ("JPEG", "RGB", (1024, 1024), (128, 128)),
        ("JPEG", "RGB", (1023, 600), (256, 150)),
        ("JPEG", "L", (512, 512), (128, 128)),
        ("JPEG", "RGB", (255, 255), (255, 255)),
        ("JPEG", "CMYK", (512, 512), (512, 512)),
        ("PNG", "P", (512, 512), (512, 512)),
        ("WEBP", "RGB", (300, 20), (300, 20)),
    ],
)
def test_jpegs_are_decoded_as_small_as_leaves_twice_what_is_seen(
    kind: str, mode: str, size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    from builders.features.decoding import decode_image

    image = decode_image(saved(Image.new(mode, size), kind), (64, 64))
    assert (image.mode, image.size) == ("RGB", decoded)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 10))  # 9 means nothing
def test_images_are_seen_as_datasets_shows_them(kind: str, orientation: int) -> None:
    from builders.features.decoding import decode_image

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    face = draw_face(random_face(1), 256).crop((0, 0, 256, 128))
    data = saved(face, kind, exif=exif)
    shown = DatasetImage().decode_example({"bytes": data, "path": None}).convert("RGB")
    seen = decode_image(data, (64, 64))
    assert seen.size == shown.size
    assert ImageStat.Stat(ImageChops.difference(seen, shown)).mean < [1, 1, 1]
    tile = ImageOps.fit(shown, (TILE_PIXELS, TILE_PIXELS))
    assert ImageStat.Stat(ImageChops.difference(make_tile(data), tile)).mean < [4, 4, 4]
    assert hash_distance(hash_image(data), hash_pixels(shown)) < 8


def hash_distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


@pytest.mark.slow
def test_a_reduced_scale_changes_little(encoder: Encoder) -> None:
    faces = [draw_face(random_face(seed), 1024) for seed in range(2)]
    reduced = encoder.encode_images([saved(face, quality=90) for face in faces]).astype(np.float32)
    files = [Image.open(io.BytesIO(saved(face, quality=90))) for face in faces]
    full = encoder.encode_images([saved(file, "PNG") for file in files]).astype(np.float32)
    assert (1 - (reduced * full).sum(1)).max() < 1e-3


def test_provenance_says_what_the_vectors_depend_on(encoder: Encoder) -> None:
    found = encoder.provenance
    digest = hashlib.sha256(demo_encoder.WEIGHTS.read_bytes()).hexdigest()
    assert (found.model, found.pretrained, found.weights_sha256) == (DEMO_MODEL, DEMO_TAG, digest)
    assert (found.input_size, found.dimension, found.dtype) == ((64, 64), 128, "float32")
    assert (found.interpolation, found.resize_mode, found.normalized) == ("bicubic", "shortest", True)
    assert found.is_demonstration
    assert set(found.libraries) == {"numpy", "pillow", "scipy", "simplejpeg"}
    assert str(ROOT) not in found.model_dump_json()


# --- what is refused ------------------------------------------------------------------------


def refusal(**settings: Any) -> str:
    chosen = FeatureSettings(**{"model": "ViT-S-32", "pretrained": "weights", **settings})
    with pytest.raises(SettingsError) as caught:
        load_encoder(chosen, ModelFiles(Path(chosen.weights or chosen.pretrained)))
    return str(caught.value)


class Code:
    """Runs when it is read from a pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.write_text, (self.path, "ran"))


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin"])
def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    import torch

    path, trace = tmp_path / name, tmp_path / "trace"
    torch.save({"weights": torch.zeros(2), "other": Code(trace)}, path)
    message = refusal(pretrained=str(path))
    assert "the checkpoint holds more than numbers, and reading it could run code" in message
    assert "safetensors" in message
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:.*TorchScript:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_a_program_is_refused_as_one(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "ViT-B-32.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)  # type: ignore[no-untyped-call]
    message = refusal(pretrained=str(path))
    assert "this is a TorchScript program, which is code" in message
    assert "safetensors" in message


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.7])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, name: str, share: float) -> None:
    import torch
    from safetensors.torch import save_file

    path, numbers = tmp_path / name, {"numbers": torch.zeros(5000)}
    if path.suffix == ".pt":
        torch.save(numbers, path)
    else:
        save_file(numbers, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "the checkpoint is damaged or of another kind: " in refusal(pretrained=str(path))


@pytest.mark.slow
def test_weights_of_another_model_are_refused() -> None:
    message = refusal(pretrained=str(demo_encoder.WEIGHTS))
    assert "ViT-S-32 does not load with these weights: " in message
    assert "weights.safetensors" in message


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    assert "the weights cannot be read: No such file" in refusal(pretrained=str(tmp_path / "a.pt"))
    (tmp_path / "a.jpg").write_bytes(image_bytes(1))
    assert "this is not a checkpoint" in refusal(pretrained=str(tmp_path / "a.jpg"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"model": "ViT-B-23"}, "open_clip has no such model (value: 'ViT-B-23')"),
        ({"model": DEMO_MODEL, "dtype": "float16", "device": "cpu"}, "most CPUs compute in float16 slower"),
        ({"model": "ViT-B-16-SigLIP"}, "differs from the default: webli"),
        ({"model": "ViT-L-14"}, "differs from the default: openai, laion400m_e31"),
        ({"model": "RN50"}, "differs from the default: openai, yfcc15m, cc12m"),
        ({"model": "RN50", "pretrained": "opnai", "weights": "any.pt"}, "did you mean openai?"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, str], expected: str) -> None:
    assert expected in refusal(**{"pretrained": str(demo_encoder.WEIGHTS), **settings})


def test_without_the_libraries_the_kit_works_and_says_what_to_install() -> None:
    script = """
import sys
sys.modules["open_clip"] = None
from builders.features.encoder import load_encoder
from schemas.features import FeatureSettings
from schemas.problems import SettingsError
load_encoder(FeatureSettings(model="sfhq-demo", pretrained="built-in")).encode_texts(["a hat"])
assert "torch" not in sys.modules
try:
    load_encoder(FeatureSettings(model="ViT-B-32", pretrained="openai"))
except SettingsError as error:
    print(error)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "features need a library that is not here: open_clip" in done.stdout
    assert "pip install '.[features]'" in done.stdout


# --- models of other makes --------------------------------------------------------------------


def load_tiny(name: str, path: Path, **settings: str) -> Encoder:
    named = {"model": name, "pretrained": str(path), "dtype": "float32", "device": "cpu", **settings}
    return load_encoder(FeatureSettings.model_validate(named), ModelFiles(path))


@pytest.mark.parametrize("name", MODELS)
def test_all_parts_of_a_model_run_in_bfloat16(
    name: str, make_model: Callable[[str], Path], faces: list[bytes]
) -> None:
    weights = make_model(name)
    exact, rounded = (load_tiny(name, weights, dtype=dtype) for dtype in ("float32", "bfloat16"))
    texts = ["a person with green hair", "a smiling child"]
    for one, other in (
        (exact.encode_images(faces[:4]), rounded.encode_images(faces[:4])),
        (exact.encode_texts(texts), rounded.encode_texts(texts)),
    ):
        assert (1 - (one.astype(np.float32) * other.astype(np.float32)).sum(1)).max() < 2e-3


def test_what_a_model_cannot_do_is_told(
    make_model: Callable[[str], Path], faces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    encoder = load_tiny("tiny-ViT", make_model("tiny-ViT"), dtype="bfloat16")

    def fail(*_: object) -> None:
        raise RuntimeError("expected m1 and m2 to have the same dtype\nand much more")

    monkeypatch.setattr(open_clip.CLIP, "encode_image", fail)
    monkeypatch.setattr(open_clip.CLIP, "encode_text", fail)
    runs: list[Callable[[], object]] = [
        lambda: encode_all(encoder, faces),
        lambda: encoder.encode_texts(["a text"]),
    ]
    for run in runs:
        with pytest.raises(SettingsError) as caught:
            run()
        said = str(caught.value)
        assert "tiny-ViT does not run in bfloat16 on cpu: expected m1 and m2 to have the same dtype (" in said
        assert 'use dtype = "float32"' in said


def test_provenance_says_how_much_of_a_text_the_tokenizer_reads(
    make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    weights = make_model("tiny-CoCa")
    assert load_tiny("tiny-CoCa", weights).provenance.context_length == 76
    # As for text towers of other libraries, which could read more than their tokenizers give them.
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda _: open_clip.SimpleTokenizer(context_length=20))
    assert load_tiny("tiny-CoCa", weights).provenance.context_length == 20


def test_libraries_that_a_model_uses_are_told_or_missed_at_once(
    make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = make_model("tiny-timm")
    assert "timm" in load_tiny("tiny-timm", weights).provenance.libraries

    def version(name: str) -> str:
        if name == "transformers":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    for model in ("roberta-ViT-B-32", "ViT-B-32-SigLIP2-256"):
        with pytest.raises(SettingsError) as caught:
            load_tiny(model, weights, pretrained=open_clip_tag(model))
        said = str(caught.value)
        assert (
            f"features.model: this model needs a library that is not here: transformers (value: '{model}')"
            in said
        )
        assert "pip install transformers" in said


def open_clip_tag(model: str) -> str:
    import open_clip

    return str(open_clip.list_pretrained_tags_by_model(model)[0])


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (OSError("the vocabulary cannot be read\nCheck"), "install open_clip_torch again"),
        (ImportError("It requires the SentencePiece library"), "install with pip what it needs"),
    ],
)
def test_a_tokenizer_that_is_not_here_is_told_before_an_image_is_encoded(
    error: Exception, fix: str, make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    monkeypatch.setattr(open_clip, "get_tokenizer", raising(error))
    with pytest.raises(SettingsError) as caught:
        load_tiny("tiny-ViT", make_model("tiny-ViT"))
    line = str(error).splitlines()[0]
    assert f"features.model: its tokenizer cannot be loaded: {line} (value" in str(caught.value)
    assert fix in str(caught.value)


def test_a_text_towers_files_are_not_taken_for_wrong_weights(
    make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    weights = make_model("tiny-ViT")
    monkeypatch.setattr(open_clip, "create_model", raising(OSError("config.json is damaged")))
    expected = r"its parts cannot be loaded: config.json is damaged .*copy or download them again"
    with pytest.raises(SettingsError, match=expected):
        load_tiny("tiny-ViT", weights)


def test_a_tags_file_is_prepared_as_the_tag_says(
    make_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from open_clip import pretrained

    weights, tags = make_model("tiny-ViT"), {"ours": pretrained._slpcfg(quick_gelu=True)}
    plain = load_tiny("tiny-ViT", weights).provenance
    assert (plain.pretrained, plain.resize_mode, plain.quick_gelu) == (
        "random.safetensors",
        "shortest",
        False,
    )
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-ViT", tags)
    found = load_tiny("tiny-ViT", weights, pretrained="ours", weights=str(weights)).provenance
    assert (found.pretrained, found.resize_mode, found.quick_gelu) == ("ours", "squash", True)
    assert found.image_mean == found.image_std == (0.5, 0.5, 0.5)
    assert found.weights_sha256 == plain.weights_sha256


@pytest.mark.parametrize(
    ("tags", "is_refused"),
    [
        ([{}, {"quick_gelu": True}], False),
        ([{"quick_gelu": True}], True),
        ([{}, {"resize_mode": "squash"}], True),
        ([{"interpolation": "bilinear"}], True),
    ],
)
def test_a_file_is_taken_for_the_models_own_only_where_its_tags_see_alike(
    tags: list[dict[str, Any]],
    is_refused: bool,
    make_model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from open_clip import pretrained

    weights = make_model("tiny-ViT")
    named = {f"tag_{number}": pretrained._pcfg(**tag) for number, tag in enumerate(tags)}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-ViT", named)
    if not is_refused:
        assert load_tiny("tiny-ViT", weights).provenance.pretrained == "random.safetensors"
        return
    with pytest.raises(SettingsError) as caught:
        load_tiny("tiny-ViT", weights)
    said = str(caught.value)
    assert f"differs from the default: {', '.join(named)}" in said
    assert f'write pretrained = "<tag>" with weights = "{weights}"' in said


# --- a real model ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return random weights of ViT-B-32: the arithmetic is that of trained ones."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("large") / "random.safetensors"
    save_file(open_clip.create_model("ViT-B-32").state_dict(), path)
    yield path
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vectors_are_those_of_plain_code(large_weights: Path, sfhq_sample: Path, dtype: str) -> None:
    import open_clip
    import torch

    paths = sorted((sfhq_sample / "images").iterdir())[::16]
    # The sample's images are smaller than the collection's 1024 pixels, which are decoded at half their size.
    large = [Image.open(path).convert("RGB").resize((1024, 1024)) for path in paths[:5]]
    files = [*(path.read_bytes() for path in paths), *(saved(image, quality=95) for image in large)]
    settings = FeatureSettings.model_validate(
        {"model": "ViT-B-32", "pretrained": str(large_weights), "dtype": dtype, "device": "cpu"}
    )
    encoder = load_encoder(settings, ModelFiles(large_weights))
    ours = encode_all(encoder, files).astype(np.float32)

    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32", str(large_weights))
    with torch.inference_mode():
        pixels = torch.stack([preprocess(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])
        plain = torch.nn.functional.normalize(model.eval().encode_image(pixels), dim=-1).numpy()
    ours /= np.linalg.norm(
        ours, axis=1, keepdims=True
    )  # float16 rounds lengths, which is not what is measured
    assert (1 - (ours * plain).sum(1)).max() < TOLERANCES[dtype]
    assert np.array_equal((ours @ plain.T).argmax(1), np.arange(len(files)))


@pytest.mark.slow
def test_a_tag_brings_its_activation(large_weights: Path) -> None:
    """By itself, open_clip runs OpenAI's weights with another activation than they were trained with."""
    import open_clip
    import torch

    settings = FeatureSettings(model="ViT-B-32", pretrained="openai", dtype="float32", device="cpu")
    encoder = load_encoder(settings, ModelFiles(large_weights))
    assert (encoder.provenance.pretrained, encoder.provenance.quick_gelu) == ("openai", True)
    text = "a person with green hair"
    ours = encoder.encode_texts([text])[0].astype(np.float32)
    ours /= np.linalg.norm(ours)  # float16 rounds it
    tokens = open_clip.get_tokenizer("ViT-B-32")([text])

    def plain(name: str) -> Any:
        model = open_clip.create_model(name, str(large_weights)).eval()
        with torch.inference_mode():
            return model.encode_text(tokens, normalize=True)[0].numpy()

    right, wrong = (1 - ours @ plain(name) for name in ("ViT-B-32-quickgelu", "ViT-B-32"))
    assert 10 * right < wrong

"""Runs the demonstration encoder with NumPy alone: no torch, and nothing of the extra `features`.

Importing torch and open_clip takes 11 CPU seconds and 1.5 GB, more than all else that a release of the sample
does. The model is open_clip's ModifiedResNet with its text transformer, in the sizes of `sfhq-demo.json`; the
numbers differ from open_clip's by what float16 rounds. Batch normalisation is part of the convolutions here.

Source: modified_resnet.py and transformer.py of open_clip 3.3.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builders.features.decoding import DECODING, decode_image
from builders.features.encoder import Features, ImageNotEncodedError
from builders.sample import encoder as demo_encoder
from schemas.features import FeatureSettings, Provenance

# In float32, the last digits of a product depend on the number of threads and on the other images of a batch,
# which float16 can show. In float64 they are far below what float16 rounds.
_Floats = NDArray[np.float64]

_BATCH_SIZE = 16
# Blocks of each; all but the first halve the size.
_LAYERS = {"layer1": 1, "layer2": 2, "layer3": 2, "layer4": 1}
_IMAGE_HEADS, _TEXT_HEADS, _TEXT_BLOCKS = 8, 4, 2
_DIMENSION, _PIXELS = 128, 64
# What open_clip subtracts from and divides by where a configuration says nothing.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_EPSILON = 1e-5
_LIBRARIES = ("numpy", "pillow", "scipy", "simplejpeg")


class DemonstrationEncoder:
    """The demonstration encoder; an `Encoder`."""

    def __init__(self, settings: FeatureSettings) -> None:
        # NumPy uses all cores by itself; threads beside each other would only wait for each other.
        self.batch_size, self.num_workers = _BATCH_SIZE, 1
        data = demo_encoder.WEIGHTS.read_bytes()
        self._weights = _read_weights(data)
        self.logit_scale = float(np.exp(self._weights["logit_scale"]))
        self.provenance = Provenance(
            model=settings.model,
            pretrained=settings.pretrained,
            weights_sha256=hashlib.sha256(data).hexdigest(),
            dimension=_DIMENSION,
            input_size=(_PIXELS, _PIXELS),
            image_mean=_MEAN,
            image_std=_STD,
            interpolation="bicubic",
            resize_mode="shortest",
            decoding=DECODING,
            context_length=demo_encoder.CONTEXT_LENGTH,
            quick_gelu=False,
            dtype="float32",
            normalized=True,
            is_demonstration=True,
            libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
        )

    def encode_images(self, images: Iterable[bytes]) -> Features:
        """Encode image files, as `Encoder` says."""
        prepared = [_prepare(position, data) for position, data in enumerate(images)]
        if not prepared:
            return np.empty((0, _DIMENSION), np.float16)
        x = self._convolve(np.stack(prepared), "visual.conv1", "visual.bn1", stride=2)
        x = self._convolve(x, "visual.conv2", "visual.bn2")
        x = _halve(self._convolve(x, "visual.conv3", "visual.bn3"))
        for layer, blocks in _LAYERS.items():
            for block in range(blocks):
                x = self._run_block(x, f"visual.{layer}.{block}", halves=layer != "layer1" and not block)
        return _finish(self._pool(x.reshape(len(x), -1, x.shape[-1])))

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode texts, as `Encoder` says."""
        if not texts:
            return np.empty((0, _DIMENSION), np.float16)
        tokens, weights = demo_encoder.tokenize(texts), self._weights
        x = weights["token_embedding.weight"][tokens] + weights["positional_embedding"]
        for number in range(_TEXT_BLOCKS):
            name = f"transformer.resblocks.{number}"
            seen = self._normalize(x, f"{name}.ln_1")
            product = seen.reshape(-1, _DIMENSION) @ weights[f"{name}.attn.in_proj_weight"].T
            parts = product.reshape(*x.shape[:-1], -1) + weights[f"{name}.attn.in_proj_bias"]
            query, key, value = np.split(parts, 3, axis=-1)
            x = x + self._apply(
                _attend(query, key, value, _TEXT_HEADS, is_causal=True), f"{name}.attn.out_proj"
            )
            hidden = _gelu(self._apply(self._normalize(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"))
            x = x + self._apply(hidden, f"{name}.mlp.c_proj")
        ends = self._normalize(x, "ln_final")[np.arange(len(x)), tokens.argmax(axis=1)]
        return _finish(ends @ weights["text_projection"])

    def _run_block(self, x: _Floats, name: str, *, halves: bool) -> _Floats:
        out = self._convolve(x, f"{name}.conv1", f"{name}.bn1")
        out = self._convolve(out, f"{name}.conv2", f"{name}.bn2")
        out = self._convolve(_halve(out) if halves else out, f"{name}.conv3", f"{name}.bn3", is_last=True)
        if f"{name}.downsample.0.weight" in self._weights:
            x = _halve(x) if halves else x
            x = self._convolve(x, f"{name}.downsample.0", f"{name}.downsample.1", is_last=True)
        return _rectify(out + x)

    def _convolve(
        self, x: _Floats, kernel: str, norm: str, *, stride: int = 1, is_last: bool = False
    ) -> _Floats:
        """Convolve and normalise images x height x width x channels; cut off below 0 unless it is last."""
        weights = self._weights
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
        numbers = weights[f"{kernel}.weight"]  # outputs x inputs x height x width
        if numbers.shape[-1] > 1:
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            x = windows[:, ::stride, ::stride].reshape(*windows[:, ::stride, ::stride].shape[:3], -1)
        # One product of two matrices: of more axes, NumPy multiplies each row of an image by itself.
        flat = x.reshape(-1, x.shape[-1]) @ (numbers.reshape(len(numbers), -1) * scale[:, np.newaxis]).T
        out: _Floats = flat.reshape(*x.shape[:-1], -1)
        out += weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        return out if is_last else _rectify(out)

    def _pool(self, x: _Floats) -> _Floats:
        """Attend from the mean of all places to each: images x places x channels → images x dimension."""
        x = np.concatenate([x.mean(axis=1, keepdims=True), x], axis=1)
        x = x + self._weights["visual.attnpool.positional_embedding"]
        query, key, value = (self._apply(x, f"visual.attnpool.{name}_proj") for name in "qkv")
        return self._apply(_attend(query[:, :1], key, value, _IMAGE_HEADS), "visual.attnpool.c_proj")[:, 0]

    def _apply(self, x: _Floats, name: str) -> _Floats:
        product = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T
        out: _Floats = product.reshape(*x.shape[:-1], -1) + self._weights[f"{name}.bias"]
        return out

    def _normalize(self, x: _Floats, name: str) -> _Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
        out: _Floats = centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return out


def _read_weights(data: bytes) -> Mapping[str, _Floats]:
    """Read the weights, float16 in the format of safetensors: a length, JSON with the places, the numbers."""
    start = 8 + int.from_bytes(data[:8], "little")
    weights: dict[str, _Floats] = {}
    for name, entry in json.loads(data[8:start]).items():
        if entry.get("dtype") == "F16":  # others are counters of the training
            low, high = entry["data_offsets"]
            numbers = np.frombuffer(data[start + low : start + high], np.float16)
            weights[name] = numbers.astype(np.float64).reshape(entry["shape"])
    return weights


def _prepare(position: int, data: bytes) -> _Floats:
    """Return what the model sees of an image, height x width x channels: the centre, if it is no square."""
    try:
        image = decode_image(data, (_PIXELS, _PIXELS))
        least = min(image.size)
        width, height = (int(_PIXELS * side / least) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - _PIXELS) / 2), round((height - _PIXELS) / 2)
        pixels = np.asarray(image.crop((left, top, left + _PIXELS, top + _PIXELS)), np.float64)
    except Exception as error:  # Decoders raise many types on hostile data; each one means the same here.
        raise ImageNotEncodedError(position, f"it does not decode: {error}") from error
    seen: _Floats = (pixels / 255 - np.array(_MEAN)) / np.array(_STD)
    return seen


def _halve(x: _Floats) -> _Floats:
    """Average squares of four places."""
    images, height, width, channels = x.shape
    small: _Floats = x.reshape(images, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return small


def _rectify(x: _Floats) -> _Floats:
    out: _Floats = np.maximum(x, 0)
    return out


def _attend(query: _Floats, key: _Floats, value: _Floats, heads: int, *, is_causal: bool = False) -> _Floats:
    """Attend, each head by itself: rows x places x channels, as many as `query` has."""
    query, key, value = (
        each.reshape(*each.shape[:2], heads, -1).transpose(0, 2, 1, 3) for each in (query, key, value)
    )
    scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(query.shape[-1]))
    if is_causal:
        scores += np.triu(np.full(scores.shape[-2:], -np.inf, np.float32), 1)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    out: _Floats = mixed.transpose(0, 2, 1, 3).reshape(len(mixed), mixed.shape[2], -1)
    return out


def _gelu(x: _Floats) -> _Floats:
    from scipy.special import erf  # noqa: PLC0415 - slow to import

    out: _Floats = x * (1 + erf(x / np.float32(np.sqrt(2)))) / 2
    return out


def _finish(vectors: _Floats) -> Features:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    rounded: Features = (vectors / np.maximum(lengths, 1e-12)).astype(np.float16)
    return rounded

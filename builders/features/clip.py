"""Runs open_clip's models as an encoder: images and texts to vectors of length 1, in float16.

Importing this takes seconds and needs the libraries of the extra `features`; `builders/features/encoder.py`
imports it when an encoder is loaded. Nothing here downloads: open_clip and transformers are given local paths
in place of names on the Hub, and `publish/providers/weights.py` finds or downloads those files.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import open_clip
import torch
from PIL import Image

from builders.features.checkpoints import (
    TEXT_CONFIG,
    check_checkpoint,
    check_text_files,
    first_line,
    read_digest,
    refuse,
)
from builders.features.decoding import DECODING, decode_image
from builders.features.encoder import NO_FILES, Features, ImageNotEncodedError, ModelFiles
from builders.sample import encoder as demo_encoder
from schemas.features import Dtype, FeatureSettings, Provenance
from schemas.problems import Problem, Reason, SettingsError, suggest

Preprocess = Callable[[Image.Image], torch.Tensor]


class Tokenize(Protocol):
    """Turns texts into numbers: texts x `context_length`."""

    context_length: int

    def __call__(self, texts: Sequence[str], /) -> torch.Tensor:
        """Turn texts into numbers."""


BATCH_SIZES: Mapping[str, int] = {"cpu": 16, "cuda": 64}
_GPU_WORKERS = 16  # they decode for one model; each holds a batch of prepared images, 40 MB at 224 pixels
_LIBRARIES = ("open_clip_torch", "torch", "torchvision", "pillow", "simplejpeg")
# open_clip's `bf16` leaves CoCa's pooler and some text towers in float32, where they fail; `pure_bf16`
# converts all. Largest 1 - cosine to float32: ViT-B-32 4.3e-5, coca_ViT-B-32 2.3e-5 (images), 7.8e-5 (texts).
_PRECISIONS: Mapping[Dtype, str] = {"float32": "fp32", "bfloat16": "pure_bf16", "float16": "pure_fp16"}
_DEFAULT = open_clip.transform.PreprocessCfg()
_HAS_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # instructions; without them it is slower than float32


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an encoder is made of."""

    model: Any
    preprocess: Preprocess
    tokenize: Tokenize
    device: str


class ClipEncoder:
    """An open_clip model, ready to run; `load_clip` makes it."""

    def __init__(self, parts: _Parts, provenance: Provenance) -> None:
        self._parts = parts
        self._dtype: torch.dtype = getattr(torch, provenance.dtype)
        self._tokenizing = threading.Lock()  # tokenizers of the library tokenizers refuse a second thread
        self.provenance, self.batch_size = provenance, BATCH_SIZES[parts.device]
        # Every open_clip model has learned one.
        self.logit_scale = float(parts.model.logit_scale.detach().float().exp())
        # A core computes a batch; a GPU computes one batch at a time, while cores decode the next ones.
        self.num_workers = os.cpu_count() or 1
        self._turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if parts.device == "cuda":
            self.num_workers, self._turn = min(self.num_workers, _GPU_WORKERS), threading.Lock()

    def encode_images(self, images: Iterable[bytes]) -> Features:
        """Encode image files, as `Encoder` says."""
        prepared = [self._prepare(position, data) for position, data in enumerate(images)]
        if not prepared:
            return self._finish(torch.empty(0, self.provenance.dimension))
        pixels = torch.stack(prepared)
        return self._run(lambda: self._parts.model.encode_image(pixels.to(self._parts.device, self._dtype)))

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Encode texts, as `Encoder` says."""
        if not texts:
            return self._finish(torch.empty(0, self.provenance.dimension))
        with self._tokenizing:
            tokens = self._parts.tokenize(list(texts))
        return self._run(lambda: self._parts.model.encode_text(tokens.to(self._parts.device)))

    def _run(self, encode: Callable[[], torch.Tensor]) -> Features:
        try:
            with self._turn, torch.inference_mode():
                return self._finish(encode())
        except Exception as error:  # models raise many types where device or numbers do not suit them
            model, dtype, device = self.provenance.model, self.provenance.dtype, self._parts.device
            raise _refusal(
                "dtype",
                dtype,
                f"{model} does not run in {dtype} on {device}: {first_line(error)}",
                'use dtype = "float32", or device = "cpu" where memory is what is missing',
            ) from error

    def _prepare(self, position: int, data: bytes) -> torch.Tensor:
        try:
            return self._parts.preprocess(decode_image(data, self.provenance.input_size))
        except Exception as error:  # Decoders raise many types on hostile data; each one means the same here.
            raise ImageNotEncodedError(position, f"it does not decode: {error}") from error

    def _finish(self, vectors: torch.Tensor) -> Features:
        normalized = torch.nn.functional.normalize(vectors.float(), dim=-1)
        return cast("Features", normalized.half().cpu().numpy())


def load_clip(settings: FeatureSettings, files: ModelFiles = NO_FILES) -> ClipEncoder:
    """Load a model as an encoder, without any connection.

    This sets torch to one thread for each call, in the whole process: batches run side by side.

    Args:
        settings: Which one, and how it computes.
        files: What it is loaded from; the demonstration encoder brings its own.

    Raises:
        SettingsError: There is no such model or device, a library or a tokenizer's files are missing, the
            files are damaged, could run code, or are another model's, or nothing says how they see images.
    """
    weights = _choose_weights(settings, files)
    tag = _read_tag(settings, weights)
    libraries = _read_versions(settings.model)
    tokenize = _load_tokenizer(settings, files.tokenizer)
    text_tower = _read_text_tower(settings.model, files.text_config)
    digest = read_digest(weights)
    check_checkpoint(weights)
    device = _choose_device(settings)
    dtype = _choose_dtype(settings, device)
    model = _make_model(settings.model, weights, tag, text_tower, (dtype, device))
    torch.set_num_threads(1)
    seen = open_clip.get_model_preprocess_cfg(model)
    provenance = Provenance(
        model=settings.model,
        pretrained=settings.pretrained if tag or settings.is_demonstration else weights.name,
        weights_sha256=digest,
        dimension=int(open_clip.get_model_config(settings.model)["embed_dim"]),
        input_size=_height_and_width(seen["size"]),
        image_mean=tuple(seen["mean"]),
        image_std=tuple(seen["std"]),
        interpolation=seen["interpolation"],
        resize_mode=seen["resize_mode"],
        decoding=DECODING,
        context_length=tokenize.context_length,
        quick_gelu=_has_quick_gelu(settings.model, tag),
        dtype=dtype,
        normalized=True,
        is_demonstration=settings.is_demonstration,
        libraries=libraries,
    )
    preprocess = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**seen), is_train=False
    )
    return ClipEncoder(_Parts(model, preprocess, tokenize, device), provenance)


def _choose_weights(settings: FeatureSettings, files: ModelFiles) -> Path:
    """Return the checkpoint to load, and register the demonstration encoder with open_clip if it is wanted.

    Raises:
        SettingsError: open_clip has no such model, or there is no checkpoint.
    """
    weights = files.weights
    if settings.is_demonstration:
        open_clip.add_model_config(demo_encoder.CONFIG)
        weights = demo_encoder.WEIGHTS
    if settings.model not in open_clip.list_models():
        raise _refusal(
            "model",
            settings.model,
            "open_clip has no such model",
            suggest(settings.model, open_clip.list_models()),
        )
    if weights is None:
        raise _refusal(
            "pretrained", settings.pretrained, "there are no weights", "give the path of a checkpoint"
        )
    return weights


def _make_model(
    name: str, weights: Path, tag: Mapping[str, Any], text_tower: Mapping[str, Any], run: tuple[Dtype, str]
) -> Any:
    """Make a model from local files.

    Args:
        name: Of open_clip's configuration.
        weights: Its checkpoint.
        tag: Settings of the weights.
        text_tower: What `_read_text_tower` returns.
        run: Precision and device.
    """
    dtype, device = run
    try:
        model = open_clip.create_model(
            name,
            str(
                weights.absolute()
            ),  # an absolute path is no tag, so open_clip reads it and downloads nothing
            precision=_PRECISIONS[dtype],
            device=device,
            force_quick_gelu=_has_quick_gelu(name, tag),  # by itself the library only warns
            force_preprocess_cfg=dict(tag),
            pretrained_image=False,  # weights of a part would come from the Hub, and all are in the file
            pretrained_text=False,
            **text_tower,
        )
    except OSError as error:  # of the text tower's configuration: the weights have been read once already
        message, fix = f"its parts cannot be loaded: {first_line(error)}", "copy or download them again"
        raise _refusal("model", name, message, fix) from error
    except Exception as error:  # the library raises many types; the first line says what differs
        message = f"{name} does not load with these weights: {first_line(error)}"
        raise refuse(weights, message, "name the model that they are of") from error
    return model.eval()


def _read_text_tower(model: str, folder: Path | None) -> Mapping[str, Any]:
    """Return the change to open_clip's configuration that makes a text tower from a local config.json.

    Args:
        model: Name of the configuration.
        folder: Holds the config.json.

    Returns:
        Nothing for a text tower of open_clip's own, which needs no file.

    Raises:
        SettingsError: The file is needed and not given, is damaged, or names code.
    """
    config = open_clip.get_model_config(model)["text_cfg"]
    if (name := config.get("hf_model_name")) is None:
        return {}
    if folder is None:
        message = f"the configuration of its text tower, {name}, was not given"
        raise _refusal("model", model, message, "pass its folder: ModelFiles(text_config=...)")
    check_text_files(folder)
    path = folder / TEXT_CONFIG
    if not path.is_file():
        raise refuse(path, f"the configuration of {model}'s text tower is missing", "download it again")
    return {"text_cfg": {**config, "hf_model_name": str(folder.absolute()), "hf_model_pretrained": False}}


def _read_tag(settings: FeatureSettings, weights: Path) -> Mapping[str, Any]:
    """Return open_clip's settings for a tag's weights; nothing for a checkpoint without a tag.

    Such a checkpoint is taken for a model as its configuration has it. Where the tags of the model see images
    otherwise, or all run another activation, it is more likely one of theirs, and would give wrong numbers.

    Raises:
        SettingsError: It is not known how the weights see images.
    """
    model, named = settings.model, settings.pretrained
    tag: Mapping[str, Any] = open_clip.get_pretrained_cfg(model, named)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag or settings.is_demonstration:
        return tag
    if settings.weights is not None:
        near = suggest(named, tags) if tags else "give the path to pretrained, and leave weights out"
        raise _refusal(
            "pretrained", named, f"open_clip has no such tag of {model}, whose file weights is", near
        )
    known = [open_clip.get_pretrained_cfg(model, each) for each in tags]
    see_alike = all(_how_it_sees(each) == _how_it_sees({}) for each in known)
    may_run = not known or _has_quick_gelu(model, {}) in {_has_quick_gelu(model, each) for each in known}
    if not (see_alike and may_run):
        raise refuse(
            weights,
            f"a file does not say how {model} sees images and which activation it runs, and what open_clip "
            f"knows of its tags differs from the default: {', '.join(tags)}",
            f'write pretrained = "<tag>" with weights = "{weights}"',
        )
    return tag


def _how_it_sees(tag: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return mean, deviation, interpolation and the like; the size is the model's."""
    return cast("Mapping[str, Any]", open_clip.transform.merge_preprocess_dict(_DEFAULT, dict(tag)))


def _has_quick_gelu(name: str, tag: Mapping[str, Any]) -> bool:
    return bool(tag.get("quick_gelu") or open_clip.get_model_config(name).get("quick_gelu"))


def _height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _choose_device(settings: FeatureSettings) -> str:
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise _refusal("device", "cuda", "there is no CUDA device that torch can use", 'use device = "auto"')
    return "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"


def _choose_dtype(settings: FeatureSettings, device: str) -> Dtype:
    """Take the faster of float32 and bfloat16 for this processor, unless the settings say."""
    if settings.dtype == "float16" and device == "cpu":
        raise _refusal(
            "dtype", "float16", "most CPUs compute in float16 slower than in float32", 'use "auto"'
        )
    if settings.dtype != "auto":
        return settings.dtype
    if settings.is_demonstration:
        return "float32"  # it is small, and gives the same on more machines
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    has = torch.cpu.get_capabilities()
    return "bfloat16" if any(has.get(each) for each in _HAS_BFLOAT16) else "float32"


class _DemoTokenizer:
    context_length = demo_encoder.CONTEXT_LENGTH

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(demo_encoder.tokenize(texts))


def _load_tokenizer(settings: FeatureSettings, folder: Path | None) -> Tokenize:
    """Load the tokenizer of a model.

    Args:
        settings: Which model.
        folder: Holds the tokenizer's files, for models whose tokenizer is not open_clip's own.

    Raises:
        SettingsError: The files are needed and not given, are damaged, or name code; or a library is missing.
    """
    if settings.is_demonstration:
        return _DemoTokenizer()
    model = settings.model
    name = open_clip.get_model_config(model)["text_cfg"].get("hf_tokenizer_name")
    if name is None and "siglip" in model.lower():  # open_clip would download one by the model's name
        message = "open_clip's configuration does not say which tokenizer it has"
        raise _refusal("model", model, message, "use a model with hf_tokenizer_name in its configuration")
    if name is not None and folder is None:
        message = f"the files of its tokenizer, {name}, were not given"
        raise _refusal("model", model, message, "pass their folder: ModelFiles(tokenizer=...)")
    if name is not None and folder is not None:
        check_text_files(folder)
    try:
        if name is None or folder is None:
            return cast("Tokenize", open_clip.get_tokenizer(model))
        return _read_tokenizer(model, folder)
    except Exception as error:  # tokenizers of other libraries raise many types where files are missing
        fix = f"download its files again: {folder}" if folder else "install open_clip_torch again"
        if isinstance(error, ImportError):
            fix = "install with pip what it needs"
        message = f"its tokenizer cannot be loaded: {first_line(error)}"
        raise _refusal("model", model, message, fix) from error


def _read_tokenizer(model: str, folder: Path) -> Tokenize:
    """Return the tokenizer in a folder, set up as `open_clip.get_tokenizer` does for one from the Hub."""
    config = open_clip.get_model_config(model)["text_cfg"]
    tokenizer = open_clip.tokenizer.HFTokenizer(
        str(folder.absolute()),
        context_length=config.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=config.get("tokenizer_mode"),
        local_files_only=True,  # a file that the folder lacks is not looked for elsewhere
        **config.get("tokenizer_kwargs", {}),
    )
    return cast("Tokenize", tokenizer)


def _read_versions(model: str) -> Mapping[str, str]:
    """Return the versions of the libraries that a model's numbers depend on.

    Raises:
        SettingsError: The model needs a library that is not here.
    """
    config = open_clip.get_model_config(model)
    used = [*_LIBRARIES]
    if "timm_model_name" in config["vision_cfg"]:
        used.append("timm")
    if {"hf_model_name", "hf_tokenizer_name"} & set(config["text_cfg"]):
        used.append("transformers")
    versions = {}
    for name in used:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError as error:
            message = f"this model needs a library that is not here: {name}"
            raise _refusal("model", model, message, f"pip install {name}") from error
    return versions


def _refusal(column: str, value: str, message: str, fix: str) -> SettingsError:
    return SettingsError(Problem(Reason.SETTINGS, message, column=f"features.{column}", value=value, fix=fix))

"""The provider on this machine, with real pipelines of random weights."""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from builders.generation.images import ImageProvider, ImageRequest, LostAnswerError
from publish.network import TimeLimits
from publish.providers.images import PROVIDERS, ProviderOptions, open_provider
from schemas.problems import SettingsError

pytestmark = pytest.mark.slow  # importing diffusers takes 10 s

SETTINGS = {"image_size": "64x48", "steps": 2, "cfg_scale": 2.5}

Open = Callable[[Path], ImageProvider]


def write_tokenizer(folder: Path) -> Any:
    """Return a tokenizer of single letters."""
    transformers: Any = import_module("transformers")
    folder.mkdir()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def make_pipeline(folder: Path, *, is_safe: bool = True) -> Path:
    """Save a Stable Diffusion pipeline with random weights of 100 kB."""
    diffusers: Any = import_module("diffusers")  # its classes have no types
    transformers: Any = import_module("transformers")
    import_module("torch").manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = transformers.CLIPTextConfig(vocab_size=60, bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(16, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=8,
            sample_size=32,
        ),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=write_tokenizer(folder.with_name(f"{folder.name}-words")),
        unet=diffusers.UNet2DConditionModel(
            block_out_channels=(16, 32),
            layers_per_block=1,
            sample_size=16,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=4,
            norm_num_groups=8,
        ),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=is_safe)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("models") / "tiny-faces")


@pytest.fixture
def start() -> Iterator[Open]:
    """Open providers, which are closed after the test."""
    opened = []

    def open_one(model: Path) -> ImageProvider:
        options = ProviderOptions(PROVIDERS["diffusers"], str(model), None, None, TimeLimits(), note=print)
        opened.append(open_provider(options))
        return opened[-1]

    yield open_one
    for provider in opened:
        provider.close()


def ask(seed: int = 7, **settings: object) -> ImageRequest:
    values = {**SETTINGS, **settings}
    return ImageRequest("0" * 24, "a red haired face", (), "SDXL", values, seed)


def test_the_same_seed_makes_the_same_bytes(pipeline: Path, start: Open, tmp_path: Path) -> None:
    provider = start(pipeline)
    first, other, again = provider.make(ask(7)), provider.make(ask(8)), start(pipeline).make(ask(7))
    assert first.data == again.data != other.data
    path = tmp_path / "face.png"
    path.write_bytes(first.data)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (64, 48))
    assert (first.seed, first.returned_seed, dict(first.settings)) == (7, 7, SETTINGS)
    assert (first.model, first.is_flagged, first.flags) == ("tiny-faces", False, ())
    raw = json.loads(first.raw)
    assert (raw["pipeline"], raw["scheduler"]) == ("StableDiffusionPipeline", "DDIMScheduler")
    assert str(pipeline.parent) not in repr(first)
    with pytest.raises(LostAnswerError):
        provider.fetch(first)


def test_settings_that_a_pipeline_does_not_take_are_refused(pipeline: Path, start: Open) -> None:
    provider = start(pipeline)
    cases: tuple[tuple[dict[str, object], str | None, str], ...] = (
        ({"style_preset": "photographic"}, "style_preset", "does not take this setting"),
        ({"image_size": "huge"}, "image_size", "the size is not known"),
        ({"image_size": "63x47"}, None, "does not take the settings"),
    )
    for settings, column, message in cases:
        with pytest.raises(SettingsError, match=message) as caught:
            provider.make(ask(7, **settings))
        assert caught.value.problems[0].column == column
        assert caught.value.problems[0].code == "run/provider-refused"
    # A checker that is not there was not followed.
    assert "enable_safety_checker" not in provider.make(ask(enable_safety_checker=True)).settings


def test_a_checker_says_that_it_objects(pipeline: Path, start: Open) -> None:
    provider: Any = start(pipeline)

    def check(images: Any, clip_input: Any) -> tuple[Any, list[bool]]:
        return images * 0, [True] * len(images)

    class Pixels:
        def __init__(self) -> None:
            self.pixel_values = import_module("torch").zeros(1)

        def to(self, device: Any) -> "Pixels":
            return self

    inner = provider._pipeline
    inner.safety_checker, inner.feature_extractor = check, lambda images, return_tensors: Pixels()
    flagged = provider.make(ask(enable_safety_checker=True))
    assert (flagged.is_flagged, flagged.flags) == (True, ("nsfw",))
    free = provider.make(ask(enable_safety_checker=False))
    assert (free.is_flagged, free.settings["enable_safety_checker"]) == (False, False)
    assert free.data != flagged.data


def test_pickles_and_code_are_refused(pipeline: Path, start: Open, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no file named diffusion_pytorch_model\.safetensors"):
        start(make_pipeline(tmp_path / "pickled", is_safe=False))
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "model_index.json").write_bytes((pipeline / "model_index.json").read_bytes())
    (folder / "pipeline.py").write_text("raise SystemExit(1)")
    with pytest.raises(SettingsError, match=r"code of its own.*pipeline\.py"):
        start(folder)


def test_a_folder_that_is_no_pipeline_is_refused(pipeline: Path, start: Open, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no model_index\.json"):
        start(tmp_path)
    with pytest.raises(SettingsError, match="hf download org/no-such-model"):
        start(Path("org/no-such-model"))
    (tmp_path / "model_index.json").write_text("[" * 1000)
    with pytest.raises(SettingsError, match="cannot be loaded"):
        start(tmp_path)

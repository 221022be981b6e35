"""The images of the built-in sample: drawn faces, and generators and settings invented for them."""

import csv
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from builders.sample.faces import Face, describe_face, draw_face, random_face

IMAGE_PIXELS = 256
JPEG_QUALITY = 90  # as upstream writes its images
# Images by generator: the order of the real collection, with enough of each to look at.
COUNTS: Mapping[str, int] = {"FLUX1_schnell": 20, "SDXL": 16, "FLUX1_dev": 8, "FLUX1_pro": 8, "DALLE3": 8}
_SEED = 20_240_901


def sample_faces() -> Iterator[tuple[str, str, Face]]:
    """Yield (file name, generator, what is drawn) for every image of the sample, in table order."""
    index = 0
    for generator, count in COUNTS.items():
        for number in range(1, count + 1):
            yield f"{generator}_image_{number:07d}.jpg", generator, random_face(_SEED + index)
            index += 1


def sample_prompts() -> dict[str, str]:
    """Return each image's prompt by the image's file name; wordings take turns."""
    return {name: describe_face(face, index) for index, (name, _, face) in enumerate(sample_faces())}


def write_images(folder: Path) -> None:
    """Write the images and their table into a folder, as upstream lays them out."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    prompts = sample_prompts()
    with (folder / "SFHQ_T2I_dataset.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("image_filename", "model_used", "text_prompt", "configs"))
        for index, (name, generator, face) in enumerate(sample_faces()):
            draw_face(face, IMAGE_PIXELS).save(folder / "images" / name, "JPEG", quality=JPEG_QUALITY)
            config = invent_config(generator, _SEED + index, describe_face(face))
            table.writerow((name, generator, prompts[name], json.dumps(config)))


def invent_config(generator: str, seed: int, asked: str) -> dict[str, object]:
    """Invent the settings that upstream would have written for an image.

    Args:
        generator: One of `COUNTS`.
        seed: Decides about everything that varies.
        asked: The prompt asked for, which DALL-E 3's settings repeat.
    """
    return _CONFIGS[generator](random.Random(seed), asked)  # noqa: S311 - not a secret


def _flux(rng: random.Random, _: str) -> dict[str, object]:
    """Settings as upstream draws them: guidance 3.5 half of the time, otherwise 2.5 to 4."""
    guidance = 3.5 if rng.random() < 0.5 else round(rng.uniform(2.5, 4.0), 3)
    return {
        "image_size": "square_hd",
        "num_inference_steps": 28,
        "seed": rng.getrandbits(32),
        "guidance_scale": guidance,
    }


def _flux_schnell(rng: random.Random, asked: str) -> dict[str, object]:
    config = _flux(rng, asked) | {"num_inference_steps": 4, "enable_safety_checker": False}
    if rng.random() < 0.5:  # one of upstream's two paths leaves the guidance out
        del config["guidance_scale"]
    return config


def _sdxl(rng: random.Random, _: str) -> dict[str, object]:
    return {
        "engine_id": "stable-diffusion-xl-1024-v1-0",
        "cfg_scale": rng.randint(5, 8),
        "steps": 30,
        "seed": rng.getrandbits(32),
        "style_preset": rng.choice(("analog-film", "cinematic", "photographic", "enhance")),
    }


def _dalle3(rng: random.Random, asked: str) -> dict[str, object]:
    style = rng.choice(("vivid", "natural"))
    return {"size": "1024x1024", "quality": "standard", "style": style, "orig_prompt": asked}


_CONFIGS: Mapping[str, Callable[[random.Random, str], dict[str, object]]] = {
    "FLUX1_schnell": _flux_schnell,
    "SDXL": _sdxl,
    "FLUX1_dev": lambda rng, asked: _flux(rng, asked) | {"enable_safety_checker": False},
    "FLUX1_pro": lambda rng, asked: _flux(rng, asked) | {"safety_tolerance": "5"},
    "DALLE3": _dalle3,
}

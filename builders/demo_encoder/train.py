"""Train the demonstration encoder on drawn faces; nothing is downloaded.

Faces are drawn once, at 128 pixels, into a cache of ours. Every step shows some of them, a few of them twice,
each time otherwise cropped, resized and compressed, and has a caption of each. Two things are learnt: which
captions hold for which faces (all that hold, not only the one that was written for a face), and that two
pictures of one face are one.

Equal seeds, steps and library versions give equal weights on one kind of CPU; another adds floating-point
numbers in another order and gets other weights of the same quality.

    python -m builders.demo_encoder.train --cache /tmp/faces
"""

import argparse
import io
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812 - the library's own habit

from builders.demo_encoder.wordings import Caption, Codes, known_words, write_caption
from builders.demo_encoder.words import tokenize
from builders.faces import Face, draw_face, random_face

FIRST_FACE, NUM_FACES = 1_000_000, 20_000  # seeds; neither the sample's nor those it is measured on
DRAWN_PIXELS = 128
SEED = 20_250_101
STEPS, WARMUP_STEPS = 2_200, 100
FACES_PER_STEP, TWINS_PER_STEP = 128, 32
LEARNING_RATE, WEIGHT_DECAY = 1.5e-3, 0.05
TWINS_WEIGHT, TWINS_SCALE = 0.3, 20.0
LARGEST_SCALE = math.log(100)  # as CLIP limits it
HERE = Path(__file__).parent


def draw_faces(path: Path, num_faces: int = NUM_FACES) -> NDArray[np.uint8]:
    """Draw the faces to train on, or take those drawn before: faces x 128 x 128 x 3."""
    shape = (num_faces, DRAWN_PIXELS, DRAWN_PIXELS, 3)
    if not path.exists():
        part = path.with_suffix(".part")
        drawn = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        with Pool() as pool:
            seeds = range(FIRST_FACE, FIRST_FACE + num_faces)
            for index, pixels in enumerate(pool.imap(_draw, seeds, chunksize=64)):
                drawn[index] = pixels
        drawn.flush()
        part.rename(path)
    faces: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    if faces.shape != shape:
        raise SystemExit(f"{path} holds other faces; remove it")
    return faces


def _draw(seed: int) -> NDArray[np.uint8]:
    return np.asarray(draw_face(random_face(seed), DRAWN_PIXELS))


def take_picture(pixels: NDArray[np.uint8], size: int, rng: Random) -> NDArray[np.uint8]:
    """Make another picture of a face: perhaps smaller, compressed, cropped a little; then resized."""
    image = Image.fromarray(pixels)
    if rng.random() < 0.3:
        side = rng.randint(64, DRAWN_PIXELS)
        image = image.resize((side, side), rng.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))
    if rng.random() < 0.25:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=rng.randint(40, 95))
        image = Image.open(file)
    kept = image.width * (1 - rng.choice((0.0, 0.03, 0.12)) * rng.random())
    left, top = (rng.random() * (image.width - kept) for _ in range(2))
    box = (left, top, left + kept, top + kept)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


class Lessons:
    """What each step shows: pictures, captions, and which captions hold for which faces."""

    def __init__(self, drawn: NDArray[np.uint8], image_size: int) -> None:
        self._drawn, self._image_size = drawn, image_size
        self._faces: list[Face] = [random_face(FIRST_FACE + index) for index in range(len(drawn))]
        self._codes = Codes()
        self._coded = self._codes.of_faces(self._faces)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield, a little ahead in other threads: pictures, captions, and which hold for which."""
        order = self._order()
        with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(2) as self._pool:
            ahead = [pool.submit(self._lesson, step, next(order)) for step in range(3)]
            for step in range(STEPS):
                ahead.append(pool.submit(self._lesson, step + 3, next(order)))
                yield ahead.pop(0).result()

    def _order(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(SEED)
        while True:
            order = rng.permutation(len(self._faces))
            for start in range(0, len(order) - FACES_PER_STEP + 1, FACES_PER_STEP):
                yield order[start : start + FACES_PER_STEP]

    def _lesson(
        self, step: int, chosen: NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shown = np.concatenate([chosen, chosen[:TWINS_PER_STEP]])
        rngs = [Random(f"{SEED} {step} {index}") for index in range(len(shown))]  # noqa: S311 - no secret
        sizes = [self._image_size] * len(shown)
        pictures = list(self._pool.map(take_picture, self._drawn[shown], sizes, rngs))
        captions: Sequence[Caption] = [
            write_caption(self._faces[face], rng) for face, rng in zip(chosen, rngs, strict=False)
        ]
        truth = self._codes.matches([each.allowed for each in captions], self._coded[shown])
        tokens = torch.from_numpy(tokenize([each.text for each in captions]))
        return torch.from_numpy(np.stack(pictures)), tokens, torch.from_numpy(truth)


def loss_of(
    images: torch.Tensor, texts: torch.Tensor, truth: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Say how wrong embeddings are.

    Args:
        images: Pictures x dimension, normalised; the last `TWINS_PER_STEP` show the faces of the first again.
        texts: Captions x dimension, normalised.
        truth: Captions x pictures: whether a caption holds.
        scale: What similarities are multiplied with.
    """
    logits, wanted = scale * texts @ images.T, truth.float()
    of_texts = -(F.log_softmax(logits, 1) * wanted / wanted.sum(1, keepdim=True)).sum(1).mean()
    of_images = -(F.log_softmax(logits, 0) * wanted / wanted.sum(0, keepdim=True)).sum(0).mean()
    alike, itself = TWINS_SCALE * images[-TWINS_PER_STEP:] @ images.T, torch.arange(TWINS_PER_STEP)
    twins = F.cross_entropy(alike[:, :FACES_PER_STEP], itself)
    return (of_texts + of_images) / 2 + TWINS_WEIGHT * twins


def train(drawn: NDArray[np.uint8], out: Path) -> None:
    """Train from nothing and write the weights as float16."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the same sums on any number of cores; pictures are made on the others
    config: dict[str, Any] = json.loads((HERE / "sfhq-demo.json").read_text("utf-8"))
    model = open_clip.CLIP(**config).train().to(memory_format=torch.channels_last)
    flat = [each for each in model.parameters() if each.ndim < 2]
    other = [each for each in model.parameters() if each.ndim >= 2]
    groups = [{"params": other, "weight_decay": WEIGHT_DECAY}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _speed)
    mean, std = (
        torch.tensor(each) * 255 for each in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    for step, (pictures, tokens, truth) in enumerate(Lessons(drawn, config["vision_cfg"]["image_size"])):
        pixels = ((pictures - mean) / std).permute(0, 3, 1, 2)  # channels stay last in memory
        with torch.autocast("cpu", torch.bfloat16):
            images = model.encode_image(pixels)
        images, texts = F.normalize(images.float(), dim=-1), model.encode_text(tokens, normalize=True)
        loss = loss_of(images, texts, truth, model.logit_scale.exp())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=LARGEST_SCALE)
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
        if step % 200 == 199:
            _save(model, out)
    _save(model, out)


def _speed(step: int) -> float:
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / max(1, STEPS - WARMUP_STEPS)))


def _save(model: torch.nn.Module, out: Path) -> None:
    state = {
        name: (each.half() if each.is_floating_point() else each).contiguous().clone()
        for name, each in model.state_dict().items()
    }
    save_file(state, out)


def main() -> None:
    """Draw, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder of ours for drawn faces, 1 GB")
    parser.add_argument("--out", type=Path, default=HERE / "weights.safetensors")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    (HERE / "words.txt").write_text("\n".join(known_words()) + "\n", encoding="utf-8")
    train(draw_faces(arguments.cache / "faces.npy"), arguments.out)


if __name__ == "__main__":
    main()

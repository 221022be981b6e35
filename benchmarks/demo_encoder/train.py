"""Train the demonstration encoder on drawn faces; nothing is downloaded.

Faces are drawn once, at 128 pixels, into a cache of ours. First the image tower learns to see: it is shown
faces, each time otherwise cropped, resized and compressed, and has to tell their attributes from its vector
alone, and to know another picture of a face among all others. Then it stays as it is, and the text tower
learns to write: its vector of a caption has to be near those of the faces for which the caption holds.

Equal seeds, steps and library versions give equal weights on one kind of CPU; another adds floating-point
numbers in another order and gets other weights of the same quality.

    python -m benchmarks.demo_encoder.train --cache /tmp/faces
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
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812 - the library's own habit

from benchmarks.demo_encoder.wordings import Codes, known_words, write_caption
from builders.sample.encoder import WEIGHTS
from builders.sample.encoder.words import tokenize
from builders.sample.faces import ATTRIBUTES, Face, draw_face, random_face

FIRST_FACE, NUM_FACES = 1_000_000, 20_000  # seeds; neither the sample's nor those it is measured on
DRAWN_PIXELS = 128
SEED = 20_250_101
IMAGE_STEPS, FACES_PER_STEP, TWINS_PER_STEP = 1_000, 128, 16
TEXT_STEPS, CAPTIONS_PER_STEP, FACES_PER_CAPTION = 1_000, 128, 4_096
WARMUP_STEPS = 100
IMAGE_RATE, TEXT_RATE, WEIGHT_DECAY = 3e-3, 1.5e-3, 0.05
SCALE, TWINS_WEIGHT = 20.0, 0.3
LARGEST_SCALE = math.log(100)  # as CLIP limits it
HERE = WEIGHTS.parent  # what is trained goes into the wheel; what trains it does not


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
    """What the image tower is shown at each step: pictures, and the numbers of their attributes' values."""

    def __init__(self, drawn: NDArray[np.uint8], coded: NDArray[np.int64], image_size: int) -> None:
        self._drawn, self._coded, self._image_size = drawn, coded, image_size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield pictures x height x width x 3 and pictures x attributes, made a little ahead.

        The last `TWINS_PER_STEP` pictures show the faces of the first again.
        """
        order = self._order()
        with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor() as self._pool:
            ahead = [pool.submit(self._lesson, step, next(order)) for step in range(3)]
            for step in range(3, IMAGE_STEPS + 3):
                ahead.append(pool.submit(self._lesson, step, next(order)))
                yield ahead.pop(0).result()

    def _order(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(SEED)
        while True:
            order = rng.permutation(len(self._drawn))
            for start in range(0, len(order) - FACES_PER_STEP + 1, FACES_PER_STEP):
                yield order[start : start + FACES_PER_STEP]

    def _lesson(self, step: int, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        shown = np.concatenate([chosen, chosen[:TWINS_PER_STEP]])
        rngs = [Random(f"{SEED} {step} {index}") for index in range(len(shown))]
        sizes = [self._image_size] * len(shown)
        pictures = list(self._pool.map(take_picture, self._drawn[shown], sizes, rngs))
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(self._coded[shown])


def learn_to_see(model: open_clip.CLIP, lessons: Lessons) -> None:
    """Train the image tower, so that a linear layer can read every attribute off its vectors."""
    sizes = [len(values) for values in ATTRIBUTES.values()]
    readers = torch.nn.Linear(model.visual.output_dim, sum(sizes))
    optimizer, schedule = _optimizer([model.visual, readers], IMAGE_RATE, IMAGE_STEPS)
    model.visual.train()
    for step, (pictures, codes) in enumerate(lessons):
        with torch.autocast("cpu", torch.bfloat16):
            vectors = model.encode_image(_pixels(pictures))
        vectors = F.normalize(vectors.float(), dim=-1)
        read = readers(SCALE * vectors).split(sizes, dim=1)
        # The number after the last value stands for what is hidden: nobody can tell it.
        losses = [
            F.cross_entropy(logits, truth, ignore_index=size)
            for logits, truth, size in zip(read, codes.T, sizes, strict=True)
        ]
        alike = SCALE * vectors[-TWINS_PER_STEP:] @ vectors[:FACES_PER_STEP].T
        twins = F.cross_entropy(alike, torch.arange(TWINS_PER_STEP))
        loss = torch.stack(losses).mean() + TWINS_WEIGHT * twins
        _learn(loss, optimizer, schedule)
        if step % 50 == 0:
            right = [
                (logits.argmax(1) == truth)[truth < size].float().mean().item()
                for logits, truth, size in zip(read, codes.T, sizes, strict=True)
            ]
            shares = ", ".join(f"{name} {share:.2f}" for name, share in zip(ATTRIBUTES, right, strict=True))
            print(
                f"images, step {step}: loss {loss.item():.3f}, twins {twins.item():.2f}, {shares}", flush=True
            )


def learn_to_write(model: open_clip.CLIP, vectors: torch.Tensor, faces: Sequence[Face]) -> None:
    """Train the text tower on the vectors of faces, faces x dimension, which stay as they are."""
    parts = [each for name, each in model.named_children() if name != "visual"]
    alone = [model.positional_embedding, model.text_projection, model.logit_scale]
    optimizer, schedule = _optimizer(parts, TEXT_RATE, TEXT_STEPS, alone)
    codes = Codes()
    coded, rng, order = codes.of_faces(faces), Random(SEED), np.random.default_rng(SEED)
    for step in range(TEXT_STEPS):
        shown = order.choice(len(faces), FACES_PER_CAPTION, replace=False)
        captions = [write_caption(faces[index], rng) for index in shown[:CAPTIONS_PER_STEP]]
        truth = torch.from_numpy(codes.matches([each.allowed for each in captions], coded[shown])).float()
        texts = model.encode_text(
            torch.from_numpy(tokenize([each.text for each in captions])), normalize=True
        )
        logits = model.logit_scale.exp() * texts @ vectors[shown].T
        loss = -(F.log_softmax(logits, 1) * truth / truth.sum(1, keepdim=True)).sum(1).mean()
        _learn(loss, optimizer, schedule)
        with torch.no_grad():
            model.logit_scale.clamp_(max=LARGEST_SCALE)
        if step % 100 == 0:
            least = truth.sum(1).log().mean().item()
            print(f"texts, step {step}: loss {loss.item():.3f}, at best {least:.3f}", flush=True)


def see(model: open_clip.CLIP, drawn: NDArray[np.uint8], image_size: int) -> torch.Tensor:
    """Return the vectors of faces as they were drawn: faces x dimension, of length 1."""
    model.visual.eval()
    size, found = (image_size, image_size), []
    with torch.inference_mode():
        for start in range(0, len(drawn), FACES_PER_STEP):
            images = map(Image.fromarray, drawn[start : start + FACES_PER_STEP])
            resized = [np.asarray(image.resize(size, Image.Resampling.BICUBIC)) for image in images]
            found.append(model.encode_image(_pixels(torch.from_numpy(np.stack(resized))), normalize=True))
    return torch.cat(found).clone()


def train(drawn: NDArray[np.uint8], out: Path) -> None:
    """Train from nothing and write the weights as float16."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the same sums on any number of cores; pictures are made on the others
    config: dict[str, Any] = json.loads((HERE / "sfhq-demo.json").read_text("utf-8"))
    model, image_size = open_clip.CLIP(**config), int(config["vision_cfg"]["image_size"])
    model.visual.to(memory_format=torch.channels_last)
    faces = [random_face(FIRST_FACE + index) for index in range(len(drawn))]
    learn_to_see(model, Lessons(drawn, Codes().of_faces(faces), image_size))
    _save(model, out)
    learn_to_write(model, see(model, drawn, image_size), faces)
    _save(model, out)


def _optimizer(
    parts: Sequence[torch.nn.Module], rate: float, steps: int, alone: Sequence[torch.nn.Parameter] = ()
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """Decay matrices only, and lower the rate along a cosine to nothing."""
    found = [*alone, *(each for part in parts for each in part.parameters())]
    flat, other = ([each for each in found if (each.ndim < 2) == is_flat] for is_flat in (True, False))
    groups = [{"params": other, "weight_decay": WEIGHT_DECAY}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))

    def share(step: int) -> float:
        warm = min(1.0, (step + 1) / WARMUP_STEPS)
        return warm * 0.5 * (1 + math.cos(math.pi * step / steps))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _learn(
    loss: torch.Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [each for group in optimizer.param_groups for each in group["params"]]
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    schedule.step()


def _pixels(pictures: torch.Tensor) -> torch.Tensor:
    """Turn bytes, pictures x height x width x 3, into what the model takes; channels stay last in memory."""
    mean, std = (torch.tensor(each) * 255 for each in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return ((pictures - mean) / std).permute(0, 3, 1, 2)


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

"""Make an SFHQ-T2I folder of any size to measure with: `python benchmarks/corpus.py OUT --images N`.

Timing a build needs thousands of distinct images, and the real ones are a download of 27 GB. These are
smooth random gradients with noise, about 2 kB each at 64 pixels and 220 kB at 1024, as the real ones are.
Prompts have the real ones' length, and settings are those that each generator records. Everything follows
from the number of images, their size and one seed; a folder that is there already is used again.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import csv
import io
import json
import multiprocessing
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.options import positive
from builders.sources.images.sfhq import COLUMNS, TABLE_NAME
from builders.sources.sample import invent_config

_SHARES = {"FLUX1_schnell": 0.37, "SDXL": 0.30, "FLUX1_dev": 0.15, "FLUX1_pro": 0.12, "DALLE3": 0.06}
_SEED = 20_240_901
_GRADIENT_CELLS = 5
_NOISE = 4.0  # standard deviation; makes a JPEG of 1024 pixels about as large as a real one
_JPEG_QUALITY = 90
_IMAGES_PER_TASK = 64

_AGES = ("a young", "a middle-aged", "an elderly", "a thirty year old", "a very old", "a sixty year old")
_PEOPLE = ("woman", "man", "person", "nurse", "fisherman", "violinist", "chess player", "astronaut")
_ORIGINS = ("Nigerian", "Korean", "Brazilian", "Finnish", "Indian", "Mexican", "Turkish", "Samoan")
_TRAITS = (
    "curly auburn hair that falls over one shoulder",
    "freckles across the nose and the cheeks",
    "deep brown eyes and thick, straight eyebrows",
    "a short grey beard and laughter lines",
    'a small tattoo that says "hope" behind the ear',
    "shaved sides and a braided crown",
)
_CLOTHES = (
    "wearing round wire glasses and a yellow raincoat",
    "in a hand-knitted sweater with a high collar",
    "wearing a wide straw hat and silver earrings",
    "in a dark suit with a loosened tie",
    "wearing headphones around the neck and a denim jacket",
)
_EXPRESSIONS = (
    "looking straight into the camera with a faint smile",
    "laughing with the head thrown back",
    "gazing out of the frame, lost in thought",
    "with raised eyebrows and an open mouth, as if surprised",
)
_PLACES = (
    "on a rainy street at night, with neon signs reflected in the puddles behind",
    "in a greenhouse full of ferns, condensation on the panes",
    "in front of a plain teal studio backdrop",
    "at the edge of a harvested field under a heavy sky",
    "inside a crowded tram, other passengers out of focus",
)
_LIGHTS = (
    "soft window light from the left, shallow depth of field, 85mm lens, fine skin texture, high detail",
    "golden hour, rim light on the hair, natural colours, film grain, sharp focus on the eyes",
    "dramatic side light, deep shadows, muted palette, award-winning portrait photography",
)
_CAPTION_WORDS = 60


@dataclass(frozen=True, slots=True)
class Corpus:
    """A folder to measure with.

    Attributes:
        folder: It holds the table and `images/`.
        images: How many there are.
        size: Their width and height in pixels.
    """

    folder: Path
    images: int
    size: int

    @property
    def table(self) -> Path:
        """The table's path."""
        return self.folder / TABLE_NAME

    @property
    def image_paths(self) -> list[Path]:
        """Every image, by name."""
        return sorted((self.folder / "images").iterdir())


def make_corpus(folder: Path, images: int, size: int) -> Corpus:
    """Make the folder, or use the one that is there if it is the same.

    Args:
        folder: The folder to make; `FOLDER.open` beside it is used on the way.
        images: How many images.
        size: Their width and height in pixels.

    Raises:
        ValueError: The folder is there and holds something else.
    """
    corpus = Corpus(folder, images, size)
    if folder.exists():
        if _description(folder) != (images, size):
            raise ValueError(f"{folder} holds something else than {images} images of {size} pixels")
        return corpus
    open_folder = folder.with_name(f"{folder.name}.open")
    shutil.rmtree(open_folder, ignore_errors=True)
    (open_folder / "images").mkdir(parents=True)
    names = write_table(open_folder / TABLE_NAME, images)
    _write_images(open_folder / "images", names, size)
    open_folder.rename(folder)
    return corpus


def read_rows(table: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table, cell by column."""
    with table.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def invent_caption(name: str, number: int) -> str:
    """Make up a caption of an image; another one for each number.

    Its words are drawn one by one: sentences of ready phrases, like the prompts, compress to next to nothing.
    """
    rng = random.Random(f"{_SEED} {name} {number}")
    phrases = (*_PEOPLE, *_TRAITS, *_CLOTHES, *_EXPRESSIONS, *_PLACES, *_LIGHTS)
    words = [word for phrase in phrases for word in phrase.split()]
    return " ".join(rng.choices(words, k=_CAPTION_WORDS)).capitalize() + "."


def _description(folder: Path) -> tuple[int, int] | None:
    """Say how many images a finished folder has, and of what size."""
    try:
        names = [row["image_filename"] for row in read_rows(folder / TABLE_NAME)]
        with Image.open(folder / "images" / names[0]) as image:
            return len(names), image.width
    except (OSError, KeyError, IndexError):
        return None


def write_table(path: Path, images: int) -> list[str]:
    """Write the table; return the images' names."""
    names = []
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in invent_rows(images):
            table.writerow(row)
            names.append(row[0])
    return names


def invent_rows(images: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of a table: file name, generator, prompt and settings, which differ for each image."""
    for index, (name, generator) in enumerate(_names(images)):
        rng = random.Random(f"{_SEED} {index}")
        prompt = _prompt(rng)
        yield name, generator, prompt, json.dumps(invent_config(generator, index, prompt))


def _names(images: int) -> Iterator[tuple[str, str]]:
    """Yield (file name, generator), one generator after the other, as the real table has them."""
    done, share = 0, 0.0
    for generator, part in _SHARES.items():
        share += part
        end = images if generator == list(_SHARES)[-1] else round(images * share)
        for number in range(1, end - done + 1):
            yield f"{generator}_image_{number:07d}.jpg", generator
        done = end


def _prompt(rng: random.Random) -> str:
    who = f"{rng.choice(_AGES)} {rng.choice(_ORIGINS)} {rng.choice(_PEOPLE)}"
    traits = " and ".join(rng.sample(_TRAITS, 2))
    return (
        f"A portrait photograph of {who} with {traits}, {rng.choice(_CLOTHES)}, {rng.choice(_EXPRESSIONS)}, "
        f"{rng.choice(_PLACES)}. {rng.choice(_LIGHTS).capitalize()}."
    )


def _write_images(folder: Path, names: list[str], size: int) -> None:
    """Write every image, on all cores."""
    tasks = ((index, folder / name, size) for index, name in enumerate(names))
    with multiprocessing.get_context("spawn").Pool() as pool:
        for done, _ in enumerate(pool.imap_unordered(_write_image, tasks, _IMAGES_PER_TASK), 1):
            if done % 1000 == 0 or done == len(names):
                print(f"{folder.parent}: {done:,} of {len(names):,} images", file=sys.stderr)


def _write_image(task: tuple[int, Path, int]) -> None:
    index, path, size = task
    path.write_bytes(draw_jpeg(index, size))


def draw_jpeg(index: int, size: int, *, noise_level: float = _NOISE, rows_between_markers: int = 0) -> bytes:
    """Draw a JPEG that differs for each index.

    Args:
        index: Its number.
        size: Width and height in pixels.
        noise_level: Standard deviation of the noise, in steps of brightness.
        rows_between_markers: Rows of blocks after each of which a restart marker stands; 0 for no markers.
    """
    rng = np.random.default_rng((_SEED, index))
    cells = rng.integers(30, 226, (_GRADIENT_CELLS, _GRADIENT_CELLS, 3), dtype=np.uint8)
    gradient = Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC)
    noise = noise_level * rng.standard_normal((size, size, 1), dtype=np.float32)
    pixels = np.clip(np.asarray(gradient, dtype=np.float32) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    marks = {"restart_marker_rows": rows_between_markers} if rows_between_markers else {}
    Image.fromarray(pixels).save(file, "JPEG", quality=_JPEG_QUALITY, **marks)
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="corpus.py", description="Make an SFHQ folder to measure with.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make")
    parser.add_argument("--images", type=positive, required=True, metavar="N")
    parser.add_argument("--size", type=positive, default=64, help="width and height in pixels (default: 64)")
    options = parser.parse_args()
    try:
        corpus = make_corpus(options.out, options.images, options.size)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    num_bytes = sum(path.stat().st_size for path in corpus.image_paths)
    print(f"{corpus.folder}: {corpus.images:,} images of {corpus.size} pixels, {num_bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

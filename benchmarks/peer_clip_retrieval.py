"""Encode a folder of images with clip-retrieval, for `benchmarks/features.py --clip-retrieval PYTHON`.

Runs in an environment of its own, since clip-retrieval 2.45 needs numpy < 2 and pyarrow < 16:

    python -m venv peer && peer/bin/pip install clip-retrieval "setuptools<81"

What a run takes whatever the number of images (its reader's processes, its statistics) is left out: it is the
time of all images less that of one batch, both with the model loaded. Settings are its own but for the batch,
and one process per core to prepare images. Vectors are in the order of file names.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ["WANDB_MODE"] = "disabled"

import open_clip
from clip_retrieval.clip_inference.main import main as clip_inference

_BATCH = 32


def encode(folder: Path, out: Path) -> float:
    """Write the vectors of a folder's images as clip-retrieval does; give the seconds that it took."""
    start = time.perf_counter()
    clip_inference(
        input_dataset=str(folder),
        output_folder=str(out),
        input_format="files",
        batch_size=_BATCH,
        num_prepro_workers=os.cpu_count() or 1,
        enable_text=False,
        enable_metadata=False,
        clip_model="open_clip:model/weights",
        enable_wandb=False,
        output_partition_count=1,
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--model", "--weights", "--folder", "--out"):
        parser.add_argument(name, required=True, type=str if name == "--model" else Path)
    options = parser.parse_args()
    make = partial(open_clip.create_model_and_transforms, options.model, pretrained=str(options.weights))
    open_clip.create_model_and_transforms = lambda *_, **__: make()
    get_tokenizer = open_clip.get_tokenizer
    open_clip.get_tokenizer = lambda *_, **__: get_tokenizer(options.model)
    images = sorted((options.folder / "images").iterdir())
    if len(images) <= _BATCH:
        parser.error(f"{len(images)} images are too few: give more than {_BATCH}")
    with tempfile.TemporaryDirectory() as work:
        few = Path(work) / "few"
        few.mkdir()
        for image in images[:_BATCH]:
            (few / image.name).symlink_to(image)
        encode(few, Path(work) / "warm-up")
        fixed = encode(few, Path(work) / "few found")
        both = encode(options.folder / "images", Path(work) / "found")
        seconds = (both - fixed) * len(images) / (len(images) - _BATCH)
        (found,) = (Path(work) / "found" / "img_emb").iterdir()
        shutil.copyfile(found, options.out)
    options.out.with_suffix(".json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()

"""Layouts: the rows of one config of a release under the column names that a trainer reads.

A new layout is one row type, one function and one line in `LAYOUTS`. `builders.release.exports` writes it,
and adds columns that say which image, model and terms each row comes from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from builders.images.squares import make_square
from schemas.columns import Column
from schemas.records import EncodedImage

PROMPT_SOURCE, UNNAMED_CAPTIONER = "prompt", "caption"


class TextChoice(StrEnum):
    """Which text of an image an export takes; the order of captions is that of `captions` in `default`."""

    PROMPT = "prompt"
    CAPTION = "caption"
    LONGEST_CAPTION = "longest-caption"

    @property
    def about(self) -> str:
        """Name the text for people."""
        return {
            TextChoice.PROMPT: "the prompt that the image was made for",
            TextChoice.CAPTION: "the first caption of the image",
            TextChoice.LONGEST_CAPTION: "the caption of the image with the most characters",
        }[self]


class LeftOut(StrEnum):
    """Why a row is not in an export; the value completes "left out because …"."""

    NO_IMAGES = "the release does not have both images"
    NO_PROMPT = "the prompt is unknown"
    NO_CAPTION = "the image has no such caption"
    TOO_SMALL = "the shorter side of the image has fewer pixels than the size"


class Option(StrEnum):
    """Options of a layout; the value is the flag."""

    TEXT = "--text"
    CAPTIONER = "--captioner"
    SIZE = "--size"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What the user chose.

    Attributes:
        text: Which text of an image.
        captioner: Whose captions alone count, as the column `captioner` names it; None for all.
        size_px: Side of the square that images become; None leaves their bytes unchanged.
    """

    text: TextChoice = TextChoice.PROMPT
    captioner: str | None = None
    size_px: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A program that took training steps with a layout; `tests/readers/test_trainers.py` repeats it.

    Attributes:
        program: Its name, as Markdown.
        versions: Those that it ran with.
        note: The flags that it needs, as Markdown.
    """

    program: str
    versions: str
    note: str


LayOut = Callable[[Mapping[str, Any], ExportOptions], BaseModel | LeftOut]


@dataclass(frozen=True, slots=True)
class Layout:
    """Column names of one kind of trainer.

    Attributes:
        config: The config whose rows it reads: `default` or `binarized`.
        row: Its row type.
        lay_out: Turns a row of the config into one, or says why it is left out. Rows of `default` have a list
            `texts` of (caption, captioner) where the options ask for captions.
        about: What it holds and what for, without a full stop.
        takes: The options that it takes.
        trials: The programs that it was run with.
    """

    config: str
    row: type[BaseModel]
    lay_out: LayOut
    about: str = ""
    takes: frozenset[Option] = frozenset()
    trials: tuple[Trial, ...] = ()


class TextToImage(BaseModel):
    """An image with one text, under the default column names of diffusers' scripts."""

    image: Annotated[EncodedImage, Column(image=True)] = Field(description="The image.")
    text: str = Field(description="One text about the image.")
    text_source: str = Field(
        description="`prompt`, or the captioner that wrote the text; `caption` where no captioner is named."
    )


class DiffusersDpoPair(BaseModel):
    """A pair as diffusers' and Salesforce's Diffusion-DPO scripts read it, which is as Pick-a-Pic has it."""

    jpg_0: bytes = Field(description="Bytes of an image file. Digests decide its side, not the votes.")
    jpg_1: bytes = Field(description="Bytes of the other image file.")
    label_0: int = Field(description="1 if the first image is the preferred one, 0 if the second is.")
    caption: str = Field(description="Prompt of both images.")


def _text_to_image(row: Mapping[str, Any], options: ExportOptions) -> TextToImage | LeftOut:
    if options.text is TextChoice.PROMPT:
        if not row["prompt"]:
            return LeftOut.NO_PROMPT
        text, source = row["prompt"], PROMPT_SOURCE
    else:
        if not row["texts"]:
            return LeftOut.NO_CAPTION
        is_longest = options.text is TextChoice.LONGEST_CAPTION
        # The first of the longest, so that equal releases give equal exports.
        text, captioner = max(row["texts"], key=lambda each: len(each[0])) if is_longest else row["texts"][0]
        source = captioner or UNNAMED_CAPTIONER
    image = row["image"]
    if options.size_px is not None:
        if min(row["width"], row["height"]) < options.size_px:
            return LeftOut.TOO_SMALL
        data = make_square(image["bytes"], options.size_px)
        if data != image["bytes"]:
            image = {"bytes": data, "path": f"{row['image_id']}.jpg"}
    return TextToImage(image=image, text=text, text_source=source)


def _diffusers_dpo(pair: Mapping[str, Any], _: ExportOptions) -> DiffusersDpoPair | LeftOut:
    """Put the preferred image on the side that its id and the other's decide: no side is better."""
    if pair["chosen"] is None or pair["rejected"] is None:
        return LeftOut.NO_IMAGES
    if not pair["prompt"]:
        return LeftOut.NO_PROMPT
    images = (pair["chosen"]["bytes"], pair["rejected"]["bytes"])
    is_first = pair["chosen_id"] < pair["rejected_id"]
    first, second = images if is_first else images[::-1]
    return DiffusersDpoPair(jpg_0=first, jpg_1=second, label_0=int(is_first), caption=pair["prompt"])


_VERSIONS = "diffusers 0.42.1, transformers 5.24.0, torch 2.15.0"
_SCRIPTS = "https://github.com/huggingface/diffusers/blob/58eb52c0803ea9af3abec60841c2a093bdf1f951/examples"
_SALESFORCE = (
    "https://github.com/SalesforceAIResearch/DiffusionDPO/blob/5233e75919f912f3f631958ee4ebb5b5204382d9"
)
LAYOUTS: Mapping[str, Layout] = {
    "text-to-image": Layout(
        "default",
        TextToImage,
        _text_to_image,
        "Images with one text each, for text-to-image training",
        frozenset(Option),
        (
            Trial(
                f"[train_text_to_image_lora.py]({_SCRIPTS}/text_to_image/train_text_to_image_lora.py)",
                f"{_VERSIONS}, peft 0.21.2",
                "`--dataset_name FOLDER`",
            ),
            Trial("a PyTorch `DataLoader`", "torch 2.15.0", "batches of an export made with `--size`"),
        ),
    ),
    "diffusers-dpo": Layout(
        "binarized",
        DiffusersDpoPair,
        _diffusers_dpo,
        "Pairs of a preferred and another image, for Diffusion-DPO training",
        trials=(
            Trial(
                f"[train_diffusion_dpo.py]({_SCRIPTS}/research_projects/diffusion_dpo/train_diffusion_dpo.py)",
                f"{_VERSIONS}, peft 0.21.2",
                "`--dataset_name FOLDER --dataset_split_name train`",
            ),
            Trial(
                f"[Salesforce's train.py]({_SALESFORCE}/train.py)",
                f"{_VERSIONS}, without xformers",
                "`--dataset_name FOLDER`",
            ),
        ),
    ),
}

"""The kit's own portraits, drawn on this machine: no key, no network, no cost."""

import io
import json

from builders.generation.images import ImageAnswer, ImageRequest
from builders.sample.faces import ATTRIBUTES, SIZES, draw_face
from builders.sample.faces.reading import read_face
from publish.providers.images import ProviderOptions
from schemas.problems import Problem, Reason, SettingsError

DEFAULT_SIZE = "512x512"
_JPEG_QUALITY = 90


class DrawnPortraits:
    """Draws what a prompt asks for, as far as the drawer can; the same request gives the same bytes.

    Args:
        model: Name of the drawer, for records.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    def make(self, request: ImageRequest) -> ImageAnswer:
        """Draw one face.

        Raises:
            SettingsError: The size is none that can be drawn.
        """
        size = _read_size(str(request.settings.get("image_size") or DEFAULT_SIZE))
        asked = [(each.attribute, each.value) for each in request.attributes]
        drawn = read_face(request.prompt, asked, request.seed)
        look = {name: str(getattr(drawn.face, name)) for name in ATTRIBUTES}
        data = io.BytesIO()
        draw_face(drawn.face, size).save(data, "JPEG", quality=_JPEG_QUALITY)
        settings = {**request.settings, "look": "; ".join(f"{name}={value}" for name, value in look.items())}
        return ImageAnswer(
            data.getvalue(),
            model=self._model,
            seed=request.seed,
            settings=settings,
            returned_seed=request.seed,
            raw=json.dumps({"drawn": look, "read_from_prompt": drawn.read}),
        )

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Return the image of an answer, which always came with it."""
        return answer.data

    def close(self) -> None:
        """Do nothing: there are no connections."""


def open_provider(options: ProviderOptions) -> DrawnPortraits:
    """Open the drawer."""
    return DrawnPortraits(options.model)


def _read_size(size: str) -> int:
    width, _, height = size.partition("x")
    if width != height or not (width.isascii() and width.isdecimal()) or int(width[:6]) not in SIZES:
        raise SettingsError(
            Problem(
                Reason.SETTINGS,
                f"portraits are squares of {SIZES[0]} to {SIZES[-1]} pixels",
                column="image_size",
                value=size,
                fix="give such a size: --set image_size=512x512",
                code="run/image-request",
            )
        )
    return int(width)

"""Attributes of the only face of a photograph: age as a range, and gender with its confidence.

Both are inferred about a person from looks: CAPTIONING.md says how often they are wrong. An image without
exactly one face has neither, and says how many it has.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from builders.features.attributing import Answer, ModelOptions
from builders.features.encoder import ImageNotEncodedError
from builders.images.faces import INSTALL, FaceModel, FacesFound, load_face_model
from schemas.problems import Problem, Reason, SettingsError

_THRESHOLDS = {"gender": 0.8}
# Of 27 children in SFHQ-T2I's figures, the gender is right for 18, which is little more than chance.
_MIN_AGE_OF_GENDER = 16
# The estimate is off by 10 years on average. A range of this much to each side meets the age group that found
# the image in 83 % of 95 images; it is rounded to fives, outwards.
_MARGIN, _STEP, _OPEN_FROM = 10, 5, 70
FACES, BOX, AGE, GENDER = "faces", "face_box", "age", "gender"


class FaceAttributes:
    """The attribute model; `open_models` makes it.

    Args:
        model: Finds faces.
        thresholds: Attribute → least confidence, in place of the kit's.
    """

    def __init__(self, model: FaceModel, thresholds: Mapping[str, float]) -> None:
        self._model = model
        self._least = thresholds.get(GENDER, _THRESHOLDS[GENDER])
        self.source_model = model.name
        self.maker = hashlib.sha256(model.made_by.encode()).hexdigest()
        self.batch_size, self.num_workers = 4, 2  # the libraries use every core for one image
        self.recipe = json.dumps(["faces 1", self._least])

    def measure(self, images: Iterable[bytes]) -> Sequence[bytes]:
        """Return what is seen in each image, as `AttributeModel` says."""
        made = []
        for position, data in enumerate(images):
            try:
                made.append(self._model.find(data).to_bytes())
            except Exception as error:  # decoders raise many types; each one means the same here
                raise ImageNotEncodedError(position, str(error) or type(error).__name__) from error
        return made

    def answer(self, made: bytes) -> Iterable[Answer]:
        """Return the number of faces, and box, age and gender of a single one, as `AttributeModel` says."""
        seen = FacesFound.from_bytes(made)
        score = seen.faces[0].score if len(seen.faces) == 1 else None
        yield Answer(FACES, str(len(seen.faces)), score, self.source_model, is_said=False)
        if len(seen.faces) == 1:
            face = seen.faces[0]
            box = f"{face.left},{face.top},{face.width},{face.height}"
            yield Answer(BOX, box, face.score, self.source_model, is_said=False)
        # Without a confidence: the model's is that of a single year, which is not that of a range.
        yield Answer(AGE, None if seen.age is None else range_of_age(seen.age), None, self.source_model)
        is_sure = (seen.gender_confidence or 0) >= self._least and (seen.age or 0) >= _MIN_AGE_OF_GENDER
        yield Answer(
            GENDER,
            seen.gender if is_sure else None,
            seen.gender_confidence if is_sure else None,
            self.source_model,
        )


def range_of_age(years: int) -> str:
    """Return the range that is published for an estimate of 0 to 80 years: 20-45 for 34, 60+ for 72."""
    low = max(0, (years - _MARGIN) // _STEP * _STEP)
    high = -(-(years + _MARGIN) // _STEP) * _STEP
    return f"{low}+" if years >= _OPEN_FROM else f"{low}-{high}"


def open_models(options: ModelOptions) -> Sequence[FaceAttributes]:
    """Open the model: see `publish/providers/attributes.py`.

    Raises:
        SettingsError: The extra is not installed.
    """
    model = load_face_model()
    if model is None:
        message = "age and gender need the extra `faces`, which is not installed"
        raise SettingsError(
            Problem(Reason.SETTINGS, message, column="--faces", fix=INSTALL, code="run/caption")
        )
    return [FaceAttributes(model, options.thresholds)]

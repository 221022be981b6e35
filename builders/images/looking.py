"""Looking at an image file: its digest, whether it is sound, and what it holds beside its pixels.

This is the part of reading that needs nothing but the file, so that any executor can run it.
"""

import hashlib
from dataclasses import dataclass

from builders.images.files import ImageFile, ImageRefusedError, read_image
from builders.images.integrity import ImageFacts, inspect_image
from builders.images.metadata import ImageMetadata, read_metadata
from schemas.settings import BuildSettings


@dataclass(frozen=True, slots=True)
class Look:
    """What the file of a sound image shows.

    Attributes:
        facts: Of the image.
        metadata: What is there beside its pixels.
    """

    facts: ImageFacts
    metadata: ImageMetadata


@dataclass(frozen=True, slots=True)
class LookAtImage:
    """Looks at one image file; plain data, for workers in other processes.

    Attributes:
        limits: What is accepted.
    """

    limits: BuildSettings

    def __call__(self, file: ImageFile | None) -> Look | ImageRefusedError | None:
        """Read an image, decode it in full, and read what it holds beside its pixels.

        Returns:
            What it shows, or why it is refused; None where there is no file to look at.
        """
        if file is None:
            return None
        try:
            data = read_image(file, self.limits.max_image_bytes)
            facts = inspect_image(data, hashlib.sha256(data).hexdigest(), self.limits)
        except ImageRefusedError as error:
            return error
        return Look(facts, read_metadata(data))

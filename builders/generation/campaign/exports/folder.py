"""What all exports of a campaign share: the pairs that others may see, and their images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.images.files import ImageFile, ImageRefusedError, read_image
from schemas.campaign import IMAGES_FOLDER, CampaignPair, CampaignSettings
from schemas.problems import Problem, Reason, SourceError
from schemas.records import IMAGE_FORMATS
from schemas.settings import BuildSettings

# Extension → media type, such as "image/jpeg": formats have the names that media types use.
_MEDIA_TYPES = {extension: f"image/{name.lower()}" for name, extension in IMAGE_FORMATS.items()}


@dataclass(frozen=True, slots=True)
class CampaignExport:
    """A campaign that is exported.

    Attributes:
        settings: What is asked.
        pairs: All pairs, in their order.
        folder: The campaign's folder, with the images.
    """

    settings: CampaignSettings
    pairs: Sequence[CampaignPair]
    folder: Path

    @property
    def asked(self) -> list[CampaignPair]:
        """The pairs that votes decide; the known answers of the others stay in the campaign."""
        return [pair for pair in self.pairs if pair.gold is None]

    def read(self, image: str) -> bytes:
        """Return the bytes of an image by its path in the folder; links are not followed.

        Raises:
            SourceError: It is not there, or it is no regular file.
        """
        try:
            return read_image(ImageFile(self.folder / image), BuildSettings().max_image_bytes)
        except ImageRefusedError as error:
            fix = "restore it, or make the campaign again"
            problem = Problem(Reason.SOURCE, error.message, file=str(self.folder / image), fix=fix)
            raise SourceError(problem) from error

    def copy_images(self, out: Path) -> None:
        """Copy the images of the asked pairs into `images` of another folder.

        Raises:
            SourceError: Some are not there; all are listed.
        """
        (out / IMAGES_FOLDER).mkdir()
        problems: list[Problem] = []
        for image in self.images():
            try:
                (out / image).write_bytes(self.read(image))
            except SourceError as error:
                problems += error.problems
        if problems:
            raise SourceError(problems)

    def images(self) -> Iterator[str]:
        """Yield the path of each image of the asked pairs once."""
        yield from dict.fromkeys(image for pair in self.asked for image in (pair.image_1, pair.image_2))


def media_type_of(image: str) -> str:
    """Return the media type of an image by its extension."""
    return _MEDIA_TYPES[image.rpartition(".")[2]]

"""What all exports of a campaign share: the pairs that others may see, in which order, and their images."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.generation.campaign.annotator_record import APART
from builders.images.files import ImageFile, ImageRefusedError, read_image
from schemas.campaign import IMAGES_FOLDER, CampaignPair, CampaignSettings, Side
from schemas.preferences import VoteKind
from schemas.problems import Problem, Reason, SourceError
from schemas.records import IMAGE_FORMATS
from schemas.settings import BuildSettings

# Extension → media type, such as "image/jpeg": formats have the names that media types use.
_MEDIA_TYPES = {extension: f"image/{name.lower()}" for name, extension in IMAGE_FORMATS.items()}


@dataclass(frozen=True, slots=True)
class ExportTask:
    """A pair that a tool shows to all people alike.

    Attributes:
        pair: The pair.
        kind: first, or repeat or mirror: the same pair once more, which measures people.
        left: The image on the left.
    """

    pair: CampaignPair
    kind: VoteKind
    left: Side

    @property
    def id(self) -> str:
        """What tells it apart from other tasks: the pair's id, with its kind if it is asked again."""
        return self.pair.id if self.kind == "first" else f"{self.pair.id}-{self.kind}"


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

    @property
    def tasks(self) -> list[ExportTask]:
        """What a tool asks that does not choose for each person: some pairs come again, some mirrored.

        A repetition stands at least six places behind its pair. The seed decides which pairs are repeated.
        """
        pairs, settings = self.asked, self.settings
        chance = random.Random(f"{settings.seed} export")  # noqa: S311 - no secret
        places = chance.sample(range(len(pairs)), len(pairs))
        again: dict[int, list[ExportTask]] = {}
        shares: tuple[tuple[VoteKind, float], ...] = (
            ("repeat", settings.repeat_share),
            ("mirror", settings.mirror_share),
        )
        for kind, share in shares:
            fitting = [place for place in places if place + APART < len(pairs)]
            for place in fitting[: round(share * len(pairs))]:
                places.remove(place)
                pair = pairs[place]
                turned: Side = "image_2" if pair.first_left == "image_1" else "image_1"
                task = ExportTask(pair, kind, pair.first_left if kind == "repeat" else turned)
                again.setdefault(chance.randrange(place + APART, len(pairs)), []).append(task)
        tasks = list[ExportTask]()
        for place, pair in enumerate(pairs):
            tasks += [ExportTask(pair, "first", pair.first_left), *again.get(place, [])]
        return tasks

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

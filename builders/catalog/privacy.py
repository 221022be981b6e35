"""What becomes of private data in rows and images: noted, set aside or left out, as `[privacy]` says.

`PrivacyCheck` looks at one row or image at a time and knows nothing of others, so many threads can use it.
`builders.catalog.findings` keeps what it finds until it is known which rows are published.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from builders.catalog.private_texts import find_in_texts, texts_of
from builders.images.metadata import ImageMetadata
from builders.sources.intake import CaptionInput, ImageInput, InputRow
from schemas.generators import OpenSettings
from schemas.problems import Place, Problem, Reason
from schemas.settings import PrivacySettings

_MAX_COLUMNS_SEEN = 1_000
WHAT: Mapping[Reason, str] = {
    Reason.EMAIL_ADDRESS: "an e-mail address",
    Reason.IP_ADDRESS: "an IP address",
    Reason.HOME_PATH: "the path of a home folder",
    Reason.IMAGE_POSITION: "a position on the earth (GPS)",
    Reason.IMAGE_OWNER: "what names a person or a device",
    Reason.IMAGE_CAMERA: "a camera and the time of a picture, so it may be a photograph",
    Reason.DATA_AFTER_IMAGE: "data after the end of the image",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something private.

    Attributes:
        reason: Its kind.
        place: The column, key of settings or part of an image file that it is in.
        value: The data, or how much there is of it; a secret is masked.
        image: The image file that it is in, as its source names it; None for a text of the row.
    """

    reason: Reason
    place: str
    value: str
    image: str | None = None


class PrivacyCheck:
    """Finds private data in rows and images.

    Args:
        settings: What is to be done about it.

    Attributes:
        columns: Extra columns that rows have, the first thousand names.
    """

    def __init__(self, settings: PrivacySettings) -> None:
        self._settings = settings
        self.columns: set[str] = set()

    @property
    def rejects_images(self) -> bool:
        """Whether images with private data are set aside."""
        return self._settings.images == "reject"

    def drop_columns(self, row: InputRow) -> tuple[InputRow, list[Finding]]:
        """Return a row without the extra columns that are not to be published, and a note of each."""
        wanted, content = self._settings.drop_columns, row.content
        if not wanted or row.is_rejected:
            return row, []
        if isinstance(content, CaptionInput) and content.text.extras:
            extras, dropped = self._without(json.loads(content.text.extras))
            if not dropped:
                return row, []
            written = json.dumps(extras, ensure_ascii=False, sort_keys=True) if extras else None
            said = content.text.model_copy(update={"extras": written})
            return replace(row, content=replace(content, text=said)), _dropped("extras", dropped)
        if isinstance(content, ImageInput) and content.text and content.text.settings:
            text = content.text
            extras, dropped = self._without(content.text.settings.extras)
            if not dropped:
                return row, []
            settings = _without_keys(content.text.settings, dropped)
            said_json = _without_json_keys(text.config_json, dropped)
            text = replace(text, settings=settings, config_json=said_json)
            # The source has noted that it keeps an unknown key.
            problems = tuple(each for each in row.problems if not _is_note_on(each, dropped))
            row = replace(row, content=replace(content, text=text), problems=problems)
            return row, _dropped("settings", dropped)
        return row, []

    def inspect_row(self, row: InputRow) -> list[Finding]:
        """Find private data in the texts of a row that is to be published."""
        if row.is_rejected or row.content is None:
            return []
        return [Finding(*found) for found in find_in_texts(texts_of(row))]

    def inspect_image(self, metadata: ImageMetadata, name: str) -> list[Finding]:
        """Find private data in an image file; `name` is what its source calls it."""
        if not metadata:
            return []
        found = [
            Finding(reason, f"image: {place}", value, name)
            for place, text in metadata.texts
            for reason, _, value in find_in_texts([(place, text)])
        ]
        if metadata.has_position:
            found.append(Finding(Reason.IMAGE_POSITION, "image", "latitude and longitude", name))
        if metadata.camera is not None:
            found.append(Finding(Reason.IMAGE_CAMERA, "image", metadata.camera, name))
        if metadata.num_bytes_after:
            found.append(
                Finding(Reason.DATA_AFTER_IMAGE, "image", f"{metadata.num_bytes_after:,} bytes", name)
            )
        owners = metadata.owner.items()
        return found + [Finding(Reason.IMAGE_OWNER, f"image: {tag}", text, name) for tag, text in owners]

    def refuse(self, row: InputRow, findings: Iterable[Finding]) -> Iterator[Problem]:
        """Yield the problems that set a row aside for what was found, where the settings ask for that."""
        at = Place(file=row.file, row=row.row)
        for found in findings:
            if found.reason not in WHAT:
                continue
            if found.image is None and self._settings.texts == "reject":
                message, fix = f"the row holds {WHAT[found.reason]}", "remove it from the row"
                yield at.problem(Reason.PRIVATE_TEXT, message, value=found.value, fix=fix, column=found.place)
            elif found.image is not None and self.rejects_images:
                message = f"{found.image}: the file holds {WHAT[found.reason]}"
                fix = "remove it from the file"
                yield at.problem(
                    Reason.PRIVATE_IMAGE, message, value=found.value, fix=fix, column=found.place
                )

    def _without(self, extras: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        """Return the columns to publish, and the names of the others.

        A name also stands for the fields of a struct, which are columns with dotted names.
        """
        if len(self.columns) < _MAX_COLUMNS_SEEN:
            self.columns.update(extras)
        wanted = self._settings.drop_columns
        dropped = [
            name for name in extras if any(name == each or name.startswith(f"{each}.") for each in wanted)
        ]
        return {name: value for name, value in extras.items() if name not in dropped}, dropped

    def is_idle(self, column: str, dropped: Iterable[str]) -> bool:
        """Return whether a name in the settings has dropped nothing."""
        return not any(name == column or name.startswith(f"{column}.") for name in dropped)


def _dropped(prefix: str, names: Sequence[str]) -> list[Finding]:
    return [Finding(Reason.DROPPED_COLUMN, f"{prefix}.{name}", name) for name in names]


def _is_note_on(problem: Problem, keys: Sequence[str]) -> bool:
    key = (problem.column or "").partition(".")[2]
    return problem.reason is Reason.UNKNOWN_SETTING and key in keys


def _without_keys(settings: OpenSettings, keys: Sequence[str]) -> OpenSettings:
    kept = settings.model_dump(exclude_unset=True, exclude=set(keys))
    return type(settings).model_validate(kept)


def _without_json_keys(text: str | None, keys: Sequence[str]) -> str | None:
    said = json.loads(text) if text else None
    if not isinstance(said, dict):
        return text
    return json.dumps({key: value for key, value in said.items() if key not in keys}, ensure_ascii=False)

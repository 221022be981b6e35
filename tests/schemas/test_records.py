"""Records and manifest refuse values that contradict themselves."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from schemas.generators import GENERATORS, OpenSettings
from schemas.manifest import Counts, FileEntry
from schemas.records import GENERATORS_KEY, ImageRecord
from schemas.versions import VERSION_PATTERN

SHA256 = "0123456789abcdef" * 4
GOOD: dict[str, object] = {
    "image_id": SHA256[:16],
    "prompt": None,
    "original_prompt": None,
    "captions": [],
    "prompt_attributes": [],
    "generator": "SDXL",
    "settings": GENERATORS["SDXL"].settings.model_validate({"steps": 30}),
    "config_json": None,
    "width": 1024,
    "height": 1024,
    "format": "JPEG",
    "mode": "RGB",
    "num_bytes": 1,
    "sha256": SHA256,
    "license": "openrail++",
    "digital_source_type": "x",
    "source": "a",
    "file_name": "a.jpg",
    "other_origins": [],
    "split": "train",
}


def test_a_good_record_is_taken_and_frozen() -> None:
    record = ImageRecord.model_validate(GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        record.width = 1  # type: ignore[misc]
    assert list(record.row()) == list(GOOD)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_id": "f" * 16}, "does not begin"),
        ({"generator": "SDXL2"}, "not one of"),
        ({"settings": GENERATORS["DALLE3"].settings.model_validate({})}, "settings of SDXL are SdxlSettings"),
        ({"format": "GIF"}, "not one of"),
        ({"width": 0}, "greater than or equal to 1"),
        ({"num_bytes": 0}, "greater than or equal to 1"),
        ({"sha256": "no"}, "pattern"),
        ({"split": "../x"}, "pattern"),
        ({"surplus": 1}, "Extra inputs"),
    ],
)
def test_a_contradictory_record_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ImageRecord.model_validate(GOOD | change)


def test_a_declared_generator_is_known_where_the_context_has_it() -> None:
    declared = replace(GENERATORS["SDXL"], name="Mine", settings=OpenSettings)
    values = GOOD | {"generator": "Mine", "settings": OpenSettings.model_validate({"any": "key"})}
    with pytest.raises(ValidationError, match="generator 'Mine' is not one of"):
        ImageRecord.model_validate(values)
    context = {GENERATORS_KEY: {**GENERATORS, "Mine": declared}}
    assert ImageRecord.model_validate(values, context=context).generator == "Mine"


def test_counts_must_add_up() -> None:
    with pytest.raises(ValidationError, match="5 rows read, 3 published, 1 rejected"):
        Counts(read=5, published=3, num_rows=3, rejected={"bad_config": 1}, warnings={})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.b", "a\\b", "", "a\nb"]
)
def test_a_manifest_cannot_name_a_file_elsewhere(path: str) -> None:
    with pytest.raises(ValidationError):
        FileEntry(path=path, num_bytes=1, sha256=SHA256)


@pytest.mark.parametrize("version", ["1", "1.", "1.0.0.0", "01.0", "1.0-rc1", "../1.0", "1.0\n", "v1.0", ""])
def test_what_is_no_version(version: str) -> None:
    assert VERSION_PATTERN.fullmatch(version) is None

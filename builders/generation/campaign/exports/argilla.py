"""Argilla: a folder for `Dataset.from_disk` of its client, with the images in the records.

The layout is that of argilla 2.8: `.argilla/dataset.json`, `.argilla/settings.json` and `records.json`. An
Argilla server reads no files of another machine, so images are `data:` addresses. The image on the left is
`image_1` of its record, so that the answers need no side: where the pair has it as image 2, the record has
the two the other way round, models included.
"""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.generation.campaign.exports.folder import CampaignExport, ExportTask, media_type_of
from schemas.campaign import CampaignSettings
from schemas.preferences import Label

NEXT_STEPS = (
    'rg.Dataset.from_disk("FOLDER", workspace="…") of argilla 2.8 makes the dataset on your server; then '
    'give the file of `dataset.records(with_responses=True).to_datasets().to_parquet("votes.parquet")` to '
    "`--preferences`"
)
_MAX_NAME_CHARS = 200
_TEMPLATE = """<style>
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1em }
  .pair img { width: 100% }
</style>
<p>{{record.fields.images.prompt}}</p>
<div class="pair">
  <img src="{{record.fields.images.image_1}}" alt="Left image">
  <img src="{{record.fields.images.image_2}}" alt="Right image">
</div>
"""
_ANSWERS: Mapping[Label, str] = {
    Label.IMAGE_1: "Left is better",
    Label.IMAGE_2: "Right is better",
    Label.BOTH_GOOD: "Both are good",
    Label.BOTH_BAD: "Both are bad",
    Label.TOXIC: "Unsafe content",
}
# What the reader takes from a record's metadata; annotators do not see it, since it names the models.
_METADATA = (
    *("model_1", "model_2", "category", "sub_category", "evolution", "left", "license", "prompt_license"),
    *("image_1_id", "image_2_id", "prompt_id", "pair_id", "kind"),
)


def write(export: CampaignExport, out: Path) -> None:
    """Write the folder of a dataset, one record at a time: images in memory are those of one pair."""
    (out / ".argilla").mkdir()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", export.settings.name).strip("-_") or "campaign"
    files = {
        "dataset.json": {"name": name[:_MAX_NAME_CHARS], "status": "draft"},
        "settings.json": _settings(export.settings),
    }
    for path, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (out / ".argilla" / path).write_text(text, encoding="utf-8", newline="\n")
    with (out / "records.json").open("w", encoding="utf-8", newline="\n") as file:
        separator = "[\n"
        for task in export.tasks:
            file.write(separator + json.dumps(_record(export, task), ensure_ascii=False))
            separator = ",\n"
        file.write("\n]\n")


def _settings(settings: CampaignSettings) -> dict[str, Any]:
    options = [{"value": label.value, "text": text} for label, text in _ANSWERS.items()]
    return {
        "guidelines": settings.guidelines or None,
        "fields": [
            {
                "name": "images",
                "title": "Images",
                "required": True,
                "settings": {"type": "custom", "template": _TEMPLATE, "advanced_mode": False},
            }
        ],
        "questions": [
            {
                "name": "preference",
                "title": "Which image is better?",
                "required": True,
                "settings": {"type": "label_selection", "options": options, "visible_options": len(options)},
            }
        ],
        "metadata": [
            {"name": name, "title": name, "settings": {"type": "terms"}, "visible_for_annotators": False}
            for name in _METADATA
        ],
        "vectors": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": settings.overlap},
        "mapping": None,
    }


def _record(export: CampaignExport, task: ExportTask) -> dict[str, Any]:
    """Return one record, with the left image as `image_1`."""
    said = task.pair.model_dump() | {"pair_id": task.pair.id, "kind": task.kind}
    if task.left == "image_2":
        for name in ("image_{}", "image_{}_id", "model_{}"):
            first, second = name.format(1), name.format(2)
            said[first], said[second] = said[second], said[first]
    said["left"] = "image_1"
    images = {
        name: f"data:{media_type_of(said[name])};base64,"
        f"{base64.b64encode(export.read(said[name])).decode('ascii')}"
        for name in ("image_1", "image_2")
    }
    return {
        "id": task.id,
        "fields": {"images": images | {"prompt": task.pair.prompt}},
        "metadata": {name: said[name] for name in _METADATA if said[name] is not None},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }

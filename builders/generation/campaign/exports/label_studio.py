"""Label Studio: tasks, the labeling interface, and images served from the folder.

The format of tasks: https://labelstud.io/guide/task_format; of the interface: https://labelstud.io/tags.
`<Pairwise>` knows no ties, so all five answers are `<Choices>`, with the keys of the kit's own page.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from builders.generation.campaign.exports.folder import CampaignExport, ExportTask
from schemas.preferences import Label

TASKS_FILE, CONFIG_FILE, README_FILE = "tasks.json", "labeling-config.xml", "README.md"
NEXT_STEPS = (
    "README.md of the folder shows the three steps in Label Studio; then give its JSON export to "
    "`--preferences`"
)
# Value in the export → text on the page; the keys are 1 to 5.
_ANSWERS: Mapping[str, str] = {
    "left": "Left is better",
    "right": "Right is better",
    Label.BOTH_GOOD.value: "Both are good",
    Label.BOTH_BAD.value: "Both are bad",
    Label.TOXIC.value: "Unsafe content",
}
_README = """# {name}

A preference campaign of {num_pairs:,} pairs, as tasks for Label Studio. {num_again:,} of them are asked
twice, some with swapped sides, to measure the people who answer: `repeat` and `mirror` in the column `kind`.

1. Put this folder where Label Studio may read it. Start Label Studio with the folder above it as root:
   `LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=FOLDER_ABOVE`.
   The name of this folder must stay `{folder}`.
2. Make a project. Paste `labeling-config.xml` into Settings, Labeling Interface, Code. Add this folder as
   source storage of the kind "Local files".
3. Import `tasks.json`, and let people get the tasks in their order. Let {overlap} people answer each task, if
   your edition has that setting.

Annotators see the prompt and the images. Label Studio's data manager shows all columns, `model_1` and
`model_2`, too: hide it from annotators. At the end export as JSON, and give the file to
`sfhq release --preferences`.

{guidelines}
"""


def write(export: CampaignExport, out: Path) -> None:
    """Write tasks, interface, a guide and the images into an empty folder."""
    tasks = [{"data": _data(task, out.name)} for task in export.tasks]
    files = {
        TASKS_FILE: json.dumps(tasks, ensure_ascii=False, indent=1) + "\n",
        CONFIG_FILE: _config(),
        README_FILE: _README.format(
            name=" ".join(export.settings.name.split()),
            num_pairs=len(export.asked),
            num_again=len(tasks) - len(export.asked),
            folder=out.name,
            overlap=export.settings.overlap,
            guidelines=export.settings.guidelines,
        ),
    }
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    export.copy_images(out)


def _data(task: ExportTask, folder: str) -> dict[str, str | None]:
    """Return what a task shows, and what comes back with its annotations."""
    pair, left = task.pair, task.left
    images = {"image_1": pair.image_1, "image_2": pair.image_2}
    right = "image_2" if left == "image_1" else "image_1"
    said = pair.model_dump(exclude={"id", "first_left", "gold"}, exclude_none=True)
    return {
        "pair_id": pair.id,
        "kind": task.kind,
        **said,
        "left": left,
        "left_image": _address(folder, images[left]),
        "right_image": _address(folder, images[right]),
    }


def _address(folder: str, image: str) -> str:
    """Return how Label Studio names a file below its root."""
    return f"/data/local-files/?d={quote(f'{folder}/{image}')}"


def _config() -> str:
    """Return the labeling interface."""
    choices = "\n".join(
        f'    <Choice value={quoteattr(text)} alias={quoteattr(value)} hotkey="{key}"/>'
        for key, (value, text) in enumerate(_ANSWERS.items(), 1)
    )
    return f"""<View>
  <Text name="prompt" value="$prompt"/>
  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 1em">
    <Image name="left" value="$left_image"/>
    <Image name="right" value="$right_image"/>
  </View>
  <Choices name="answer" toName="left" choice="single-radio" required="true" showInline="true">
{choices}
  </Choices>
</View>
"""

"""Check an exported campaign with this environment's Label Studio SDK: interface, tasks and answers."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from label_studio_sdk.label_interface import LabelInterface

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    interface = LabelInterface((folder / "labeling-config.xml").read_text("utf-8"))
    interface.validate()
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    (control,) = interface.controls
    answers = {}
    for answer in [*control.labels, "something else"]:
        value = {"choices": [answer]}
        region = {"from_name": "answer", "to_name": "left", "type": "choices", "value": value}
        answers[answer] = interface.validate_annotation({"result": [region]})
    print(
        json.dumps(
            {
                "version": version("label-studio-sdk"),
                "tasks": [interface.validate_task(task) for task in tasks],
                "answers": answers,
            }
        )
    )

"""A campaign in the form of another tool: a folder that the tool opens, and whose results the kit reads back.

A tool is one module here and one line in `EXPORTS`. No module has a network. Gold pairs stay with the kit's
own page, and so do links and votes: a folder for others must not have what they should not know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.generation.campaign.exports import argilla, label_studio, space
from builders.generation.campaign.exports.folder import CampaignExport

__all__ = ["EXPORTS", "CampaignExport", "ExportKind"]


@dataclass(frozen=True, slots=True)
class ExportKind:
    """One tool.

    Attributes:
        title: Its name, for people.
        write: Writes the files into an empty folder.
        next_steps: What to do with the folder, and how votes come back.
    """

    title: str
    write: Callable[[CampaignExport, Path], None]
    next_steps: str


EXPORTS: Mapping[str, ExportKind] = {
    "label-studio": ExportKind("Label Studio", label_studio.write, label_studio.NEXT_STEPS),
    "argilla": ExportKind("Argilla", argilla.write, argilla.NEXT_STEPS),
    "space": ExportKind("a Gradio Space on the Hugging Face Hub", space.write, space.NEXT_STEPS),
}

"""A Gradio Space that asks the campaign's pairs, and collects votes into a private dataset on the Hub.

The folder has no secret: the token for the dataset and the key of annotators' names are settings of the
Space. Gradio is a dependency of the Space alone. Its votes have the form of the kit's own, `CampaignVote`.
"""

import json
from pathlib import Path

from builders.generation.campaign.exports.folder import CampaignExport

GRADIO_VERSION, HUB_VERSION = "6.31.0", "2.4.0"
NEXT_STEPS = (
    "README.md of the folder shows how to make the Space; then give its votes, `cat votes/*.jsonl`, to "
    "`--preferences`"
)
_HERE = Path(__file__).parent
_README = """---
title: {title}
sdk: gradio
sdk_version: {gradio}
app_file: app.py
hf_oauth: true
pinned: false
---

# Which image is better?

This Space shows pairs of images, and keeps the votes in a private dataset.

1. Make a Space with the SDK Gradio, and upload this folder to it.
2. Make a token that may write to your datasets. In the settings of the Space, add the secret `HF_TOKEN` with
   it, the secret `ANNOTATOR_KEY` with a long random text, and the variable `VOTES_DATASET` with the name of a
   dataset, such as `your-name/campaign-votes`. The Space makes the dataset, as a private one.
3. People sign in with their accounts. Votes hold a keyed hash of the account, and not its name.

Votes are sent to the dataset every minute, and read from it when the Space starts. A crash can lose the votes
of the last minute. To use the votes, download the dataset, join the files in the order of their names, and
release with them:

```
cat votes/*.jsonl > votes.jsonl
sfhq release --version 1.1 --sfhq pairs-images --preferences votes.jsonl
```

The Space keeps the seed, the sides, the repeats and the mirrored pairs of the campaign.
"""


def write(export: CampaignExport, out: Path) -> None:
    """Write the files of the Space and the images into an empty folder."""
    settings = export.settings.model_dump(
        include={"name", "seed", "overlap", "repeat_share", "mirror_share", "guidelines"}
    )
    pairs = [pair.model_dump(exclude={"gold"}) for pair in export.asked]
    files = {
        # A JSON string is a YAML string, too, whatever the name holds.
        "README.md": _README.format(title=json.dumps(export.settings.name), gradio=GRADIO_VERSION),
        "requirements.txt": f"gradio[oauth]=={GRADIO_VERSION}\nhuggingface_hub=={HUB_VERSION}\n",
        "campaign.json": json.dumps(settings, ensure_ascii=False, indent=2) + "\n",
        "pairs.jsonl": "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs),
        "app.py": (_HERE / "space_app.txt").read_text(encoding="utf-8"),
        "voting.py": (_HERE / "space_voting.py").read_text(encoding="utf-8"),
    }
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    export.copy_images(out)

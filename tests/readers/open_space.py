"""Run an exported Space with this environment's Gradio on loopback, and vote with Gradio's client."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
sys.path.insert(0, sys.argv[1])

import app  # the Space's own
import gradio as gr
from gradio_client import Client


def status_of(address: str) -> int:
    """Return the status of an answer."""
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    _, address, _ = app.demo.launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
    client = Client(address, verbose=False)
    names = ["/start", "/vote", *(f"/vote_{number}" for number in range(1, len(app.CHOICES)))]
    shown = [client.predict(api_name=name) for name in names]
    undone = client.predict(api_name="/undo")
    files = [*app.FOLDER.glob("*.jsonl"), app.HERE / "pairs.jsonl"]
    print(
        json.dumps(
            {
                "version": gr.__version__,
                "progress": [each[-1] for each in shown],
                "images": [Path(image).name for image in shown[0][:2]],
                "undone": undone[-1],
                "files": [status_of(f"{address}gradio_api/file={file}") for file in files],
            }
        )
    )
    app.demo.close()

"""Makes preference results in the forms that people publish them in, with the dirt that real ones have."""

import random
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LABELS = ("image_1", "image_2", "both_good", "both_bad", "toxic_content")
REAL_RECORD: dict[str, Any] = {
    "id": "3368-quality",
    "status": "completed",
    "_server_id": "c2306976-5e44-4ad4-b2ce-8a510ec6086b",
    "images": {
        "image_1": "https://huggingface.co/datasets/x/y/resolve/main/image_quality_dev/3368.jpg",
        "image_2": "https://huggingface.co/datasets/x/y/resolve/main/image_quality_sd/3368.jpg",
        "prompt": "a bustling manga street",
    },
    "model_1": "dev",
    "model_2": "sd",
    "evolution": "quality",
    "category": "Manga",
    "sub_category": "detailed",
    "preference.responses": ["both_good", "image_1", "image_1"],
    "preference.responses.users": [f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3)],
    "preference.responses.status": ["submitted", "submitted", "submitted"],
}
_LIST = pa.list_(pa.string())
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("id", "status", "_server_id"), pa.string()),
        "images": pa.struct({name: pa.string() for name in ("image_1", "image_2", "prompt")}),
        **dict.fromkeys(("model_1", "model_2", "evolution", "category", "sub_category"), pa.string()),
        "preference.responses": _LIST,
        "preference.responses.users": _LIST,
        "preference.responses.status": _LIST,
    }
)
_GROUPS = ("Animation", "Cinematic", "Manga", "Photographic")


def upstream_choice(labels: Sequence[str | None] | None) -> str | None:
    """Choose as upstream's notebook does: the straightforward reference for `open-image-preferences`."""
    marks: list[str] = []
    for label in labels or ():
        marks += ["image_1", "image_2"] if label == "both_good" else [label] if label else []
    first, second, bad = (marks.count(label) for label in ("image_1", "image_2", "both_bad"))
    if first > second and first > bad:
        return "image_1"
    return "image_2" if second > first and second > bad else None


def argilla_records(num_pairs: int, seed: int = 1, votes: int = 3) -> Iterator[dict[str, Any]]:
    """Yield records of an Argilla export; about one in a hundred has each kind of dirt.

    The dirt: no responses at all, drafts, somebody who voted twice, toxic content, unknown labels, lists of
    unequal lengths, unknown models.
    """
    rng = random.Random(seed)
    users = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(250)]
    for number in range(num_pairs):
        sides = ["dev", "sd"] if rng.random() < 0.5 else ["sd", "dev"]
        evolution = "quality" if number % 2 == 0 else "simplified"
        responses = rng.choices(LABELS[:4], (40, 35, 15, 10), k=votes)
        annotators, statuses = rng.sample(users, votes), ["submitted"] * votes
        dirt = rng.random()
        if dirt < 0.01:
            statuses[0] = "draft"
        elif dirt < 0.02:
            responses.append(responses[0])
            annotators.append(annotators[0])
            statuses.append("submitted")
        elif dirt < 0.03:
            responses[-1] = "toxic_content"
        elif dirt < 0.035:
            responses[0] = "image_3"
        elif dirt < 0.04:
            annotators.pop()
        is_empty = 0.04 <= dirt < 0.05
        yield {
            "id": f"{number // 2}-{evolution}",
            "status": "pending" if is_empty else "completed",
            "_server_id": str(uuid.UUID(int=rng.getrandbits(128))),
            "images": {
                "image_1": f"https://host.example/main/image_{evolution}_{sides[0]}/{number // 2}.jpg",
                "image_2": f"https://host.example/main/image_{evolution}_{sides[1]}/{number // 2}.jpg",
                "prompt": f"prompt {number // 2} of somebody",
            },
            "model_1": None if 0.05 <= dirt < 0.06 else sides[0],
            "model_2": sides[1],
            "evolution": evolution,
            "category": rng.choice(_GROUPS),
            "sub_category": "detailed",
            "preference.responses": None if is_empty else responses,
            "preference.responses.users": None if is_empty else annotators,
            "preference.responses.status": None if is_empty else statuses,
        }


def write_argilla(path: Path, num_pairs: int, seed: int = 1, votes: int = 3) -> Path:
    """Write an Argilla export as Parquet, with upstream's schema."""
    with pq.ParquetWriter(path, SCHEMA) as writer:
        batch = []
        for record in argilla_records(num_pairs, seed, votes):
            batch.append(record)
            if len(batch) == 10_000:
                writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
    return path

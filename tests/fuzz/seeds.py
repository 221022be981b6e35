"""Good tables of every use and every format, from which fuzzing starts."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builders.sources.images.sfhq import COLUMNS
from builders.sources.preferences import FORMS
from tests.support import CONFIGS

Row = dict[str, Any]
GENERATORS = list(CONFIGS)[:3]
# As `tests.support.good_folder` names them.
NAMES = [f"{generator}_image_{number:07d}.jpg" for number, generator in enumerate(GENERATORS)]
_PAIR = NAMES[:2]

_IMAGES: list[Row] = [
    dict(zip(COLUMNS, (name, generator, f"prompt {name}", json.dumps(CONFIGS[generator])), strict=True))
    for name, generator in zip(NAMES, GENERATORS, strict=True)
]
_CAPTIONS: dict[str, list[Row]] = {
    "captions": [
        {"image": NAMES[0], "caption": "A face.", "score": 0.5, "language": "en"},
        {"image": NAMES[1], "caption": ["One.", "Two."], "attributes": {"hair": "red"}},
        {"image": NAMES[2], "caption": "Three.", "words": ["a", "b"], "more": {"x": [1, 2.5]}},
    ],
    "captions/conversations": [
        {
            "image": name,
            "conversations": [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "A."}],
        }
        for name in NAMES
    ],
    "captions/attributes": [
        {"image": name, "attribute": "hair", "value": "red", "confidence": 0.9, "model": "m"}
        for name in NAMES
    ],
    "captions/wide": [{"image": name, "Smiling": 1, "Age": 30.5, "other": None} for name in NAMES],
}
_PREFERENCES: dict[str, list[Row]] = {
    "argilla": [
        {
            "id": "1",
            "images": {"image_1": _PAIR[0], "image_2": _PAIR[1], "prompt": "a face"},
            "model_1": "dev",
            "preference.responses": ["image_1", None],
            "preference.responses.users": ["u", "v"],
            "preference.responses.status": ["submitted", "draft"],
        }
    ],
    "pick-a-pic": [
        {
            "caption": "a face",
            "image_0_uid": _PAIR[0],
            "image_1_uid": _PAIR[1],
            "label_0": 0.5,
            "label_1": 0.5,
            "user_id": 7,
            "has_label": True,
        }
    ],
    "rapidata": [
        {"prompt": "a", "image1": _PAIR[0], "image2": _PAIR[1], "votes_image1": 3, "votes_image2": 1}
    ],
    "hpdv2": [{"prompt": "a", "image_path": _PAIR, "human_preference": [0, 1], "user_hash": "u"}],
    "hpdv3": [{"prompt": "a", "path1": _PAIR[0], "path2": _PAIR[1], "model1": "m", "confidence": 0.75}],
    "image-reward-pairs": [{"prompt": "a", "img_better": _PAIR[0], "img_worse": _PAIR[1]}],
    "image-reward-ranks": [
        {"prompt_id": "p", "prompt": "a", "image_path": name, "rank": rank}
        for rank, name in enumerate(NAMES, 1)
    ],
    "hpdv2-ranks": [
        {
            "prompt": "a",
            "image_path": NAMES,
            "rank": [1, 3, 2],
            "raw_annotations": [{"rank": [1, 3, 2], "user_hash": "u"}],
        }
    ],
    "image-reward-rankings": [{"id": "1-2", "prompt": "a", "generations": NAMES, "ranking": [1, 2, 1]}],
    "argilla-records": [
        {
            "id": "1",
            "fields": {"images": {"image_1": _PAIR[0], "image_2": _PAIR[1], "prompt": "a face"}},
            "metadata": {"model_1": "dev"},
            "responses": {"preference": [{"value": "image_1", "user_id": "u", "status": "submitted"}]},
            "status": "completed",
        }
    ],
    "genai-bench": [
        {
            "prompt": "a",
            "left_model": "m",
            "left_image": _PAIR[0],
            "right_image": _PAIR[1],
            "vote_type": "tievote",
        }
    ],
    "imgsys": [
        {
            "prompt": "a",
            "model_a": "m",
            "model_b": "n",
            "preference": 2.0,
            "image_a": _PAIR[0],
            "image_b": _PAIR[1],
        }
    ],
    "diffusers-dpo": [{"jpg_0": _PAIR[0], "jpg_1": _PAIR[1], "label_0": 0.5, "caption": "a"}],
    "rapidata-results": [
        {
            "context": "a",
            "winner_index": 1,
            "winner": _PAIR[1],
            "aggregatedResults": {_PAIR[0]: 0, _PAIR[1]: 1, "Both": 1},
            "summedUserScoresRatios": {_PAIR[0]: 0.0, _PAIR[1]: 0.75},
            "detailedResults": [{"votedFor": _PAIR[1]}, {"votedFor": "Both", "userDetails": {}}],
        }
    ],
    "campaign": [
        {
            "vote_id": "f" * 32,
            "pair_id": "e" * 16,
            "prompt": "a",
            "image_1": _PAIR[0],
            "image_2": _PAIR[1],
            "image_1_id": "d" * 16,
            "model_1": "m",
            "annotator": "c" * 16,
            "label": "image_1",
            "left": "image_2",
            "kind": "first",
            "seconds": 2.5,
            "time": "2026-11-30T08:00:00.000Z",
            "status": "submitted",
        }
    ],
    "label-studio": [
        {
            "id": 1,
            "data": {"prompt": "a", "image_1": _PAIR[0], "image_2": _PAIR[1], "left": "image_2"},
            "annotations": [
                {
                    "completed_by": 1,
                    "result": [{"type": "choices", "value": {"choices": ["left"]}}],
                    "was_cancelled": False,
                    "created_at": "2026-11-30T08:00:00Z",
                    "lead_time": 2.5,
                },
                {"completed_by": {"id": 2}, "result": [], "was_cancelled": True},
            ],
        }
    ],
    "release": [
        {
            "id": "1",
            "image_1": _PAIR[0],
            "image_2": _PAIR[1],
            "votes": [{"annotator": "u", "label": "image_1", "status": "submitted"}],
            "decision": "image_1",
        }
    ],
    "annotator-columns": [
        {"image_1": _PAIR[0], "image_2": _PAIR[1], "prompt": "a", "anna": "image_2", "ben": "tie"}
    ],
}


def _preferences(form: str) -> list[Row]:
    """Return rows of a form; of one that is not named above, its columns with the names of images."""
    plain = {names[0]: _PAIR[number % 2] for number, names in enumerate(FORMS[form].needs)}
    return [dict(row) for row in _PREFERENCES.get(form, [plain]) for _ in range(2)]


# Use → good rows; the name up to the slash is a key of `SOURCES`, or "exclusions".
USES: Mapping[str, Sequence[Row]] = {
    "sfhq": _IMAGES,
    **_CAPTIONS,
    **{f"preferences/{form}": _preferences(form) for form in FORMS},
    "exclusions": [{"image": NAMES[0], "reason": "blurred"}],
}


def _text(value: object) -> object:
    return json.dumps(value, default=str) if isinstance(value, dict | list) else value


def _delimited(delimiter: str) -> Callable[[Sequence[Row]], bytes]:
    def write(rows: Sequence[Row]) -> bytes:
        columns = _columns(rows)
        file = io.StringIO()
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(row.get(name)) for name in columns] for row in rows)
        return file.getvalue().encode("utf-8", "surrogatepass")

    return write


def write_parquet(rows: Sequence[Row]) -> bytes:
    """Write rows as Parquet; a column whose values have no type in common is written as JSON text."""
    columns = _columns(rows)
    arrays = []
    for name in columns:
        values = [row.get(name) for row in rows]
        try:
            array = pa.array(values)
            pq.write_table(pa.Table.from_arrays([array], names=["x"]), io.BytesIO())
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            array = pa.array([json.dumps(value, default=str) for value in values])
        arrays.append(array)
    names = [name.encode("utf-8", "replace").decode() for name in columns]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=names), file)
    return file.getvalue()


def _dump(value: object, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str).encode("utf-8", "surrogatepass")


def _mapping(rows: Sequence[Row]) -> bytes:
    first = next(iter(rows[0]), "") if rows else ""
    values = [[value for name, value in row.items() if name != first] for row in rows]
    members = {
        str(row.get(first)): value[0] if value else None for row, value in zip(rows, values, strict=True)
    }
    return _dump(members, 1)


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _split(rows: Sequence[Row]) -> bytes:
    columns = _columns(rows)
    data = [[row.get(name) for name in columns] for row in rows]
    return _dump({"columns": columns, "index": [*range(len(rows))], "data": data})


def _by_column(rows: Sequence[Row]) -> bytes:
    return _dump({name: {str(at): row.get(name) for at, row in enumerate(rows)} for name in _columns(rows)})


WRITERS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "array": lambda rows: _dump(list(rows), 1),
    "lines": lambda rows: b"".join(_dump(row) + b"\n" for row in rows),
    "mapping": _mapping,
    "split": _split,  # this one and the next: layouts of pandas
    "by column": _by_column,
    "parquet": write_parquet,
}

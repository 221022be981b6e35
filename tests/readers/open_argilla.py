"""Open an exported campaign with this environment's argilla, answer it, and write what argilla exports.

Arguments: the folder, and the Parquet file to write. No server is asked: the client stands in for none.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import argilla as rg
from argilla.client import Argilla
from argilla.records._io import HFDatasetsIO, JsonIO

ANSWERS = ("image_1", "image_2", "both_good", "both_bad", "toxic_content")

if __name__ == "__main__":
    Argilla._get_default = classmethod(lambda cls: MagicMock())
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    dataset_path, settings_path, records_path = rg.Dataset._define_child_paths(folder)
    model = rg.Dataset._load_dataset_model(dataset_path)
    settings = rg.Settings.from_json(settings_path)
    settings.validate()
    records = JsonIO._records_from_json(records_path)
    given = {}
    for number, record in enumerate(records):
        answer = ANSWERS[number % len(ANSWERS)]
        user = f"00000000-0000-0000-0000-{number:012d}"
        record.responses.add(rg.Response("preference", answer, user_id=user, status="submitted"))
        left, right = (record.metadata[f"image_{side}_id"] for side in (1, 2))
        given[record.id] = {"image_1": left, "image_2": right}.get(answer, answer)
    dataset = SimpleNamespace(settings=settings, schema=settings.schema)
    HFDatasetsIO.to_datasets(records, dataset).to_parquet(str(out))
    print(
        json.dumps(
            {
                "version": rg.__version__,
                "name": model.name,
                "fields": [field.name for field in settings.fields],
                "labels": [option["value"] for option in settings.questions[0].api_model().settings.options],
                "given": given,
            }
        )
    )

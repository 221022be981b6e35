"""Trainers take steps with exports: their own scripts, in an environment of their own, with tiny weights.

No registry has these scripts: `SFHQ_TRAINERS` names a folder with checkouts of the repositories in
`CHECKOUTS`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
from datasets import load_dataset
from safetensors.numpy import load_file

from builders.release.trainers import LAYOUTS
from publish.export import main as export
from tests.readers.environments import MakeEnvironment, datasets_of
from tests.readers.page import RecordResult
from tests.readers.test_old_readers import OLD_DATASETS

VARIABLE = "SFHQ_TRAINERS"
CHECKOUTS = {
    "diffusers": "https://github.com/huggingface/diffusers",
    "DiffusionDPO": "https://github.com/SalesforceAIResearch/DiffusionDPO",
}
VERSIONS = {"diffusers": "0.42.1", "transformers": "5.24.0", "peft": "0.21.2"}
OURS = {name: metadata.version(name) for name in ("torch", "torchvision", "datasets", "pillow", "pyarrow")}
PACKAGES = [
    *(f"{name}=={version}" for name, version in (VERSIONS | OURS).items()),
    *("accelerate==1.15.0", "tensorboard", "wandb"),  # train_diffusion_dpo.py imports wandb
]
COMMON = [
    *("--resolution", "32", "--train_batch_size", "4", "--max_train_steps", "2"),
    *("--lr_warmup_steps", "0", "--mixed_precision", "no", "--seed", "1"),
]
# Script → name on the page.
PROGRAMS = {
    "train_text_to_image_lora.py": "diffusers train_text_to_image_lora.py",
    "train_diffusion_dpo.py": "diffusers train_diffusion_dpo.py",
}
TRAINS = "trains for 2 steps with its export"
SCRIPTS = Path(__file__).parent

pytestmark = pytest.mark.slow


def run(python: Path, *arguments: object, work: Path) -> str:
    """Run a script with an environment, a folder to work in, no GPU and no network; return its output."""
    own = {
        "HF_HOME": str(work / "hf"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "WANDB_MODE": "disabled",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_"))}
    done = subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=work,
        env=kept | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def script(checkout: str, path: str) -> Path:
    """Find a script of a checkout; skip the test without it."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} is not set: it names a folder with checkouts of {', '.join(CHECKOUTS)}")
    found = Path(folder).resolve() / checkout / path
    if not found.is_file():
        pytest.skip(f"{found} is missing: {VARIABLE}/{checkout} is no checkout of {CHECKOUTS[checkout]}")
    return found


@pytest.fixture(scope="module")
def exports(sample_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the exports: layout → folder; `squares` are images of one size."""
    work = tmp_path_factory.mktemp("exports")
    flags = {layout: ["--layout", layout] for layout in LAYOUTS}
    flags["squares"] = ["--layout", "text-to-image", "--text", "longest-caption", "--size", "64"]
    for name, given in flags.items():
        assert export([str(sample_release), *given, "--out", str(work / name)]) == 0
    return {name: work / name for name in flags}


@pytest.fixture(scope="module")
def real(releases: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an export of real images, as squares."""
    if "sfhq-sample" not in releases:
        pytest.skip("real images are for `make readers`, where they are beside the project")
    out = tmp_path_factory.mktemp("exports") / "real"
    flags = ["--layout", "text-to-image", "--size", "128", "--out", str(out)]
    assert export([str(releases["sfhq-sample"]), *flags]) == 0
    return out


@pytest.fixture(scope="module")
def python(environment: MakeEnvironment) -> Path:
    """Return the interpreter of an environment with the trainers' libraries."""
    return environment("trainers", PACKAGES)


@pytest.fixture(scope="module")
def pipeline(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a pipeline to train."""
    work = tmp_path_factory.mktemp("pipeline")
    run(python, SCRIPTS / "make_pipeline.py", work / "pipeline", work=work)
    return work / "pipeline"


@pytest.mark.parametrize(
    ("layout", "path", "more"),
    [
        ("text-to-image", "examples/text_to_image/train_text_to_image_lora.py", ""),
        ("squares", "examples/text_to_image/train_text_to_image_lora.py", ""),
        ("real", "examples/text_to_image/train_text_to_image_lora.py", ""),
        (
            "diffusers-dpo",
            "examples/research_projects/diffusion_dpo/train_diffusion_dpo.py",
            "--dataset_split_name train",
        ),
    ],
    ids=["text-to-image", "squares", "real", "pairs"],
)
def test_a_script_of_diffusers_trains_a_lora(
    layout: str,
    path: str,
    more: str,
    exports: Mapping[str, Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_result: RecordResult,
) -> None:
    program = script("diffusers", path)
    folder = request.getfixturevalue("real") if layout == "real" else exports[layout]
    python, pipeline = request.getfixturevalue("python"), request.getfixturevalue("pipeline")
    flags = ["--pretrained_model_name_or_path", pipeline, "--dataset_name", folder]
    run(
        python,
        program,
        *flags,
        "--output_dir",
        tmp_path / "out",
        *COMMON,
        *more.split(),
        work=tmp_path,
    )
    weights = load_file(tmp_path / "out" / "pytorch_lora_weights.safetensors")
    ups = [value for name, value in weights.items() if name.endswith("lora.up.weight")]
    assert ups  # zero before the first step
    assert any(value.any() for value in ups)
    release = "sfhq-sample" if layout == "real" else "sample"
    record_result(PROGRAMS[program.name], f"diffusers {VERSIONS['diffusers']}", release, TRAINS)


def test_the_script_of_salesforce_trains(
    exports: Mapping[str, Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_result: RecordResult,
) -> None:
    program = script("DiffusionDPO", "train.py")
    python, pipeline = request.getfixturevalue("python"), request.getfixturevalue("pipeline")
    flags = ["--pretrained_model_name_or_path", pipeline, "--dataset_name", exports["diffusers-dpo"]]
    flags += ["--output_dir", tmp_path / "out", "--learning_rate", "1e-3", "--dataloader_num_workers", "0"]
    run(python, SCRIPTS / "run_without_xformers.py", program, *flags, *COMMON, work=tmp_path)
    before, after = (
        load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
        for folder in (pipeline, tmp_path / "out")
    )
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)
    version = f"5233e75 with diffusers {VERSIONS['diffusers']}"
    record_result("Diffusion-DPO by Salesforce", version, "sample", f"{TRAINS}, without xformers")


def test_a_plain_data_loader_batches_squares(exports: Mapping[str, Path], tmp_path: Path) -> None:
    from torch.utils.data import DataLoader
    from torchvision.transforms.functional import to_tensor

    rows = load_dataset(str(exports["squares"]), split="train", cache_dir=str(tmp_path))
    rows = rows.with_transform(
        lambda batch: batch | {"image": [to_tensor(image) for image in batch["image"]]}
    )
    batches = list(DataLoader(rows, batch_size=16))
    assert [tuple(batch["image"].shape) for batch in batches] == [(16, 3, 64, 64)] * 3 + [(12, 3, 64, 64)]
    assert all(isinstance(text, str) and text for batch in batches for text in batch["text"])


@pytest.mark.parametrize("version", [*OLD_DATASETS, "ours"])
def test_datasets_of_any_age_reads_the_exports(
    version: str, exports: Mapping[str, Path], tmp_path: Path, environment: MakeEnvironment
) -> None:
    python = Path(sys.executable)
    if version != "ours":
        python = environment(f"datasets-{version}", datasets_of(version))
    output = run(python, "-I", SCRIPTS / "read_export.py", *exports.values(), work=tmp_path)
    found = json.loads(output.splitlines()[0])
    for name, folder in exports.items():
        row = LAYOUTS["text-to-image" if name == "squares" else name].row
        assert found[str(folder)].keys() == {"load", "stream"}
        for read in found[str(folder)].values():
            assert read["num_rows"] == {"diffusers-dpo": 74}.get(name, 60)
            assert read["columns"][: len(row.model_fields)] == list(row.model_fields)
            assert not read["has_null"]
            kind = read["types"]["jpg_0" if name == "diffusers-dpo" else "image"]
            assert kind in ("bytes", "JpegImageFile")


def test_the_card_names_the_versions_that_are_tested() -> None:
    stated = VERSIONS | {"torch": OURS["torch"]}
    for layout in LAYOUTS.values():
        for trial in layout.trials:
            for name in stated:
                if name in trial.versions:
                    assert f"{name} {stated[name]}" in trial.versions, trial.program

"""Images from a `diffusers` pipeline on this machine: nothing is downloaded, and no code of a model is run.

The model is a folder with `model_index.json`, or a name on the Hub whose files are in the library's cache.
"""

import inspect
import io
import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from builders.generation.images import ImageAnswer, ImageFailureError, ImageRequest, LostAnswerError
from publish.network import redact
from publish.providers.images import ProviderOptions
from publish.providers.sizes import read_size
from schemas.problems import Problem, Reason, SettingsError

_AGAIN = "then run the same command again; delivered images are kept"
# Names of the generators' settings → arguments of pipelines.
_ARGUMENTS = {"steps": "num_inference_steps", "cfg_scale": "guidance_scale"}
_CHECKER = "enable_safety_checker"


class DiffusersProvider:
    """Makes images with one pipeline, one at a time.

    Args:
        options: `model` is the folder or the name.

    Raises:
        SettingsError: The model is not on this machine, brings code, has no safe weights, or cannot be read.
    """

    def __init__(self, options: ProviderOptions) -> None:
        self._name, self._model = options.kind.name, options.model
        self._lock = threading.Lock()
        for library in (diffusers.utils.logging, transformers.utils.logging):
            library.set_verbosity(logging.CRITICAL)  # what goes wrong is said below
            library.disable_progress_bar()
        folder = Path(options.model).expanduser()
        if folder.is_dir():
            self._check_folder(folder)
            self._model = folder.resolve().name  # paths of this machine go into no record
        self._device = _find_device()
        self._pipeline = self._load(folder if folder.is_dir() else options.model)
        self._arguments = inspect.signature(self._pipeline.__call__).parameters

    def make(self, request: ImageRequest) -> ImageAnswer:
        """Make one image: see `ImageProvider`."""
        settings = {key: value for key, value in request.settings.items() if value is not None}
        arguments = self._translate(settings)
        with self._lock:
            result = self._run(request, arguments, is_checked=settings.get(_CHECKER) is not False)
        images, found = getattr(result, "images", None), getattr(result, "nsfw_content_detected", None)
        if not images:
            raise self._stop("the pipeline makes no images from text", "name another with --model")
        is_flagged = isinstance(found, list) and any(each is True for each in found)
        file = io.BytesIO()
        images[0].save(file, format="PNG")
        if not self._has_checker:
            settings.pop(_CHECKER, None)
        return ImageAnswer(
            data=file.getvalue(),
            model=self._model,
            seed=request.seed,
            settings=settings,
            returned_seed=request.seed,
            flags=("nsfw",) if is_flagged else (),
            is_flagged=is_flagged,
            raw=json.dumps(self._describe(found)),
        )

    def fetch(self, answer: ImageAnswer) -> bytes:
        """Raise: an image of this machine has no address."""
        raise LostAnswerError("an image that was made on this machine has no address", answer)

    def close(self) -> None:
        """Let go of the weights."""
        del self._pipeline

    @property
    def _has_checker(self) -> bool:
        return getattr(self._pipeline, "safety_checker", None) is not None

    def _check_folder(self, folder: Path) -> None:
        if not (folder / "model_index.json").is_file():
            message = "the folder is no pipeline: it has no model_index.json"
            raise self._stop(message, "save one with the pipeline's save_pretrained", value=str(folder))
        code = next(folder.rglob("*.py"), None)
        if code is not None:
            message = "the model brings code of its own, which is never run"
            raise self._stop(message, "name another with --model", value=str(code.relative_to(folder)))

    def _load(self, source: Path | str) -> Any:
        try:
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(source),
                use_safetensors=True,  # other weights are pickles, which can hold code
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.bfloat16 if self._device == "cuda" else torch.float32,
            )
        except Exception as error:  # the libraries', about files that may hold anything
            said = redact(f"{type(error).__name__}: {error}")
        else:
            pipeline.set_progress_bar_config(disable=True)
            return pipeline.to(self._device)
        fix = f"give a folder with .safetensors weights, or put the model here: hf download {self._model}"
        raise self._stop(f"the model cannot be loaded from this machine ({said})", fix, value=self._model)

    def _translate(self, settings: Mapping[str, object]) -> dict[str, Any]:
        """Return the pipeline's arguments for settings.

        Raises:
            SettingsError: The pipeline does not take one of them.
        """
        arguments: dict[str, Any] = {}
        for key, value in settings.items():
            name = _ARGUMENTS.get(key, key)
            if key in ("image_size", "size"):
                size = read_size(str(value))
                if size is None:
                    raise self._stop(
                        "the size is not known", 'write it as "1024x1024"', column=key, value=str(value)
                    )
                arguments["width"], arguments["height"] = size
            elif name in self._arguments:
                arguments[name] = value
            elif key != _CHECKER:
                raise self._stop("the pipeline does not take this setting", "leave it out", column=key)
        return arguments

    def _run(self, request: ImageRequest, arguments: dict[str, Any], *, is_checked: bool) -> Any:
        checker = getattr(self._pipeline, "safety_checker", None)
        if checker is not None and not is_checked:
            self._pipeline.safety_checker = None
        try:
            # A generator of the CPU gives the same noise on every device.
            generator = torch.Generator("cpu").manual_seed(request.seed)
            return self._pipeline(prompt=request.prompt, generator=generator, output_type="pil", **arguments)
        except torch.OutOfMemoryError:
            said, is_setting = "there is not enough memory for the pipeline", True
        except (ValueError, TypeError) as error:
            said, is_setting = redact(f"the pipeline does not take the settings: {error}"), True
        except Exception as error:  # the libraries'
            said, is_setting = redact(f"the pipeline failed ({type(error).__name__}: {error})"), False
        finally:
            if checker is not None:
                self._pipeline.safety_checker = checker
        if is_setting:
            raise self._stop(said, f"correct the settings, {_AGAIN}")
        raise ImageFailureError(said)

    def _describe(self, found: object) -> dict[str, object]:
        return {
            "pipeline": type(self._pipeline).__name__,
            "scheduler": type(getattr(self._pipeline, "scheduler", None)).__name__,
            "diffusers": diffusers.__version__,
            "torch": torch.__version__,
            "device": self._device,
            "nsfw_content_detected": found if isinstance(found, list) else None,
        }

    def _stop(
        self, message: str, fix: str, *, column: str | None = None, value: str | None = None
    ) -> SettingsError:
        problem = Problem(
            Reason.SETTINGS,
            message,
            file=self._name,
            column=column,
            value=value,
            fix=fix,
            code="run/provider-refused",
        )
        return SettingsError(problem)


def _find_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def open_provider(options: ProviderOptions) -> DiffusersProvider:
    """Load the pipeline that `options` name.

    Raises:
        SettingsError: It cannot be loaded.
    """
    return DiffusersProvider(options)

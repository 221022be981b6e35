"""Who says what images show: the table of attribute models.

A kind is one module with `open_models(ModelOptions) -> Sequence[AttributeModel]`, and one line in
`ATTRIBUTE_MODELS`. A module is imported when its kind is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from builders.features.attributing import AttributeModel, ModelOptions
from schemas.problems import Problem, Reason, SettingsError

CODE = "run/caption"


@dataclass(frozen=True, slots=True)
class AttributeModelKind:
    """One kind of attribute model.

    Attributes:
        name: As `--model` takes it.
        module: Where it is.
        needs_place: Whether it is named by a folder, a name or an address.
        extra: The kit's extra that it needs; None if it needs none.
    """

    name: str
    module: str
    needs_place: bool = False
    extra: str | None = None


ATTRIBUTE_MODELS: Mapping[str, AttributeModelKind] = {
    kind.name: kind
    for kind in (
        AttributeModelKind("zero-shot", "builders.features.zero_shot"),
        AttributeModelKind("faces", "builders.features.face_attributes", extra="faces"),
        AttributeModelKind(
            "transformers", "publish.providers.image_classifier", needs_place=True, extra="local"
        ),
        AttributeModelKind("endpoint", "publish.providers.attribute_endpoint", needs_place=True),
    )
}


def open_attribute_models(kind: AttributeModelKind, options: ModelOptions) -> Sequence[AttributeModel]:
    """Open the models of a kind; its module, and the library that it uses, are imported now.

    Raises:
        SettingsError: Its extra is not installed, or it cannot be opened.
    """
    try:
        module = import_module(kind.module)
    except ImportError as error:
        if kind.extra is None:
            raise
        message = f"this kind of attribute model needs a library that is not here: {error.name}"
        fix = f"pip install '.[{kind.extra}]'"
        raise SettingsError(
            Problem(Reason.SETTINGS, message, column="--model", value=kind.name, fix=fix, code=CODE)
        ) from error
    models: Sequence[AttributeModel] = module.open_models(options)
    return models

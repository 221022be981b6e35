"""One row of a release to show, as an example of all."""

from dataclasses import dataclass

from builders.release.reader import ReleaseReader

_SHOWN = ("image_id", "prompt", "captions", "generator", "width", "height", "license")


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """What the card shows of one row of `default`.

    Attributes:
        number: Number of the row, from 0, in the order of the files.
        values: Column → value; of captions the first, and none where there are none.
    """

    number: int
    values: dict[str, object]


def read_example(release: ReleaseReader) -> ExampleRow:
    """Read the first row of the first row group that says most: with a prompt and a caption, if any has them.

    Args:
        release: Has at least one row of `prompts`.
    """
    group = next(release.row_groups("prompts", _SHOWN)).to_pylist()
    number = min(range(len(group)), key=lambda row: (not group[row]["prompt"], not group[row]["captions"]))
    values = {name: value for name, value in group[number].items() if value}
    captions = values.pop("captions", ())
    return ExampleRow(number, values | ({"captions": captions[0]} if captions else {}))

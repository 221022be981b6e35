"""Images in cells: a name, a list with one name, or the bytes themselves, as `datasets` embeds them."""

import hashlib

from builders.sources.cells import Cells


def take_image(cells: Cells, column: str, *, required: bool) -> str | None:
    """Take the reference to an image: its name, path or id, or the SHA-256 of its bytes if the cell has them.

    Args:
        cells: The row.
        column: Column of the image. A struct has `bytes` and `path`; the path counts where bytes are null.
        required: Whether an empty cell is a problem.

    Returns:
        The reference; None if there is none, which is then among the row's problems if it is required.
    """
    value, struct = cells.value(column), cells.member(column)
    listed = cells.literal(column)
    if isinstance(listed, list) and all(isinstance(item, str | dict | bytes) for item in listed):
        if len(listed) != 1:  # vision-language sets have such lists: a caption is of one image
            message = f"the row names {len(listed)} images, and a caption is of one"
            cells.wrong(column, message, "write a row for each image, or remove the row")
            return None
        (value,) = listed
        if isinstance(value, dict):
            return _take_struct(cells, column, value.get("bytes"), value.get("path"), required=required)
        return value if isinstance(value, str) and value.strip() else _digest(cells, column, value)
    if struct is not None and value is None:
        return _take_struct(cells, column, struct.value("bytes"), struct.value("path"), required=required)
    if isinstance(value, bytes):
        return _digest(cells, column, value)
    return cells.text(column, required=required)


def _take_struct(cells: Cells, column: str, data: object, path: object, *, required: bool) -> str | None:
    if data is not None:
        return _digest(cells, column, data)
    if isinstance(path, str) and path.strip():
        return path
    if required:
        message = "the cell has neither the image's bytes nor its path"
        cells.wrong(column, message, "write the image's file name")
    return None


def _digest(cells: Cells, column: str, data: object) -> str | None:
    """Return the SHA-256 by which References finds an image in the sources."""
    if isinstance(data, bytes) and data:
        return hashlib.sha256(data).hexdigest()
    cells.wrong(column, "the cell holds no bytes of an image", "write the image's file name in their place")
    return None

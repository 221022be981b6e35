"""How long a server asks to wait, and the dates that it gives."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(text: str) -> float | None:
    """Read a `Retry-After` header (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).

    Args:
        text: Whatever the server wrote.

    Returns:
        Seconds, 0 or more; None where it says neither seconds nor a date.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    date = parse_date(text)
    return None if date is None else max((date - datetime.now(UTC)).total_seconds(), 0.0)


def parse_date(text: str) -> datetime | None:
    """Read the date of a header, as UTC where it names no zone; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

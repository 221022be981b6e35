"""Withdrawn versions: the line that says so, the same wherever it stands, and where it goes in a text.

Nothing of a withdrawn version is removed: who has it may need it to repeat what they did. It is marked where
people look: in the maintainer's changelog, in the card and changelog that readers see by default, on pages.
"""

import re

MAX_REASON_CHARS = 300

_LINE = re.compile(r"^> Release (\S+) is withdrawn: (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^> Release \S+ is withdrawn: .*\n\n", re.MULTILINE)
# The block of YAML that must come first, as `huggingface_hub` finds it: what stands before it undoes it.
_METADATA = re.compile(r"\A\s*---(?:\r\n|\r|\n)[\s\S]*?(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z)")
_TITLE = re.compile(r"\s*# .*\n(?:\r?\n)?")
_MARK = "[YANKED]"  # as https://keepachangelog.com has it


def entry_heading(version: str) -> re.Pattern[str]:
    """Find the heading of a version in a changelog: `### 1.0`, `### 1.0 - 2026-11-21`, either with a mark.

    The first group is the date, the second the mark that says it is withdrawn.
    """
    date = r"(?:\s+[-\u2013\u2014]\s+(\d{4}-\d{2}-\d{2}))?"
    return re.compile(rf"^### {re.escape(version)}{date}[^\S\n]*({re.escape(_MARK)})?[^\S\n]*$", re.MULTILINE)


def withdrawals(text: str) -> dict[str, str]:
    """Return the versions that a text says are withdrawn, each with the reason."""
    return {version: reason.strip() for version, reason in _LINE.findall(text)}


def mark_text(text: str, version: str, reason: str) -> str:
    """Mark a text as withdrawn: below a card's metadata and title, or at the top of other texts.

    Once is enough: the same again changes nothing, and another reason takes the place of the one before.
    """
    reason = " ".join(reason.split())
    if withdrawals(text).get(version) == reason:
        return text
    text = _without(text, version)
    metadata = _METADATA.match(text)
    start = metadata.end() if metadata else 0
    title = _TITLE.match(text, start)
    start = title.end() if title else start
    before = text[:start] if not start or text[start - 1] == "\n" else f"{text[:start]}\n"
    return f"{before}{_line(version, reason)}\n\n{text[start:]}"


def mark_changelog(text: str, version: str, reason: str) -> str:
    """Mark a version's entry in a changelog, as `mark_text` does.

    Raises:
        ValueError: The changelog has no entry for the version.
    """
    reason = " ".join(reason.split())
    text, was = _without(text, version), text
    heading = entry_heading(version).search(text)
    if heading is None:
        raise ValueError(f"there is no heading `### {version}`")
    if heading[2] and withdrawals(was).get(version) == reason:
        return was
    before, after = text[: heading.start()], text[heading.end() :].lstrip("\n")
    marked = heading[0].rstrip() if heading[2] else f"{heading[0].rstrip()} {_MARK}"
    return f"{before}{marked}\n\n{_line(version, reason)}\n\n{after}".rstrip("\n") + "\n"


def carry_over(text: str, marks: dict[str, str]) -> str:
    """Put into a text what an older one has said of withdrawn versions, where it does not say it itself."""
    for version, reason in reversed(marks.items()):
        if version not in withdrawals(text):
            text = mark_text(text, version, reason)
    return text


def without_marks(text: str) -> list[str]:
    """Return what the text may have been before marking: without one mark, without two, and so on."""
    texts = []
    while (shorter := _BLOCK.sub("", text, count=1)) != text:
        texts.append(text := shorter)
    return texts


def _without(text: str, version: str) -> str:
    return re.sub(rf"^> Release {re.escape(version)} is withdrawn: .*\n\n?", "", text, flags=re.MULTILINE)


def _line(version: str, reason: str) -> str:
    return f"> Release {version} is withdrawn: {reason}"

"""JSON arrays and objects taken element by element out of a file of any size.

Own code: `ijson`, made for this, gives no line of a broken element and cannot go on after it, and a rejected
element must be reported with its place and kept as it came.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from builders.sources.tables.rows import is_unicode


class BrokenJsonError(Exception):
    """Text that cannot be read on; the message says why, `line` and `column` where, both from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


class JsonScanner:
    """Takes the elements of an array, or the members of an object, one by one out of a file.

    Args:
        path: The file.
        chunk_chars: How many characters are read at a time.
        max_chars: How long an element may be.

    Raises:
        OSError: The file cannot be opened.
    """

    # It only looks for where a value ends; `parse_json` is strict about what it is.
    _finder = json.JSONDecoder(parse_int=str, parse_float=str)
    _ink = re.compile(r"[^ \t\r\n]")
    _longest_cut = 3  # "1e+" is 1 until the next digit is read

    def __init__(self, path: Path, chunk_chars: int, max_chars: int) -> None:
        self._file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._chunk_chars, self._max_chars = chunk_chars, max_chars
        self._buffer, self._at, self._ended = "", 0, False
        self._place = 1, 1  # of the buffer's first character

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def line(self) -> int:
        """The line up to which text has been taken, from 1."""
        return self._place_of(self._at)[0]

    def elements(self) -> Iterator[str]:
        """Take each element of an array as text.

        Raises:
            BrokenJsonError: The array cannot be read on.
        """
        self._expect("[")
        closing = self._expect("]") if self.peek() == "]" else ","
        while closing == ",":
            yield self.value()
            closing = self._expect(",]")

    def members(self) -> Iterator[tuple[str, str]]:
        """Take each member of an object as the text of its key and of its value.

        Raises:
            BrokenJsonError: The object cannot be read on.
        """
        for key in self.member_keys():
            yield key, self.value()

    def member_keys(self) -> Iterator[str]:
        """Take each key of an object as text; the caller takes its value before it asks for the next key.

        Raises:
            BrokenJsonError: The object cannot be read on.
        """
        self._expect("{")
        closing = self._expect("}") if self.peek() == "}" else ","
        while closing == ",":
            if self.peek() != '"':
                raise self._broken(self._at, "a key in double quotes is missing")
            key = self.value()
            self._expect(":")
            yield key
            closing = self._expect(",}")

    def skip(self) -> None:
        """Pass over a value; an array or object of any size, as long as its elements are not too large.

        Raises:
            BrokenJsonError: It cannot be read on.
        """
        kind = self.peek()
        parts = self.elements() if kind == "[" else self.members() if kind == "{" else (self.value(),)
        for _ in parts:
            pass

    def expect_end(self) -> None:
        """Check that no text is left.

        Raises:
            BrokenJsonError: There is some.
        """
        if self.peek():
            raise self._broken(self._at, "there is more text after the end")

    def peek(self) -> str:
        """Skip white space, and look at the next character; nothing if the file ends."""
        while True:
            found = self._ink.search(self._buffer, self._at)
            self._at = found.start() if found else len(self._buffer)
            if found or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._fill()

    def _expect(self, chars: str) -> str:
        char = self.peek()
        if not char or char not in chars:
            raise self._broken(self._at, f"{' or '.join(chars)} is missing")
        self._at += 1
        return char

    def value(self) -> str:
        """Take a value as text, whole.

        Raises:
            BrokenJsonError: It cannot be read on.
        """
        self.peek()
        while True:
            fault = None
            try:
                _, end = self._finder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                fault, end = error, len(self._buffer)
            except RecursionError as error:
                raise self._broken(self._at, "it is nested too deep") from error
            is_sure = self._ended or end + self._longest_cut <= len(self._buffer)
            if fault is None and is_sure:
                return self._take(end)
            if fault is not None and self._ended:
                raise self._broken(fault.pos, fault.msg) from fault
            if len(self._buffer) - self._at > self._max_chars:
                raise self._too_long(fault)
            self._fill()

    def _take(self, end: int) -> str:
        text = self._buffer[self._at : end]
        if len(text) > self._max_chars:
            raise self._too_long(None)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self._broken(self._at + error.start, "") from error
        self._at = end
        return text

    def _too_long(self, fault: json.JSONDecodeError | None) -> BrokenJsonError:
        message = f"the element is longer than {self._max_chars} characters"
        if fault is not None:
            line, column = self._place_of(fault.pos)
            message += f", or broken ({fault.msg}: line {line}, column {column})"
        return self._broken(self._at, message)

    def _broken(self, position: int, message: str) -> BrokenJsonError:
        char = self._buffer[position : position + 1]
        if not char:
            message = f"the file ends here ({message})"
        elif not is_unicode(char):
            message = "the text is not UTF-8"
        return BrokenJsonError(message, *self._place_of(position))

    def _fill(self) -> None:
        """Drop what was taken, and read on: at least as much as waits, so that no text is searched often."""
        self._place = self._place_of(self._at)
        self._buffer, self._at = self._buffer[self._at :], 0
        chunk = self._file.read(max(self._chunk_chars, len(self._buffer)))
        self._buffer += chunk
        self._ended = not chunk

    def _place_of(self, position: int) -> tuple[int, int]:
        line, column = self._place
        breaks = self._buffer.count("\n", 0, position)
        if breaks:
            return line + breaks, position - self._buffer.rfind("\n", 0, position)
        return line, column + position

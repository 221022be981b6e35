# ruff: noqa: RUF001 - letters that look alike are what this module is about
"""Words in disguise, so that none hides from the rules: look-alike letters, signs, and blanks between."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import product

# Signs of other alphabets → the Latin letter that each looks like. Capitals differ from small letters:
# the Greek capital of nu looks like N, the small one like v.
_ALIKE = {
    "АВЕЅІЈКМНОРСТУХԌԚԜҮҺӀЗ": "abesijkmhopctyxgqwyhl3",
    "авеѕіјкмнорстухԍԛԝүһӏзԁгьєѵөпя": "abesijkmhopctyxgqwyhl3drbevonr",
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺ": "abezhikmnoptyxcm",
    "αβγεζηικμνορσςτυχωϲϳπ": "abyeznikuvopostuxwcjn",
    "օոսհցյզաեՕՍ": "onuhgjqwtou",
    "ıɪɩłøđðħŧƀɑɡɴʀʏʟʜʙɢᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱꜰʇɐǝɔʍ": "iiiloddhtbagnrylhbgacdejkmoptuvwzsftaecw",
}
_OUTLINED = (0x1F150, 0x1F170, 0x1F1E6)  # A of white letters in circles, in squares, and of flags
_TO_LATIN = {
    **{
        ord(sign): letter
        for signs, letters in _ALIKE.items()
        for sign, letter in zip(signs, letters, strict=True)
    },
    **{first + number: chr(ord("a") + number) for first in _OUTLINED for number in range(26)},
}
_NOTHING = frozenset("\u115f\u1160\u3164\uffa0")  # letters that nothing shows
_UNSEEN = frozenset(("Mn", "Me", "Cf"))  # accents, marks around a letter, and signs that only format
# Letters one by one ("n u d e"), words in pieces ("na-ked"), and words with signs and digits for letters.
_LETTERS = re.compile(r"(?<![^\W_])(?:[a-z0-9@$][\W_]{1,3}){2,80}[a-z0-9@$](?![^\W_])")
_PIECES = re.compile(r"(?<![a-z])[a-z]+(?:[*.~_+|-]+[a-z]+)+")
_MIXED = re.compile(r"[a-z0-9@$!|*#\u20ac]+")
_MEASURE = re.compile(r"\d+(?:[.x]\d+)*[a-z]{0,4}|[a-z]{1,2}\d+")  # "35mm", "f8", "80s"
_LEET = str.maketrans("034578@$!|\u20ac", "oeastbasiie")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_SIGN = re.compile(r"[a-z][0-9@$|*#!\u20ac]|[0-9@$|*#!\u20ac][a-z]")
_LEAST_LETTERS, _MOST_LETTERS, _MOST_STARS = 4, 14, 2
_SIGNS = str.maketrans({"\u2019": "'", "\u02bc": "'", **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")})


def fold(text: str) -> str:
    """Return a text in small letters and digits 0 to 9, without accents, look-alikes and the unseen."""
    if text.isascii():
        return text.lower()
    seen = unicodedata.normalize("NFKD", text.translate(_SIGNS)).translate(_TO_LATIN)
    return "".join(
        str(unicodedata.decimal(char, char))  # digits of any script
        for char in seen
        if unicodedata.category(char) not in _UNSEEN and char not in _NOTHING
    ).casefold()


def find_hidden(folded: str) -> Iterator[str]:
    """Yield the words that a text may hide: with blanks or signs between letters, or digits in their place.

    Args:
        folded: The text, as `fold` returns it.
    """
    for found in _LETTERS.findall(folded):
        run = re.sub(r"[\W_]", "", found.translate(_LEET))
        ends = range(_LEAST_LETTERS, _MOST_LETTERS + 1)
        yield from (run[start : start + size] for size in ends for start in range(len(run) - size + 1))
    for found in _PIECES.findall(folded):
        if len(joined := re.sub(r"[^a-z]", "", found)) >= _LEAST_LETTERS:
            yield joined
    for found in _MIXED.findall(folded) if _SIGN.search(folded) else ():
        word = found.rstrip("!|*#")
        if len(word) > 1 and not word.isalpha() and not word.isdigit() and not _MEASURE.fullmatch(word):
            yield from _read_signs(word)
    if _REPEATED.search(folded):
        for found in re.findall(r"[a-z]+", folded):
            yield from (_REPEATED.sub(r"\1", found), _REPEATED.sub(r"\1\1", found))


def _read_signs(word: str) -> Iterator[str]:
    """Yield what a word with digits and signs may say; a star stands for a vowel, 1 for i or l."""
    plain = word.translate(_LEET)
    stars = re.findall(r"[*#]", plain)
    if len(stars) > _MOST_STARS:
        return
    parts = re.split(r"[*#]", plain)
    for vowels in product("aeiou", repeat=len(stars)):
        said = "".join(f"{part}{vowel}" for part, vowel in zip(parts, (*vowels, ""), strict=True))
        yield from (said.replace("1", letter) for letter in ("il" if "1" in said else "i"))

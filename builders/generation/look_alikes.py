# ruff: noqa: RUF001 - letters that look alike are what this module is about
"""Letters that look like Latin ones, so that no word hides from the rules behind another alphabet."""

import unicodedata

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
_SIGNS = str.maketrans({"\u2019": "'", "\u02bc": "'", **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")})


def fold(text: str) -> str:
    """Return a text in small letters, without accents, look-alikes and characters that nothing shows."""
    if text.isascii():
        return text.lower()
    seen = unicodedata.normalize("NFKD", text.translate(_SIGNS)).translate(_TO_LATIN)
    return "".join(
        char for char in seen if unicodedata.category(char) not in _UNSEEN and char not in _NOTHING
    ).casefold()

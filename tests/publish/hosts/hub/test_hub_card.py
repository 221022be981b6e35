"""Hand-written parts of a card on the Hub: they survive, and do not count as differences."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publish.hosts.hub.card import BEGIN, END, is_card, put_back, read_kept

PLACE = f"{BEGIN}\n{END}"
BUILT = b"---\nlicense: other\n---\n\n# Faces\n\nText.\n"


def digest(card: bytes) -> str:
    return hashlib.sha256(card).hexdigest()


def test_a_part_written_on_the_hub_goes_into_the_next_card() -> None:
    there = BUILT + f"\n{BEGIN}\nWritten by hand: ä.\n{END}\n".encode()
    following = BUILT.replace(b"Text", b"Other text")
    merged = put_back(following, read_kept(there))
    assert merged.startswith(following)
    assert "Written by hand: ä." in merged.decode()
    assert is_card(merged, digest(following))
    assert not is_card(merged, digest(BUILT))


def test_a_place_in_the_card_takes_the_part_and_the_rest_goes_to_the_end() -> None:
    built = b"# Faces\n\n" + PLACE.encode() + b"\n\n## Licence\n"
    merged = put_back(built, ["\none\n", "\ntwo\n"]).decode()
    assert merged.index("one") < merged.index("## Licence") < merged.index("two")
    assert is_card(merged.encode(), digest(built))


def test_a_card_without_parts_is_sent_as_it_was_built() -> None:
    assert put_back(BUILT, read_kept(BUILT)) == BUILT


@pytest.mark.parametrize("broken", [BEGIN, END, f"{BEGIN} {BEGIN} {END}", f"{END} {BEGIN}"])
def test_markers_that_are_not_pairs_are_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="keep"):
        read_kept(BUILT + broken.encode())


def test_another_text_outside_the_markers_is_another_card() -> None:
    changed = put_back(BUILT, ["\nmine\n"]).replace(b"Faces", b"Cats")
    assert not is_card(changed, digest(BUILT))


_TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30).filter(
    lambda text: "<!--" not in text and "-->" not in text and not text.endswith("<")
)


@given(texts=st.lists(_TEXTS, min_size=1, max_size=4), kept=st.lists(_TEXTS, max_size=5))
def test_whatever_is_kept_is_found_again_and_the_rest_is_the_card_built(
    texts: list[str], kept: list[str]
) -> None:
    built = PLACE.join(texts).encode()
    num_places = len(texts) - 1
    merged = put_back(built, kept)
    assert read_kept(merged)[: len(kept)] == kept
    assert len(read_kept(merged)) == max(len(kept), num_places)
    assert is_card(merged, digest(built))

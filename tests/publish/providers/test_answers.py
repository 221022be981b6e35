"""Reading answers of providers: any JSON is read, and no key comes out of it."""

import base64
import json

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from publish.providers.answers import decode_image, is_address, read_answer, read_fault, write_raw
from publish.providers.exchanges import Exchange
from schemas.generators import MAX_SEED
from tests.publish.providers.image_server import IMAGE

KEY = "MarkedSecretKey0123456789"
NAMES = st.sampled_from(
    (
        "images data output outputs url b64_json seed status error message detail has_nsfw_concepts prompt "
        f"id model logs type code loc estimated_time {KEY}"
    ).split()
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [KEY, f"x{KEY}y", "data:image/png;base64,AAAA", "http://127.0.0.1/x?s=1", "processing", "failed"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
BODIES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=15,
)


def exchange(body: object, **headers: str) -> Exchange:
    data = json.dumps(body).encode()
    return Exchange(httpx2.URL("http://127.0.0.1/x"), {}, b"{}", 200, httpx2.Headers(headers), data)


@given(BODIES, TEXTS.filter(str.isascii).filter(str.isprintable))
def test_any_json_is_read(body: object, header: str) -> None:
    answered = exchange(body, **{"x-request-id": header})
    reading, fault, raw = (
        read_answer(answered, "a face"),
        read_fault(answered, (KEY,)),
        write_raw(answered, (KEY,)),
    )
    assert reading.seed is None or 0 <= reading.seed <= MAX_SEED
    assert reading.state in ("pending", "failed", "done")
    assert KEY not in fault.message
    assert "\n" not in fault.message
    assert KEY not in raw
    assert json.loads(raw.encode())["status"] == 200
    if reading.image is not None:
        decode_image(reading.image)
        is_address(reading.image)


def test_a_wait_is_read_in_words() -> None:
    for text, seconds in (
        ("Your rate limit resets in ~30s.", 30),
        ("Please try again in 500ms.", 0.5),
        ("Retry after 5 seconds", 5),
        ("try again in 2 minutes", 120),
        ("model took 20 seconds", None),
    ):
        assert read_fault(exchange({"detail": text}), ()).asked_seconds == seconds


def test_an_image_is_decoded_only_if_it_is_one() -> None:
    encoded = base64.b64encode(IMAGE).decode()
    assert decode_image(encoded) == decode_image(f"data:image/png;base64,{encoded}") == IMAGE
    assert decode_image(base64.b64encode(b"<svg/>").decode()) is None
    assert decode_image(f"data:image/png,{encoded}") is None
    assert decode_image("http://127.0.0.1/x.png") is None

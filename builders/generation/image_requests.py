"""From a file of prompts to requests for images: each with a seed and a key, and none that a rule forbids."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b, sha256
from pathlib import Path

from builders.generation.images import ImageRequest
from builders.generation.prompt_files import FILE_CODE, ROW_CODE, Line, check_line, read_prompts
from schemas.generation import KEY_CHARS
from schemas.problems import Problem, Reason, SourceError
from schemas.prompts import MAX_PROMPT_CHARS, AskedAttribute, PromptOrigin


class PlannedImage(PromptOrigin, extra="ignore"):
    """A request, with where its prompt is from: plain data, as the journal keeps it."""

    key: str
    prompt: str
    attributes: tuple[AskedAttribute, ...]
    grammar: str | None
    grammar_version: str | None
    prompt_seed: int | None
    prompt_index: int | None
    generator: str
    settings: Mapping[str, str | int | float | bool]
    seed: int

    @property
    def request(self) -> ImageRequest:
        """What the provider is asked."""
        return ImageRequest(
            self.key, self.prompt, self.attributes, self.generator, dict(self.settings), self.seed
        )


def plan_images(
    path: Path,
    generator: str,
    settings: Mapping[str, str | int | float | bool],
    seed: int,
    *,
    is_checked: bool = False,
) -> Iterator[PlannedImage]:
    """Check a file of prompts, then yield a request for each, in its order.

    A seed depends on the text, on `seed`, and on how often the text came before; so the order of the file
    decides nothing, and a text that is there twice gives two images.

    Args:
        path: A .jsonl, .csv or .txt file of prompts.
        generator: Which model is asked.
        settings: What is sent with each prompt.
        seed: Other seeds give other images of the same prompts.
        is_checked: Whether this run has checked the file already, which takes most of the time.

    Raises:
        SourceError: The file cannot be read, or a prompt of it may not be used; every problem at once, before
            the first request.
    """
    if not is_checked:
        _check(path)
    return _plan(path, generator, settings, seed)


def _plan(
    path: Path, generator: str, settings: Mapping[str, str | int | float | bool], seed: int
) -> Iterator[PlannedImage]:
    times = Counter[bytes]()
    for line in read_prompts(path, []):
        text = line.text.strip()
        digest = blake2b(text.encode(), digest_size=8).digest()
        drawn = _draw_seed(seed, text, times[digest])
        times[digest] += 1
        record = line.record
        yield PlannedImage(
            key=_key(text, generator, settings, drawn),
            prompt=text,
            attributes=tuple(AskedAttribute(attribute=name, value=value) for name, value in line.attributes),
            grammar=record.grammar if record else None,
            grammar_version=record.grammar_version if record else None,
            prompt_seed=record.seed if record else None,
            prompt_index=record.index if record else None,
            generator=generator,
            settings=settings,
            seed=drawn,
            **line.origin.model_dump(),
        )


def _check(path: Path) -> None:
    problems, num_prompts = list[Problem](), 0
    for line in read_prompts(path, problems):
        num_prompts += 1
        problems += [*check_line(path, line), *_check_length(path, line)]
    if problems:
        raise SourceError(sorted(problems, key=lambda problem: problem.row or 0))
    if not num_prompts:
        message, fix = "the file has no prompts", "make some: sfhq prompts --count 200 --out prompts.jsonl"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(path), fix=fix, code=FILE_CODE))


def _check_length(path: Path, line: Line) -> Iterator[Problem]:
    if len(line.text) > MAX_PROMPT_CHARS:
        yield Problem(
            Reason.BAD_VALUE,
            f"the prompt has {len(line.text):,} characters, and at most {MAX_PROMPT_CHARS:,} are sent",
            file=str(path),
            row=line.row,
            column="prompt",
            value=line.text[:200],
            fix="write a shorter one",
            code=ROW_CODE,
        )


def _draw_seed(seed: int, text: str, times: int) -> int:
    digest = blake2b(json.dumps([seed, text, times]).encode(), digest_size=4).digest()
    return int.from_bytes(digest)


def _key(text: str, generator: str, settings: Mapping[str, object], seed: int) -> str:
    parts = json.dumps([text, generator, sorted(settings.items()), seed], ensure_ascii=False)
    return sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARS]

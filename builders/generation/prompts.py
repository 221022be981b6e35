"""Make prompts: a stream that the grammar, the request and the seed decide, and nothing else."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

from builders.generation.choosing import Chosen, choose
from builders.generation.draws import Draws
from builders.generation.requests import Cell, Request, problem_of_request
from builders.generation.rules import find_in_prompt
from builders.generation.wording import write
from schemas.problems import Problem, Reason, SettingsError
from schemas.prompts import AskedAttribute, PromptRecord

_MAX_ATTEMPTS = 200


def make_prompts(request: Request, seed: int, count: int) -> Iterator[PromptRecord]:
    """Yield prompts, all with different texts.

    A prompt depends on the request, the seed and its index; one whose text is that of an earlier prompt is
    drawn again. Memory grows by about 100 bytes for each prompt, to find repeats.

    Args:
        request: What to make.
        seed: Decides everything that is not asked for, 0 to 2**63 - 1.
        count: How many.

    Raises:
        SettingsError: The grammar has no more different prompts, or breaks the rules of age and content.
    """
    seen: set[bytes] = set()
    for index, cell in zip(range(count), request.order(seed), strict=False):
        for attempt in range(_MAX_ATTEMPTS):
            draws = Draws(seed, index, attempt)
            made = _make(cell, draws)
            if made is not None and (digest := blake2b(made[0].encode(), digest_size=8).digest()) not in seen:
                break
        else:
            raise SettingsError(_exhausted(cell, index))
        text, chosen = made
        seen.add(digest)
        attributes = tuple((name, value.name) for name, value in chosen.items())
        if found := find_in_prompt(text, attributes):
            fix = "correct the grammar: a vocabulary of their own for people under 18, as in young-faces.toml"
            raise SettingsError(
                Problem(
                    Reason.SETTINGS,
                    each.message,
                    file=str(request.grammar.path),
                    value=text,
                    fix=fix,
                    code="run/grammar",
                )
                for each in found
            )
        yield PromptRecord(
            index=index,
            seed=seed,
            attempt=attempt,
            grammar=request.grammar.name,
            grammar_version=request.grammar.version,
            prompt=text,
            attributes=tuple(_asked(name, value) for name, value in attributes),
        )


@lru_cache(100_000)
def _asked(name: str, value: str) -> AskedAttribute:
    return AskedAttribute(attribute=name, value=value)


def _make(cell: Cell, draws: Draws) -> tuple[str, Chosen] | None:
    asked = cell.options[draws.below("option", len(cell.options))]
    chosen = choose(asked, draws)
    return None if chosen is None else (write(asked.variant, chosen, draws), chosen)


def _exhausted(cell: Cell, index: int) -> Problem:
    shown = ", ".join(f"{name}={value}" for name, value in cell.names.items()) or None
    message = f"the grammar makes no prompt number {index + 1:,} that differs from the others"
    return problem_of_request(
        "--count", message, shown, "ask for fewer prompts, or add values to the grammar"
    )

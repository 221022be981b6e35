"""What is refused of the `[[generators]]` tables as a whole: names, titles and terms that are not unique."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from schemas.generators import GENERATORS, PREFERENCE_MODELS, DeclaredGenerator
from schemas.problems import Problem, Reason


def refuse_generators(declared: Sequence[DeclaredGenerator], file: str) -> Iterator[Problem]:
    """Yield a problem for each name, title or licence that would have two meanings.

    Args:
        declared: The tables.
        file: The settings file, for problems.
    """
    at = partial(Problem, Reason.SETTINGS, file=file)
    for name, count in Counter(each.name for each in declared).items():
        if name in GENERATORS:
            message, fix = "the kit knows this generator and its terms", "leave the entry out"
            yield at(message, column="generators.name", value=name, fix=fix)
        elif count > 1:
            message = f"{count} entries declare this generator"
            yield at(message, column="generators.name", value=name, fix="keep one of them")
    names = {each.name: each.title for each in GENERATORS.values()} | {
        each.name: each.title for each in declared if each.name not in GENERATORS
    }
    for title, count in Counter(names.values()).items():
        if count > 1:
            message = "two generators have this title, and figures could not tell them apart"
            yield at(message, column="generators.title", value=title, fix="give each a title of its own")
    terms = {name: known.id for name, known in PREFERENCE_MODELS.items()}
    for each in declared:
        if each.license != terms.get(each.name, each.license):
            message, fix = "the kit knows other terms of this model", f'write license = "{terms[each.name]}"'
            yield at(message, column="generators.license", value=each.license, fix=fix)
    for license_id in dict.fromkeys(each.license for each in declared):
        if len({each.generator.terms for each in declared if each.license == license_id}) > 1:
            message = "entries with this licence explain it in different words"
            fix = "repeat license_name, license_url, license_summary and license_conditions word for word"
            yield at(message, column="generators.license", value=license_id, fix=fix)

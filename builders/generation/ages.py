"""Ages that a text says: in digits or words, with any joiner, and by school years.

A span of years is no age where its neighbours say so: "ten years of experience", "married for 15 years".
What is in doubt is an age.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

ADULT_AGE = 18
# Born then or later, a person is under 18 at the end of 2026; later on, this errs on the safe side.
_FIRST_YOUNG_BIRTH = 2009
_DATE = r"(?:on|in|the|of|th|st|nd|rd|[\d.]+|[,/-]|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)"
_BIRTH = re.compile(rf"\bborn (?:(?:\w+ ){{0,3}}|(?:{_DATE} ){{0,8}})(20\d\d)\b")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)*|[^\sa-z0-9_-]|\n")
# A half after a number, as compatibility forms write it.
_FRACTION = re.compile(r"\b(\d{1,3}?)[\s-]?[1-3][\u2044/][2-4]\b")
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth"
)
_ORDINALS = tuple(_ORDINAL_WORDS.split())
_SMALL = {word: number for number, word in enumerate(_UNITS.split())}
_ROUND = {word: 10 * number for number, word in enumerate(_TENS.split(), 2)} | {"fourty": 40}
_YOUNG_NUMBER = "(?:1[0-7]|[3-9]|" + "|".join(_UNITS.split()[3:18]) + ")"
# "It is 12" and "Portrait, 8k" are about no person.
_NAME_WITH_AGE = re.compile(
    r"\b(?!It|This|That|There|Time|Now|Portrait)[A-Z][^\W\d_]+ ?"
    rf"(?:\({_YOUNG_NUMBER}\)|, {_YOUNG_NUMBER}(?=,| with| in |\)|$)"
    rf"|(?:is|was|turns) (?:(?:only|just|about|nearly|almost) )?{_YOUNG_NUMBER}"
    r"(?=[,.;)]| with | and | in |$))"
    r"|\b1[0-7][fF]\b"
)
_NUMBER_WORDS = frozenset({*_SMALL, *_ROUND, *_ORDINALS, "hundred", "dozen"})
# Between words of an age: blanks, hyphens and any other sign but the end of a line.
_GAP = r"[^\w\n]{0,4}"
_N = r"(?<![\w.])(\d{1,3}(?:\.\d+)?)"
_YEARS = r"(?:(?:years?|yrs?)(?:olds?|young|ofage)?|yos?|y)\b"
_SHORTER = r"(?:months?|mths?|mos|weeks?|wks?|days?)\b"


def _any_of(words: str) -> str:
    """Return a pattern of words between blanks; `~` is a blank within one."""
    return f"(?:{'|'.join(re.escape(word.replace('~', ' ')) for word in words.split())})"


_PERSON = _any_of(
    "person people man men woman women lady ladies lad lads laddie lass lasses lassie guy guys gal gals "
    "fellow human individual model models subject student students pupil pupils schoolmate classmate "
    "dancer singer gymnast cheerleader ballerina actor actress influencer swimmer skater athlete princess "
    "prince daughter daughters son sons sister sisters brother brothers niece nephew cousin twin twins "
    "sibling siblings orphan beauty blonde brunette redhead male female youth youths maiden damsel "
    "apprentice caucasian asian african european latina latino teenager teen girl girls boy boys child "
    "kid"
)
_ABOUT = (
    r"(?:(?:now|currently|only|just|about|barely|almost|nearly|around|maybe|perhaps|circa|roughly|still|hardly|"
    r"age|aged) )*"
)
# What follows a number that counts something else than years of life.
_COUNTED = _any_of(
    "mm cm m km kg lb lbs px mp k s iso am pm a.m p.m o'clock degree degrees percent % minute minutes "
    "hour hours second seconds trades talents faces worlds seas languages voices words kisses parts hats "
    "names nations children kids sons daughters people others friends guests lamps lights lenses shots "
    "frames in~the~morning in~the~evening in~the~afternoon at~night past to~one to~two to~three to~four x "
    "th st nd rd /"
)
_NOT_COUNTED = rf"(?!\d)(?! ?(?:{_COUNTED}|by \d|\. \d|: ?\d)(?!\w))"
# Beside a number of years that says how long something took. No sign is between, as in "14 years, long hair".
_SPAN_BEFORE = re.compile(
    r"\b(?:for|after|during|within|last|past|next|since|every|spent|served|took|lasted|worked|taught|"
    r"sailed|married|widowed|retired|trained|practised|practiced|"
    r"for (?:about|over|nearly|more than|at least)|veterans?(?: \w+)? of) $"
)
_SPAN_AFTER = re.compile(
    r" (?:' )?(?:of (?!ages?\b)|ago|later|earlier|younger|before|after|since|into|sober|apart|together|"
    r"abroad|at sea|on the (?:job|road|run)|in (?:the )?(?:navy|army|prison|business|trade|office|power|"
    r"retirement|exile|service|making|theatre|job)|(?:(?!with |in |and |on |of |at )\w+ )?(?:experience|"
    r"career|marriage|anniversary|voyage|reign|veteran|sentence|contract|tenure|plan|war|drought|absence|"
    r"friendship|study|project|warranty|period|stint|itch|journey|search|wait|apprenticeship|residency|"
    r"partnership|mission))\b"
)
# Things that are some years or days old: in "a 12-year-old camera", not in "a 12-year-old, camera".
_OF_THING = r" (?:(?!with |in |and |on |by |of |near |at |wearing |holding )\w+ )?"
_OLD_THING = re.compile(
    rf"{_OF_THING}(?:whiskys?|whiskeys?|scotch|rum|wine|cheddar|cheese|cognac|dog|cat|horse|mare|car|van|truck|"
    r"tractor|camera|leica|lens|house|building|laptop|phone|guitar|violin|tree|recipe|company|firm|bonsai|sourdough|"
    r"puppy|puppies|kitten|retriever|terrier|spaniel|poodle|labrador|tattoo|jacket|boots|suit)\b"
    # Whoever follows, such as a tattoo artist, may be of that age.
    r"(?= ?(?:[,;.:)\n]|$|(?:and|with|on|in|at|of|from|by|behind|beside|that|which|hangs|hanging|over|under|"
    r"for|as|sits|sitting|is|was|lies|to|around|between|near) ))"
)
_FRESH_THING = rf"{_OF_THING}(?:stubble|beard|scar|bruise|tan|bread|newspaper|snow|sourdough|wound)\b"
_GRADE = r"(?:\d{1,2} ?(?:st|nd|rd|th)|reception)"
_LEARNER = r"(?:pupils?|students?|girls?|boys?|kids?|child|children|class|classroom|uniform|portrait|photo)"
_STAFF_WORDS = _any_of(
    "teacher teachers headteacher principal principals headmaster headmistress coach coaches librarian "
    "janitor caretaker counsellor counselor governor governors nurse cook reunion reunions sweetheart "
    "sweethearts diploma staff dropout director inspector secretary tutor tutors professor professors"
)
_STAFF = rf"(?! ?(?:(?:\w+ )?{_STAFF_WORDS}|quality|materials?|titanium|leather|oil|art|history)\b)"
# What is in a text that says an age below 18.
_PART = re.compile(r"[a-z]+|\d+")
_UNITS_OF_TIME = "month months mth mths mos week weeks wk wks day days"
_SIGNS_OF_AGE = frozenset(
    [
        *(each for each in _SMALL if _SMALL[each] <= ADULT_AGE),
        *_ORDINALS[1:],
        "eighteenth",
        *_UNITS_OF_TIME.split(),
        *map(str, range(ADULT_AGE + 1)),
        *("dozen", "grade", "grader", "graders", "born", "birthday", "reception"),
    ]
)


def says_young_age(folded: str) -> bool:
    """Return whether a text says that a person is under 18, by a number or a school year.

    Args:
        folded: The text, as `look_alikes.fold` returns it.
    """
    # Many texts have no small number, and the patterns are slow.
    return may_say_age(folded) and _says_young_age(folded)


def may_say_age(folded: str) -> bool:
    """Return whether a text has a word or a number that an age below 18 needs."""
    has_sign = not _SIGNS_OF_AGE.isdisjoint(_PART.findall(folded))
    return has_sign or "school" in folded or "junior" in folded


def _says_young_age(folded: str) -> bool:
    text = " ".join(_read_tokens(folded))
    return (
        any(age < ADULT_AGE for age in _ages_in_years(text))
        or any(pattern.search(text) for pattern in _patterns())
        or any(0 < float(said) < ADULT_AGE for pattern in _loose() for said in pattern.findall(text))
        or any(int(year) >= _FIRST_YOUNG_BIRTH for year in _BIRTH.findall(text))
    )


def says_adult_age(folded: str) -> bool:
    """Return whether a text says an age from 18 years."""
    text = " ".join(_read_tokens(folded))
    now = re.findall(rf"\b(?:now|today),? {_ABOUT}{_N}{_NOT_COUNTED}", text)
    return any(age >= ADULT_AGE for age in (*_ages_in_years(text), *map(float, now)))


def _ages_in_years(text: str) -> Iterator[float]:
    """Yield the years that persons are old by the units and words beside a number."""
    for found in re.finditer(
        rf"{_N}{_GAP}(?:{_YEARS})({_GAP}o(?:lds?)?\b|{_GAP}(?:young|of ages?)\b)?", text
    ):
        before, after = text[max(found.start() - 40, 0) : found.start()], found.end()
        if found[2] is None:
            is_span = _SPAN_BEFORE.search(before) or _SPAN_AFTER.match(text, after)
        else:
            is_span = _OLD_THING.match(text, after)
        if not is_span:
            yield float(found[1])
    for pattern in (
        rf"\bage[ds]?\b{_GAP}(?:(?:of|is|from|between|about|under|only|just) )*{_N}(?!{_GAP}{_SHORTER})",
        rf"{_N}{_GAP}(?:years?{_GAP})?of age\b",
    ):
        yield from (float(said) for said in re.findall(pattern, text))


@cache
def _patterns() -> Sequence["re.Pattern[str]"]:
    """Return what says a person under 18 whatever its number."""
    forms = r"(?:grade|year|class|form|standard|primary)"
    schools = (
        r"(?:high|middle|primary|elementary|secondary|grade|grammar|prep|nursery|infant|junior|comprehensive)"
    )
    not_yet = (
        r"(?:under|below|less than|younger than|no older than|not older than|not (?:yet )?quite|not yet|"
        r"until|almost|nearly)"
    )
    listed = [
        rf"{_N}{_GAP}{_SHORTER}{_GAP}(?:olds?\b(?!{_FRESH_THING}|{_OLD_THING.pattern})|of age\b)",
        rf"\b(?:aged?|age of){_GAP}{_N}{_GAP}{_SHORTER}",
        rf"\b{not_yet} (?:the age of |age )?1[0-8]\b(?:{_GAP}{_YEARS})?{_NOT_COUNTED}",
        rf"\b{_GRADE}{_GAP}(?:graders?|grade\b{_STAFF}|formers?)\b",
        rf"\b6{_GAP}th{_GAP}form\b{_STAFF}",
        rf"\b(?:in|a|an|the|of) {forms} (?:1[0-3]|[1-9])\b(?! ?[/.]?\d| (?:haircut|buzz|cut|titanium|piano))",
        rf"\b{forms} (?:1[0-3]|[1-9]) {_LEARNER}\b",
        rf"(?<!teacher , )(?<!teacher )\b{schools}{_GAP}(?:high )?school(?:ers?)?\b{_STAFF}",
        rf"\bjunior high\b{_STAFF}",
        r"\bschool ?(?:age|aged|uniforms?)\b",
        rf"\bbefore (?:\w+ )?(?:eighteenth|18{_GAP}th) birthday\b",
        r"\bsweet 16\b",
        rf"\bu{_GAP}1[0-8] (?:players?|teams?|squad|side|champions?|footballers?|swimmers?|athletes?)\b",
        r"\breception (?:class|year|pupils?|child|children)\b",
        rf"\b(?:1[0-7]{_GAP}th|[1-9]{_GAP}(?:st|nd|rd|th)) birthday\b",
    ]
    return [re.compile(pattern) for pattern in listed]


@cache
def _loose() -> Sequence["re.Pattern[str]"]:
    """Return where a bare number is an age; each pattern has it as its group."""
    number = r"(?<![\w./])(1[0-7]|[3-9])(?:\.5)?(?![\w])" + _NOT_COUNTED
    words = _any_of("with in who and wearing on by from or looking smiling posing at next now today soon")
    end, is_ = rf"(?= ?(?:[,;.)\n]|$| {words} ))", r"(?:turning|turned|turns|looks|looking|appears|seems)"
    be = r"(?:is|was|are|(?:to|will|will soon) be)"
    listed = [
        rf"\b{_PERSON} (?:of|at) {_ABOUT}{number}",
        rf"\b{_PERSON} ?[(\[] ?{_ABOUT}{number} ?[)\]]",
        rf"\b{_PERSON} ?[,:;/]? ?{_ABOUT}{number}{end}",
        rf"\b(?:she|he|they|who|{_PERSON}) {be}(?: like)? {_ABOUT}{number}{end}",
        rf"\b{number} ?[,/] ?(?:female|male|woman|man|f|m)\b",
        rf"\b(?:(?:she|he|who)'s|they're) {_ABOUT}{number}{end}",
        rf"\b{is_}(?: to be| like)? {_ABOUT}{number}{end}",
        rf"\b{number} (?:summers|winters|springs) (?:old|young)\b",
    ]
    return [re.compile(pattern) for pattern in listed]


def says_name_with_age(text: str) -> bool:
    """Return whether a text has a name with an age below 18: "Anna (14)", "Anna, 14,", "Anna is 14"."""
    return bool(_NAME_WITH_AGE.search(text))


def _read_tokens(folded: str) -> Sequence[str]:
    """Return the words, numbers and signs of a text, with numbers in digits."""
    if "\u2044" in folded or "/" in folded:
        folded = _FRACTION.sub(r"\1.5", folded)
    tokens, read, place = _TOKEN.findall(folded), list[str](), 0
    if _NUMBER_WORDS.isdisjoint(tokens) and "hal" not in folded:
        return tokens
    while place < len(tokens):
        word = tokens[place]
        if word in _NUMBER_WORDS or word[0].isdigit():
            value, place = _read_number(tokens, place)
            read.append(value)
        else:
            read.append(word)
            place += 1
    return [each for value in read for each in value.split()]


def _read_number(tokens: Sequence[str], place: int) -> tuple[str, int]:
    """Return the token at a place, in digits if it begins a number, and where the next one begins."""

    def at(offset: int) -> str:
        return tokens[place + offset] if place + offset < len(tokens) else ""

    word, used, number = tokens[place], 0, 0.0
    if word == "dozen":
        return "12", place + 1
    if word in _ORDINALS:
        is_time = word == "second" and not at(1).startswith(("grad", "form", "birth"))
        return word if is_time else f"{_ORDINALS.index(word)} th", place + 1
    if word == "hundred" or at(1) == "hundred":
        number, used = 100.0 * _SMALL.get(word, 1), 1 if word == "hundred" else 2
        used += at(used) == "and" and (at(used + 1) in _SMALL or at(used + 1) in _ROUND)
    if at(used) in _ROUND:
        number, used = number + _ROUND[at(used)], used + 1
        if 0 < _SMALL.get(at(used), 0) < 10:
            number, used = number + _SMALL[at(used)], used + 1
    elif at(used) in _SMALL:
        number, used = number + _SMALL[at(used)], used + 1
    if not used:
        number, used = float(word), 1
    if (
        at(used) in ("and", "&", "plus")
        and at(used + 1) in ("a", "one", "1")
        and at(used + 2).startswith("hal")
    ):
        number, used = number + 0.5, used + 3
    return f"{number:g}", place + used

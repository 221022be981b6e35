"""Ages that texts say: in words and digits, with every joiner, and spans of time that are no age."""

import pytest

from builders.generation.ages import may_say_age, says_young_age
from builders.generation.look_alikes import fold
from builders.generation.rules import find_in_prompt, is_young

YOUNG = (
    "a 7-year-old",
    "a \u0661\u0664-year-old",
    "a 17 year old woman",
    "a woman aged 16",
    "seven years old",
    "8 months old",
    "a person aged 7 months",
    "age: 15",
    "at the age of 12",
    "fifteen-year-old",
    "a 9 y.o. person",
    "12yrs",
    "a 15yo",
    "african male 2.5 year old toddler",
    "a person of 12 years of age",
    "a 14year old",
    "a 14yearold",
    "a lad of 14",
    "a woman of 14",
    "person (14)",
    "ten-and-a-half-year-old",
    "14year old",
    "a ninth-grader",
    "second grader",
    "7th grade student",
    "a pupil in year 9",
    "Year 9 student",
    "grade 7 pupil",
    "a girl, 14, smiling",
    "woman, 16",
    "a model (aged fifteen)",
    "she is 14",
    "she's thirteen",
    "who is only sixteen",
    "just turned fourteen",
    "her fourteenth birthday",
    "on his 12th birthday",
    "under 18",
    "not yet eighteen",
    "10\xbd-year-old",
    "10 1/2 year old",
    "14 y/o",
    "14-y-o",
    "14.years.old",
    "14_years_old",
    "14\u2013year\u2013old",
    "1\u0664-year-old",
    "\uff11\uff14 year old",
    "fourteen-yr-old",
    "14 years young",
    "ages 9 to 12",
    "age=14",
    "age 14",
    "a student of sixteen years",
    "in the sixth grade",
    "a high school cheerleader",
    "middle school pupil",
    "school-age",
    "woman in a school uniform",
    "a lass of fifteen",
    "person [13]",
    "a man of seventeen with",
    "twelve and a half years old",
    "3-week-old",
    "a six month old",
    "a person, twelve years, lipstick",
    "born in 2014",
    "looks 14",
    "a fourteen year-old",
    "fourteen (14) years",
    "a thirteen years old person",
    "aged thirteen",
    "aged between 12 and 14",
    "model, age fifteen",
    "almost 16",
    "nearly sixteen years old",
    "lady of 15",
    "a 16-year old",
    "17-yr-old",
    "16 yr. old",
    "person at 14",
    "14 yr",
    "14 yrs. of age",
    "dancer of twelve",
    "a 1st grader",
    "a 1st-former",
    "a one-and-a-half-year-old",
    "a 1 and a half year old",
    "a Year 1 pupil",
    "a pupil in form one",
    "a primary 1 pupil",
    "class one pupils",
    "a reception grader",
    "aged just 1",
    "a pupil in reception class",
    "Lily is 12",
    "Emma is fifteen",
    "Emma is only 15",
    "she is now 16",
    "she is currently 16",
    "she will be 14 next week",
    "they're 15",
    "a girl no older than 15",
    "born on May 3, 2012",
    "born 03.05.2012",
    "Anna, fourteen, smiling",
    "before her eighteenth birthday",
    "sweet sixteen",
    "an underaged person",
    "a U-16 player",
    "16, female",
    "16f",
    "a 12-year-old tattoo artist",
    "a woman of 14 years, smiling after lunch",
    "a 14 years old after school",
)
OTHERS = (
    "twenty-one-year-old",
    "a twenty one year old",
    "a 18-year-old woman",
    "a 117-year-old man",
    "a woman aged 81",
    "a 1970s camera, 12 lenses and 3 lamps",
    "a house that is 200 years old",
    "a woman aged thirty",
    "an old age of wisdom",
    "middle ages, 3 months later",
    "three days of stubble",
    "ten years of experience",
    "married for 15 years",
    "a week of beard",
    "shot at f/1.8",
    "85 mm lens",
    "14 mm lens",
    "16 megapixels",
    "a woman of forty",
    "person (34)",
    "a one-hundred-and-two-year-old",
    "man of eighteen years",
    "mother of three",
    "father of two children",
    "with 12 years in the navy",
    "after 17 years at sea",
    "five years sober",
    "two years into retirement",
    "six months pregnant",
    "after twelve hours of work",
    "the youngest of five brothers, now 62",
    "at 10 o'clock",
    "ISO 100",
    "1/250 s",
    "bracketed three times",
    "a 10-year career",
    "a hundred-year-old",
    "at twelve degrees",
    "grade 2 haircut",
    "a high school teacher",
    "primary school teacher",
    "school principal",
    "a man of 10 trades",
    "one of the first women",
    "a 12-year-old whisky",
    "f/2.8",
    "5 pm",
    "two women",
    "four men",
    "seventeen candles",
    "a man in his fifties",
    "in her late twenties",
    "his seventh coffee",
    "woman (2)",
    "portrait 3/4 view",
    "three-quarter view",
    "16:9",
    "4k",
    "8k",
    "a grown man",
    "age 45",
    "aged 42",
    "26-year-old",
    "45 yo",
    "shot in 2014",
    "12 months on the road",
    "a man with 10 years' experience, beard",
    "a veteran firefighter of 15 years",
    "on their 10-year wedding anniversary, in pearls",
    "a five-year-old tattoo",
    "his 8-year-old golden retriever",
    "his 3-month-old puppy",
    "a woman looks 10 years younger with lipstick",
    "minor skin imperfections",
    "minor wrinkles",
    "one man with a beard, aperture f/1.8, first light",
    "born in Paris, photographed in 2012",
    "1 woman, 1 man",
    "No. 1 fan",
    "a man is one of the best",
    "shot at 16 mm, male",
    "The aperture is 8, lips red",
    "16, Rue de Rivoli",
)


@pytest.mark.parametrize("text", YOUNG)
def test_an_age_below_18_is_read(text: str) -> None:
    assert is_young(text)
    assert "make-up" in [found.kind for found in find_in_prompt(f"{text}. Red lipstick")]


@pytest.mark.parametrize("text", OTHERS)
def test_other_numbers_and_spans_of_time_are_no_age_below_18(text: str) -> None:
    assert not is_young(text)


_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty twenty-one thirty-two ninety-nine"
)
_VALUES = [*range(1, 21), 21, 32, 99]


@pytest.mark.parametrize(
    "joiner", ["-", " ", "_", ".", "", "\u2013", "\u2011", " - ", "\u2014", "/", "\u00a0"]
)
@pytest.mark.parametrize("unit", ["{} year old", "{} yr old", "{} years of age", "{} years young", "{} yo"])
def test_every_number_with_every_joiner(joiner: str, unit: str) -> None:
    for word, value in zip(_NUMBERS.split(), _VALUES, strict=True):
        for number in (word, str(value)):
            if joiner == "" and number == word:
                continue  # nobody writes "fourteenyearold"
            text = f"a person, {unit.format(number).replace(' ', joiner)}, smiling"
            assert is_young(text) == (value < 18), text


@pytest.mark.parametrize("said", ["an only child", "a former child actor", "once a child star"])
def test_a_past_as_a_child_is_no_youth_where_an_adult_age_is_said(said: str) -> None:
    assert not is_young(f"{said}, now 40")
    assert not is_young(f"a 40-year-old man, {said}")
    assert is_young(said)
    assert is_young(f"{said}, now 12")
    assert is_young(f"{said}, now 40 minutes late")
    assert is_young(f"{said}, now 40, with a girl")


@pytest.mark.parametrize("number", [*range(1, 18)])
def test_texts_with_an_age_are_all_looked_at(number: int) -> None:
    """Patterns are slow, and are run only where a word or a number says that there may be an age."""
    word = _NUMBERS.split()[number - 1]
    forms = (
        "a {} year old,a pupil in form {},class {} pupils,a primary {} pupil,Year {} pupil,aged just {},{} yo"
    )
    for text in (form.format(each) for form in forms.split(",") for each in (number, word)):
        assert may_say_age(fold(text)), text
    assert says_young_age(fold(f"a pupil in form {word}")) == (number <= 13)

"""Roman numerals of kings, chapters, acts and centuries in words; "I" stays the pronoun."""

import re
import tomllib
from functools import lru_cache
from importlib.resources import files

from audiostory_core.text.spoken.counting import Counting
from audiostory_core.text.spoken.tongue import Tongue

_NUMERAL = r"(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_MORE = r"(?<!\w)[IVXLC]+(?!\w)"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
# After "I" as a number; before other words in lower case it is the pronoun.
_AFTER_FIRST = (
    r"(?!['’]|\s+(?!(?:of|the|and|was|is|in|to|on|had|ruled|reigned|died|de|von|du)\b)[a-z])"
)
_APART = r"(?!\w|['’](?!s\b))"
_CEILING = {"ordinal": 1 << 30, "none": 0}


@lru_cache(maxsize=1)
def _crowned() -> tuple[frozenset[str], frozenset[str]]:
    """Return names of kings and popes, and of queens, in all languages."""
    path = files("audiostory_core.text.spoken") / "languages/crowned.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return frozenset(content["masculine"]), frozenset(content["feminine"])


class Roman:
    """Puts the Roman numerals of one language into words.

    Args:
        tongue: the language.
        counting: of the same language.
    """

    def __init__(self, tongue: Tongue, counting: Counting) -> None:
        self._tongue = tongue
        self._counting = counting
        name = r"(?P<name>[^\W\d_][\w’'-]*[^\W\d_])"
        heads = "|".join(re.escape(head) for head in sorted(tongue.heads, key=len, reverse=True))
        head = rf"(?P<head>\b(?i:{heads or '(?!)'}))"
        crowned = "|".join(map(re.escape, tongue.crowned)) or "(?!)"
        title = rf"(?P<title>\b(?:{crowned})\s+)?"
        also = tongue.word("and") or "&"
        dot = (
            r"(?P<dot>\.(?=\s+[^\W\d_A-ZÄÖÜ]|,))?" if tongue.language in ("de", "pl", "sv") else ""
        )
        ages = "|".join(map(re.escape, tongue.ages))
        no_age = rf"(?!\s+(?:{ages}))" if ages else ""
        choices = [
            rf"{head}(?P<gap>\s+)(?P<counted>{_NUMERAL}){_APART}"
            rf"(?P<more>(?:(?:,|\s+{also}|\s?[-–])\s?{_NUMERAL}{_APART}{no_age})*)",
            rf"{title}\b{name}\s+(?P<crown>{_NUMERAL})(?:er|re)?{_APART}{dot}",
            rf"^\s*(?P<alone>{_NUMERAL})(?P<full>\.?)\s*$",
        ]
        if ages:
            choices.insert(
                0, rf"\b(?P<age>{_NUMERAL})(?P<age_mark>(?:\.|e|er|ème|th)?\s*-?\s*)(?=(?i:{ages}))"
            )
        self._pattern = re.compile("|".join(choices), re.MULTILINE)
        self._may_have = re.compile(rf"(?<![^\W_]){_NUMERAL}(?:e|er|ème|th)?(?![^\W_])")
        self._first = re.compile(_AFTER_FIRST)

    def spoken(self, text: str) -> str:
        """Return the text with its Roman numerals in words."""
        return self._pattern.sub(self._say, text) if self._may_have.search(text) else text

    def _say(self, match: re.Match[str]) -> str:
        names = match.groupdict()
        if names.get("age"):
            number = value_of(match["age"])
            said = self._age(number)
            return f"{said} "
        if match["counted"]:
            return self._counted(match)
        if match["alone"]:
            if len(match["alone"]) < 2 and not match["full"]:
                return match[0]
            return f"{self._counting.whole(str(value_of(match['alone'])))}{match['full']}"
        return self._king(match)

    def _age(self, number: int) -> str:
        template = self._tongue.templates.get("age", "{cardinal}")
        return template.format(
            cardinal=self._counting.whole(str(number)), ordinal=self._counting.ordinal(number)
        )

    def _counted(self, match: re.Match[str]) -> str:
        numeral = match["counted"]
        is_pronoun = numeral == "I" and (
            match["head"][0].islower() or not self._first.match(match.string, match.end())
        )
        if is_pronoun or numeral in ("C", "L"):
            return match[0]
        more = re.sub(
            _MORE, lambda each: self._counting.whole(str(value_of(each[0]))), match["more"]
        )
        return f"{match['head']}{match['gap']}{self._counting.whole(str(value_of(numeral)))}{more}"

    def _king(self, match: re.Match[str]) -> str:
        numeral, name = match["crown"], match["name"]
        masculine, feminine = _crowned()
        is_known = name in masculine or name in feminine or match["title"] is not None
        if name[0].islower() or numeral in ("C", "L"):
            return match[0]
        if numeral == "I" and not (is_known and self._first.match(match.string, match.end())):
            return match[0]
        before = match[0][: match.start("crown") - match.start()]
        number = value_of(numeral)
        if is_known:
            return before + self._reign(number, is_feminine=name in feminine)
        if len(numeral) < 2 or name.isupper() or set(numeral) == {"C"}:
            return match[0]
        return before + self._counting.whole(str(number)) + (names_dot(match))

    def _reign(self, number: int, *, is_feminine: bool) -> str:
        tongue = self._tongue
        form = "f" if is_feminine else "m"
        first = tongue.word("first_queen" if is_feminine else "first_king")
        if number == 1 and first:
            return first
        if number > int(tongue.word("ordinal_kings_to") or 1 << 30):
            return self._counting.whole(str(number))
        template = tongue.templates.get("queen" if is_feminine else "king", "{ordinal}")
        return template.format(ordinal=self._counting.ordinal(number, form))


def names_dot(match: re.Match[str]) -> str:
    """Return the full stop after a numeral that is none of a king's."""
    return (match.groupdict().get("dot")) or ""


def value_of(numeral: str) -> int:
    """Return the value of a Roman numeral in capitals."""
    values = [_VALUES[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(
        -value if value < after else value for value, after in zip(values, following, strict=True)
    )

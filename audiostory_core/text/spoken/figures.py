"""Figures and the signs beside them in words: dates, times, money, units, sums, numbers."""

import re
from collections.abc import Callable, Mapping

from audiostory_core.text.spoken import numbers
from audiostory_core.text.spoken.clock import Clock
from audiostory_core.text.spoken.counting import YEARS, Counting
from audiostory_core.text.spoken.tongue import Tongue

_NEXT_WORD = re.compile(r"[ \u00a0-]([^\W\d_]+)")
_BEFORE_YEAR = re.compile(r"(?:\b(?:in|since|year|of|by|from|until|till|before|after|around)\s)$")
_VERBS_IN_S = frozenset({"was", "is", "has", "as", "does", "its", "his", "this", "s", "us"})
_COUNTED = frozenset({"people", "men", "women", "children", "sheep", "fish"})
_HUNDRED = 100
_OPERATIONS = r"[+\-−×*x÷/=<>^±]"


class Figures:
    """Puts the figures of one language into words.

    Args:
        tongue: the language.
    """

    def __init__(self, tongue: Tongue) -> None:
        self._tongue = tongue
        self._counting = Counting(tongue)
        self._clock = Clock(tongue, self._counting)
        handlers: Mapping[str, tuple[str, Callable[[re.Match[str]], str]]] = {
            **self._clock.kinds(),
            "sum": (self._sum_pattern(), self._sum),
            "inches": (r"(?P<feet>\d)['′](?P<inches>\d{1,2})(?:[\"″”]|'')", self._inches),
            "expression": (self._expression_pattern(), self._expression),
            "groups": (r"\+?\d{1,15}(?:[-–‑]\d{1,15}){2,20}", self._groups),
            "telephone": (r"\+\d{1,15}(?: \d{1,15}){1,9}|\d{3}[-.]\d{4}", self._groups),
            "fraction": (r"(?P<mixed>\d+ )?(?:(?P<part>\d{1,3}/\d{1,3})(?![/\d])|(?P<vulgar>[½⅓⅔¼¾⅛]))",
                         self._fraction),
            "range": (r"(?P<low>\d{1,15}) ?[-–—] ?(?P<high>\d{1,15})(?![\d.,]\d|\w)", self._range),
            "decade": (r"(?P<decade>\d{4}|\d0)s(?!\w)" if tongue.language == "en" else "", self._decade),
            "ordinal": (self._ordinal_pattern(), self._ordinal),
            "unit": (self._unit_pattern(), self._unit),
            "hash": (r"#(?P<hash_number>\d{1,15})", self._hash),
            "number": (rf"(?P<signed>(?<![\w)\]])[+\-−±])?(?P<figures>{self._counting.pattern})"
                       r"(?P<exponent>[²³])?", self._number),
        }  # fmt: skip
        self._handlers = {name: handler for name, (_, handler) in handlers.items()}
        kinds = "|".join(
            f"(?P<k_{name}>{pattern})" for name, (pattern, _) in handlers.items() if pattern
        )
        starts = "".join({symbol[0] for symbol in tongue.money if not symbol[0].isalpha()})
        letters = "".join({symbol[0] for symbol in tongue.money if symbol[0].isalpha()})
        first = rf"[\d#+\-−±½⅓⅔¼¾⅛{re.escape(starts)}{letters}]"
        self._pattern = re.compile(rf"(?<![^\W_])(?={first})(?:{kinds})")

    def spoken(self, text: str) -> str:
        """Return the text with its figures in words."""
        return self._pattern.sub(self._say, self._clock.month_days(text))

    def _say(self, match: re.Match[str]) -> str:
        assert match.lastgroup is not None
        said = self._handlers[match.lastgroup.removeprefix("k_")](match)
        after = match.string[match.end() : match.end() + 1]
        joint = " " if after.isalpha() and said[-1:].isalnum() else ""  # "5x", "90s"
        return said + joint

    def _sum_pattern(self) -> str:
        if not self._tongue.money:
            return ""
        symbols = _alternatives(self._tongue.money)
        magnitudes = _alternatives(self._tongue.magnitudes) or "(?!)"
        number = self._counting.pattern
        mark = rf"(?:\s?(?P<{{}}>{magnitudes})\b)?"
        before = rf"(?P<symbol_before>{symbols})\s?(?P<sum_after>{number}){mark.format('magnitude_after')}"
        after = rf"(?P<sum_before>{number}){mark.format('magnitude_before')}\s?(?P<symbol_after>{symbols})(?!\w)"
        return rf"{before}|{after}"

    def _sum(self, match: re.Match[str]) -> str:
        side = "after" if match["symbol_before"] else "before"
        symbol = match["symbol_before"] or match["symbol_after"]
        magnitude = self._tongue.magnitudes.get(match[f"magnitude_{side}"] or "", "")
        plain = self._counting.plain(match[f"sum_{side}"])
        return self._counting.sum(plain, self._tongue.money[symbol], magnitude)

    def _inches(self, match: re.Match[str]) -> str:
        feet, inches = (self._counting.whole(match[name]) for name in ("feet", "inches"))
        return f"{feet} {self._tongue.word('feet') or 'feet'} {inches}"

    def _expression_pattern(self) -> str:
        number = self._counting.pattern
        step = rf"(?:{_OPERATIONS}|\s{_OPERATIONS}\s)(?:{number})"
        # A minus alone is a range, a slash alone a fraction.
        only_sums = rf"(?=(?:{number})(?:\s?[-−*/]\s?(?:{number})){{0,20}}+\s?[+=×x÷^<>±]\s?\d)"
        return rf"{only_sums}(?:{number})(?:{step}){{1,20}}+(?!\w)"

    def _expression(self, match: re.Match[str]) -> str:
        pieces = re.split(rf"\s*({_OPERATIONS})\s*", match[0])
        said = [
            self._tongue.signs.get(piece, "")
            if at % 2
            else self._counting.number(self._counting.plain(piece))
            for at, piece in enumerate(pieces)
        ]
        return " ".join(filter(None, said))

    def _groups(self, match: re.Match[str]) -> str:
        """Say figures in groups: digit by digit if they can be a telephone number."""
        groups = re.split(r"[-–‑. ]", match[0].lstrip("+"))
        is_telephone = any(len(group) > 2 or group.startswith("0") for group in groups)
        plus = f"{self._tongue.signs.get('+', '')} " if match[0].startswith("+") else ""
        said = (
            " ".join(numbers.digits(group, self._tongue.language))
            if is_telephone
            else self._counting.whole(group)
            for group in groups
        )
        return plus + ", ".join(said)

    def _fraction(self, match: re.Match[str]) -> str:
        part = match["part"] or match["vulgar"]
        said = self._tongue.fractions.get(part)
        if said is None:
            halves = part.split("/")
            said = " ".join(self._counting.whole(half) for half in halves)
        if not match["mixed"]:
            return said
        whole = self._counting.whole(match["mixed"].strip())
        if part in ("1/2", "½") and self._tongue.word("half"):
            return f"{whole} {self._tongue.word('half')}"
        return f"{whole} {self._tongue.word('and')} {said}"

    def _range(self, match: re.Match[str]) -> str:
        low, high = match["low"], match["high"]
        is_year = len(low) == 4 and len(high) in (2, 4) and int(low) in YEARS
        say = self._counting.year if is_year else self._counting.whole
        say_last = say if len(high) == len(low) else self._counting.whole
        return f"{say(low)} {self._tongue.word('to')} {say_last(high)}"

    def _decade(self, match: re.Match[str]) -> str:
        figures = match["decade"]
        say = self._counting.year if len(figures) == 4 else self._counting.whole
        said = say(figures)
        return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"

    def _ordinal_pattern(self) -> str:
        tongue, choices = self._tongue, []
        if tongue.ordinal_suffixes:
            suffixes = _alternatives(tongue.ordinal_suffixes)
            choices.append(rf"(?P<which>\d{{1,4}})(?P<suffix>{suffixes})(?!\w)")
        if tongue.ordinal_before:
            words = "|".join(tongue.ordinal_before)
            choices.append(rf"(?P<dotted>\d{{1,3}})\. ?(?=(?:{words})\b)")
        return "|".join(choices)

    def _ordinal(self, match: re.Match[str]) -> str:
        if match["suffix"] is not None:
            form = self._tongue.ordinal_suffixes[match["suffix"]]
            return self._counting.ordinal(int(match["which"]), form)
        ending = self._clock.ending_before(match.string, match.start())
        return self._counting.ordinal(int(match["dotted"]), ending) + " "

    def _unit_pattern(self) -> str:
        if not self._tongue.units:
            return ""
        symbols = _alternatives(self._tongue.units)
        number = self._counting.pattern
        return (
            rf"(?P<unit_signed>(?<![\w)\]])[+\-−])?(?P<amount>{number})"
            rf"(?P<joint>[ \u00a0\u202f-]?)(?P<symbol>{symbols})(?![\w'’/²³])"
        )

    def _unit(self, match: re.Match[str]) -> str:
        noun = self._tongue.units[match["symbol"]]
        plain = self._counting.plain(match["amount"])
        if match["joint"] == "-":  # "a 5-km run"
            said = f"{self._counting.number(plain, noun.gender or 'm')} {noun.forms[0]}"
        else:
            said = self._counting.counted(plain, noun)
        return self._signed(match["unit_signed"], said)

    def _hash(self, match: re.Match[str]) -> str:
        return f"{self._tongue.word('number')} {self._counting.whole(match['hash_number'])}".strip()

    def _number(self, match: re.Match[str]) -> str:
        figures = match["figures"]
        plain = self._counting.plain(figures)
        if figures.isdecimal() and len(figures) == 4 and self._is_year(match):
            said = self._year(match)
        else:
            said = self._counting.number(plain, self._gender(match, plain))
        power = {"²": "squared", "³": "cubed"}.get(match["exponent"] or "")
        if power:
            said = f"{said} {self._tongue.word(power)}".rstrip()
        return self._signed(match["signed"], said)

    def _signed(self, sign: str | None, said: str) -> str:
        return f"{self._tongue.signs.get(sign, '')} {said}".strip() if sign else said

    def _year(self, match: re.Match[str]) -> str:
        nouns = self._tongue.year_nouns
        following = _NEXT_WORD.match(match.string, match.end())
        if not nouns or following is None:
            return self._counting.year(match["figures"])
        said = self._counting.ordinal(int(match["figures"]), nouns[following[1]])
        return said.removeprefix(self._tongue.word("one_before_thousand"))

    def _is_year(self, match: re.Match[str]) -> bool:
        if int(match["figures"]) not in YEARS or match["signed"]:
            return False
        following = _NEXT_WORD.match(match.string, match.end())
        word = following[1] if following else ""
        if self._tongue.year_nouns:
            return word in self._tongue.year_nouns
        if self._tongue.language != "en":
            return True
        is_plural = word.islower() and word.endswith("s") and word not in _VERBS_IN_S
        if not is_plural and word not in _COUNTED:
            return True
        before = match.string[max(0, match.start() - 12) : match.start()].lower()
        return _BEFORE_YEAR.search(before) is not None

    def _gender(self, match: re.Match[str], plain: str) -> str:
        """Guess the gender of what is counted from the end of its word."""
        following = _NEXT_WORD.match(match.string, match.end())
        if following is None or "." in plain or match.string[match.end()] == "-":
            return ""
        word = following[1].lower()
        if word in self._tongue.word("no_noun").split():
            return ""
        return "f" if word.endswith(self._tongue.feminine_endings or ("\0",)) else "m"


def _alternatives(words: Mapping[str, object]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))

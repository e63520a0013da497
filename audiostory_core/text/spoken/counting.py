"""Numbers as a language writes them, said in words of that language."""

import re

from audiostory_core.text.spoken import numbers
from audiostory_core.text.spoken.tongue import Currency, Noun, Tongue

LONGEST_DECIMALS = 3  # that are read as one number, where the language does
SPACES = " \u00a0\u202f\u2009"
YEARS = range(1100, 2100)
_PARTS = ("tenths", "hundredths", "thousandths")


class Counting:
    """Says numbers, sums of money and counted things of one language.

    Args:
        tongue: the language.
    """

    def __init__(self, tongue: Tongue) -> None:
        self.tongue = tongue
        self.pattern = number_pattern(tongue)
        self._group = re.compile(f"[{re.escape(tongue.groups)}{SPACES}'’]")

    def plain(self, figures: str) -> str:
        """Return a number as it is written in a language, with "." before its decimals alone.

        Decimals after the mark of other languages stand after "·": "3.10" in German.
        """
        whole, point, fraction = figures.partition(self.tongue.decimal)
        other = "." if self.tongue.decimal == "," else ","
        if not point and whole.count(other) == 1:
            tail = whole.partition(other)[2]
            if len(tail) != 3 or other not in self.tongue.groups:  # no group: a foreign decimal
                return whole.replace(other, "·")
        return self._group.sub("", whole) + (f".{fraction}" if point and fraction else "")

    def number(self, plain: str, gender: str = "") -> str:
        """Say a number that `plain` returned.

        Args:
            plain: figures, "." before decimals.
            gender: of what is counted.
        """
        language = self.tongue.language
        point = self.tongue.word("dot" if "·" in plain else "point")
        whole, _, fraction = plain.replace("·", ".").partition(".")
        if (
            fraction
            and "·" not in plain
            and self.tongue.decimals == "parts"
            and len(fraction) <= len(_PARTS)
        ):
            return self._parts(int(whole), fraction)
        said = self.whole(whole, "" if fraction else gender)
        if not fraction:
            return said
        is_number = self.tongue.decimals == "number" and len(fraction) <= LONGEST_DECIMALS
        rest = fraction.lstrip("0") if is_number else ""
        zeros = numbers.digits(fraction[: len(fraction) - len(rest)], language)
        tail = [numbers.cardinal(int(rest), language)] if rest else []
        return " ".join([said, point, *zeros, *tail])

    def whole(self, figures: str, gender: str = "") -> str:
        """Say a whole number; long ones and those that begin with 0 digit by digit."""
        if len(figures) > numbers.LONGEST or (len(figures) > 1 and figures.startswith("0")):
            return " ".join(numbers.digits(figures, self.tongue.language))
        return numbers.cardinal(int(figures), self.tongue.language, gender)

    def year(self, figures: str) -> str:
        """Say a year."""
        said = numbers.year(int(figures), self.tongue.language)
        return said.removeprefix(self.tongue.word("one_before_thousand"))

    def ordinal(self, number: int, form: str = "") -> str:
        """Say which one it is; the number itself where the language's words are not known."""
        listed = self.tongue.ordinals.get(form, ())
        if number <= len(listed):
            return listed[number - 1]
        language = self.tongue.language
        said = numbers.ordinal(number, language, form) or numbers.ordinal(number, language)
        return said or self.whole(str(number))

    def counted(self, plain: str, noun: Noun) -> str:
        """Say so many of something."""
        form = self.tongue.form(noun, plain)
        if noun.gender == "0":  # of a prefix that goes without its one: "mil", "per cent"
            return f"{self.number(plain)} {form}".strip()
        return f"{self.number(plain, noun.gender or 'm')} {form}".strip()

    def sum(self, plain: str, currency: Currency, magnitude: str = "") -> str:
        """Say a sum of money.

        Args:
            plain: figures, "." before decimals.
            currency: of the money.
            magnitude: "million" and the like, as it is said.
        """
        if magnitude:
            joint = self.tongue.word("of_money")
            forms = currency.major.forms
            return " ".join(filter(None, [self.number(plain), magnitude, joint, forms[-1]]))
        whole, _, fraction = plain.replace("·", ".").partition(".")
        if len(fraction) == 1 or len(fraction) > 2:
            return self.counted(plain, currency.major)
        major = self.counted(whole, currency.major)
        if not fraction.strip("0"):
            return major
        minor = self.counted(fraction.lstrip("0"), currency.minor)
        if int(whole) == 0:
            return minor
        short = self.number(fraction.lstrip("0"))
        template = self.tongue.templates.get("money", "{major} {minor}")
        return template.format(major=major, minor=minor, short=short)

    def _parts(self, whole: int, fraction: str) -> str:
        unit = Noun.read(self.tongue.word("whole"))
        part = Noun.read(self.tongue.word(_PARTS[len(fraction) - 1]))
        before, after = str(whole), fraction.lstrip("0") or "0"
        return f"{self.counted(before, unit)} {self.counted(after, part)}"


def number_pattern(tongue: Tongue) -> str:
    """Return an expression for a number as a language writes it; atomic, so that sums are linear."""
    grouped = "|".join(
        rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?!\d)"
        for mark in dict.fromkeys((*tongue.groups, *SPACES, "'", "’"))
    )
    decimal = re.escape(tongue.decimal)
    other = "." if tongue.decimal == "," else ","
    foreign = rf"|\d+{re.escape(other)}\d+" if other == "." else ""
    return rf"(?>(?:{grouped}|\d+)(?:{decimal}\d+)?(?!\d)(?!{re.escape(other)}\d){foreign}|\d+)"

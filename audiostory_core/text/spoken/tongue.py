"""What one language says for figures, signs, units, money, times and dates, as data.

Each language is a file in `languages/`, by its primary subtag; `others.toml` holds the languages of
which only numbers and times are known. Fields that a file leaves out have the defaults below.

A counted noun is written "kilometer|kilometers": the forms for one and for more, in Slavic
languages for one, a few and many. ":m", ":f" or ":n" after it is its gender.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Noun:
    """What is counted."""

    forms: tuple[str, ...]
    gender: str  # "m", "f", "n", or "" where numbers have no gender

    @classmethod
    def read(cls, written: str) -> "Noun":
        """Read a noun as it stands in the files."""
        forms, _, gender = written.partition(":")
        return cls(tuple(forms.split("|")), gender)


@dataclass(frozen=True)
class Currency:
    """Money: its unit and the hundredth of it."""

    major: Noun
    minor: Noun


@dataclass(frozen=True)
class Tongue:
    """What a language says."""

    language: str  # primary subtag
    decimal: str = "."
    groups: str = ","  # between thousands, beside spaces that do not break
    plural: str = "one"  # the rule of `plural_form`
    decimals: str = "digits"  # how digits after the point are read: digits, number or parts
    date_order: str = "dmy"
    words: Mapping[str, str] = field(default_factory=dict)  # by key, such as point, minus, to
    signs: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Noun] = field(default_factory=dict)
    money: Mapping[str, Currency] = field(default_factory=dict)
    magnitudes: Mapping[str, str] = field(default_factory=dict)  # after a sum: "million", "k"
    fractions: Mapping[str, str] = field(default_factory=dict)  # such as "1/2"
    templates: Mapping[str, str] = field(default_factory=dict)  # of times, dates, money, kings
    months: tuple[str, ...] = ()
    ordinal_suffixes: Mapping[str, str] = field(default_factory=dict)  # to a form of `ordinal`
    ordinals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by form, from the first
    ordinal_before: tuple[str, ...] = ()  # words after "3." that make it an ordinal
    year_nouns: Mapping[str, str] = field(default_factory=dict)  # after a year, to its ordinal
    feminine_endings: tuple[str, ...] = ()  # of the word after 1 and 2
    abbreviations: Mapping[str, str] = field(default_factory=dict)  # that end no sentence
    final: Mapping[str, str] = field(default_factory=dict)  # abbreviations that may end one
    before_names: Mapping[str, str] = field(default_factory=dict)
    after_names: Mapping[str, str] = field(default_factory=dict)
    before_figures: Mapping[str, str] = field(default_factory=dict)
    heads: tuple[str, ...] = ()  # words that a Roman numeral counts: chapter, act
    crowned: tuple[str, ...] = ()  # words before the name of who has a number: king, pope
    ages: tuple[str, ...] = ()  # words after a Roman numeral that is an ordinal: century

    def word(self, key: str) -> str:
        """Return what a key says, "" where the language says nothing."""
        return self.words.get(key, "")

    def form(self, noun: Noun, number: str) -> str:
        """Return the noun as it stands after a number in figures, with a point where it has one."""
        forms = noun.forms
        return forms[min(plural_form(self.plural, number), len(forms) - 1)]


def plural_form(rule: str, number: str) -> int:
    """Return which form of a noun goes with a number.

    Args:
        rule: "one" (1 alone is singular), "below two" (French), "russian", "polish" or "none".
        number: in figures, "." before its decimals.
    """
    whole, _, fraction = number.replace("·", ".").partition(".")
    last, last_two = int(whole[-1:] or 0), int(whole[-2:] or 0)
    if rule == "none":
        return 0
    if rule == "below two":
        return int(int(whole) >= 2)
    if rule == "one":
        return int(fraction != "" or int(whole) != 1)
    if fraction:
        return 1
    is_one = last == 1 and last_two != 11 if rule == "russian" else int(whole) == 1
    if is_one:
        return 0
    return 1 if 2 <= last <= 4 and not 12 <= last_two <= 14 else 2


@lru_cache(maxsize=64)
def tongue_of(language: str) -> Tongue | None:
    """Return what is known of a language, None if nothing is.

    Args:
        language: primary subtag.
    """
    folder = files("audiostory_core.text.spoken") / "languages"
    own = folder / f"{language}.toml"
    if own.is_file():
        content = tomllib.loads(own.read_text(encoding="utf-8"))
    else:
        others = _others()
        if language not in others:
            return None
        content = others[language]
    return _read(language, content)


@lru_cache(maxsize=1)
def _others() -> Mapping[str, Any]:
    path = files("audiostory_core.text.spoken") / "languages/others.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _read(language: str, content: Mapping[str, Any]) -> Tongue:
    fields = dict(content)
    fields["units"] = {
        symbol: Noun.read(written) for symbol, written in content.get("units", {}).items()
    }
    fields["money"] = {
        symbol: Currency(*map(Noun.read, pair)) for symbol, pair in content.get("money", {}).items()
    }
    fields["ordinals"] = {
        form: tuple(listed) for form, listed in content.get("ordinals", {}).items()
    }
    for name in ("months", "ordinal_before", "feminine_endings", "heads", "crowned", "ages"):
        fields[name] = tuple(content.get(name, ()))
    return Tongue(language=language, **fields)

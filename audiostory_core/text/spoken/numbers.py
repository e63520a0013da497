"""Numbers in words, by the rules of the Unicode CLDR (package unicode-rbnf)."""

from functools import lru_cache

from unicode_rbnf import RbnfEngine

LONGEST = 15  # digits that are read as one number; the rules calculate with floats
NAMES = {"cmn": "zh", "nb": "no", "nn": "no", "iw": "he", "in": "id"}  # CLDR's, by our tag
# Rules whose names are other than "cardinal-masculine" and the like, best first.
CARDINALS = {
    "m": ("cardinal-masculine", "cardinal-common", "cardinal-reale", "numbering"),
    "f": ("cardinal-feminine", "cardinal-common", "cardinal-reale", "numbering"),
    "n": ("cardinal-neuter", "cardinal-masculine", "numbering"),
    "": ("numbering",),
}
ORDINALS = {
    "m": ("ordinal-masculine", "ordinal-common", "ordinal-reale", "ordinal"),
    "f": ("ordinal-feminine", "ordinal-common", "ordinal-reale", "ordinal"),
    "n": ("ordinal-neuter", "ordinal-masculine", "ordinal"),
    "gen": ("ordinal-masculine-genitive",),
    "loc": ("ordinal-masculine-locative",),
    "nf": ("ordinal-feminine",),
    "-r": ("ordinal-r",),
    "-n": ("ordinal-n",),
    "": ("ordinal", "ordinal-masculine", "ordinal-common", "ordinal-reale"),
}


@lru_cache(maxsize=32)
def _engine(language: str) -> RbnfEngine | None:
    name = NAMES.get(language, language)
    return RbnfEngine.for_language(name) if name in _supported() else None


@lru_cache(maxsize=1)
def _supported() -> frozenset[str]:
    return frozenset(RbnfEngine.get_supported_languages())


def can_spell(language: str) -> bool:
    """Tell whether there are rules for a language.

    Args:
        language: primary subtag.
    """
    return _engine(language) is not None


def cardinal(number: int, language: str, gender: str = "") -> str:
    """Return a whole number from 0 to 10**LONGEST - 1 in words.

    Args:
        number: to spell.
        language: primary subtag of one that `can_spell`.
        gender: "m", "f" or "n" of what is counted; "" where nothing is, as in "room one".
    """
    return _spelled(number, language, CARDINALS[gender])


def year(number: int, language: str) -> str:
    """Return a year in words."""
    rules = ("numbering",) if language == "fr" else ("numbering-year", "numbering")
    return _spelled(number, language, rules)  # "dix-neuf cent" is old-fashioned


def ordinal(number: int, language: str, form: str = "") -> str | None:
    """Return which one it is, in words; None where the rules know no such form."""
    return _spelled_or_none(number, language, ORDINALS[form])


def digits(figures: str, language: str) -> list[str]:
    """Return every digit in words."""
    return [cardinal(int(digit), language) for digit in figures]


def _spelled(number: int, language: str, rules: tuple[str, ...]) -> str:
    spelled = _spelled_or_none(number, language, rules)
    if spelled is None:
        raise ValueError(f"no rules for {number} in {language}")
    return spelled


@lru_cache(maxsize=1 << 14)
def _spelled_or_none(number: int, language: str, rules: tuple[str, ...]) -> str | None:
    engine = _engine(language)
    if engine is None:
        return None
    for rule in rules:
        name = f"spellout-{rule}"
        if name in engine.rulesets:
            return engine.format_number(number, ruleset_names=[name]).text
    return None

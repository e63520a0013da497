"""Which language a text is in, by its script and then by its letters."""

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from audiostory_core.errors import BadInput

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"

_THRESHOLD = 0.4  # of the probability below which nothing is sure
_WEIGHT = 8.0  # of words that are known, against letters
_MOST_CHARACTERS = 4000  # enough to know a language by
_LEAST_WORDS = 3  # that are left without names, or without quotes
_LEAST_AROUND_QUOTES = 6
_SCRIPTS = {  # letters that only one language of today is commonly written in
    "ko": "\uac00-\ud7a3\u1100-\u11ff",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u0590-\u05ff",
    "th": "\u0e00-\u0e7f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "gu": "\u0a80-\u0aff",
    "pa": "\u0a00-\u0a7f",
    "bn": "\u0980-\u09ff",
    "si": "\u0d80-\u0dff",
    "km": "\u1780-\u17ff",
    "my": "\u1000-\u109f",
    "lo": "\u0e80-\u0eff",
}
_ONLY = tuple((code, re.compile(f"[{letters}]")) for code, letters in _SCRIPTS.items())
_SHARED = (  # scripts of several languages, and the languages that are told apart
    (re.compile("[\u0400-\u04ff]"), "be bg kk mk mn ru sr uk"),
    (re.compile("[\u0600-\u06ff]"), "ar fa ur"),
    (re.compile("[\u0900-\u097f]"), "hi mr ne"),
)
_LATIN_LANGUAGES = (
    "af ca cs cy da de en es et eu fi fr ga hr hu id is it lt lv ms nl no pl pt ro sk sl sq sr "
    "sv sw tl tr vi"
)
_SAME = {"ms": "id", "sr": "hr"}  # in Latin letters too alike to be told apart in a few words
_TELLING = {"it": re.compile(r"\bè\b", re.IGNORECASE)}  # words that make sure of the likeliest
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_QUOTED = re.compile(r"[\"“„«][^\"“”„«»\n]*[\"”“»]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_CAPITALS = re.compile(r"[^\W\d_a-z]{2,}")
_NAME = re.compile(r"[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁ][^\WA-Z]")
_WITHIN = re.compile(r"(?<=[^\W_]|[,;])[ \t]+(?=[^\W\d_])")  # before a word within a sentence


def by_script(text: str) -> str | None:
    """Return the language of a text whose script tells it; None if its letters are shared."""
    sample = text[:_MOST_CHARACTERS]
    latin, han, kana = (len(letters.findall(sample)) for letters in (_LATIN, _HAN, _KANA))
    if 3 * (han + kana) > latin:
        return "ja" if 10 * kana > han + kana else "zh"
    counts = {code: len(letters.findall(sample)) for code, letters in _ONLY}
    best = max(counts, key=lambda code: counts[code])
    return best if counts[best] > latin else None


def by_letters(text: str, shares: Mapping[str, float]) -> str:
    """Return the likeliest language of a text, or `UNKNOWN` where none is likely.

    What is quoted and what looks like a name says little about the language that tells of it.

    Args:
        text: in a script that several languages share.
        shares: of its words, that lists of some languages know.
    """
    sample = common_words(text)
    latin = len(_LATIN.findall(sample))
    for letters, languages in _SHARED:
        if len(letters.findall(sample)) > latin:
            return _likeliest(sample, languages, {}, {})
    return _likeliest(sample, _LATIN_LANGUAGES, _SAME, shares) if latin else UNKNOWN


def common_words(text: str) -> str:
    """Return the opening of a text without quotes and names, where enough is left."""
    sample = text[:_MOST_CHARACTERS]
    around = _QUOTED.sub(" ", sample)
    if len(_WORD.findall(around)) >= _LEAST_AROUND_QUOTES:
        sample = around
    unnamed = " ".join(
        word for at, word in enumerate(_WITHIN.split(sample)) if at == 0 or not _is_name(word)
    )
    sample = unnamed if len(_WORD.findall(unnamed)) >= _LEAST_WORDS else sample
    return _CAPITALS.sub(lambda word: word[0].lower(), sample)


def _is_name(rest: str) -> bool:
    """Say whether what stands after a space within a sentence is capitalized; not: in capitals."""
    return bool(_NAME.match(rest))


def _likeliest(
    sample: str, languages: str, same: Mapping[str, str], shares: Mapping[str, float]
) -> str:
    known = set(languages.split())
    odds: dict[str, float] = {}
    for code, likelihood in _model().rank(sample):
        if code in known:
            name = same.get(code, code)
            weighed = likelihood * (1 + _WEIGHT * shares.get(name, 0.0))
            odds[name] = odds.get(name, 0.0) + weighed
    whole = math.fsum(odds.values())
    best = max(odds, key=lambda code: odds[code])
    telling = _TELLING.get(best)
    if telling is not None and telling.search(sample):
        return best
    return best if whole > 0 and odds[best] >= _THRESHOLD * whole else UNKNOWN


@cache
def _model() -> "LanguageIdentifier":
    # Half a second, which a text of a script or of words that are known does without.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - see above

    try:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:  # it unpacks itself to a temporary file
        problem = f"cannot be told from the text: {error.strerror or error}"
        remedy = "Say which it is (such as en), or make room in the folder for temporary files."
        raise BadInput("language", None, problem, remedy) from error

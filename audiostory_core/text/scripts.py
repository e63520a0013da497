"""Which languages are written in which script."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

# Unicode script name → the languages written in it; the first is assumed of unknown languages.
LANGUAGES_BY_SCRIPT = {
    "LATIN": ("en",),
    "CYRILLIC": (
        *("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "tt", "ba", "cv", "nog", "bs"),
        *("mn", "tg", "uz", "az", "tk"),
    ),
    "CJK": ("cmn", "zh", "ja", "yue", "hak"),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "HANGUL": ("ko",),
    "GREEK": ("el", "grc"),
    "ARABIC": ("ar", "fa", "ur", "ug", "sd", "ku", "ks", "ps"),
    "HEBREW": ("he", "iw", "yi"),
    "DEVANAGARI": ("hi", "mr", "ne", "kok", "sa"),
    "BENGALI": ("bn", "as", "bpy"),
    "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",),
    "ORIYA": ("or",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "KANNADA": ("kn",),
    "MALAYALAM": ("ml",),
    "SINHALA": ("si",),
    "THAI": ("th",),
    "MYANMAR": ("my", "shn"),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy", "hyw"),
    "ETHIOPIC": ("am", "ti"),
    "CHEROKEE": ("chr",),
}
UNKNOWN = "und"
_UNITS = re.compile(r"(?<=\d)\s?[A-Za-z°℃]{1,3}(?:/[hs])?(?![^\W_])")  # are of any language


@lru_cache(maxsize=1 << 14)
def script_of(character: str) -> str | None:
    """Return the script of a letter, None of other characters and of scripts not listed."""
    if not character.isalpha() or character == "ー":
        return None
    name = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    first = name.split(" ")[0].split("-")[0]
    return first if first in LANGUAGES_BY_SCRIPT else None


def tag_of(language: str) -> str:
    """Return a BCP 47 tag in lower case with hyphens."""
    return language.lower().replace("_", "-")


def language_for(script: str, language: str, *, is_kana_written: bool) -> str:
    """Return which language words in a script are in, in a text of some language.

    Args:
        script: of the words, as `script_of` names it.
        language: BCP 47 tag of the text, in lower case.
        is_kana_written: whether kana are in the text, so that its kanji are Japanese.
    """
    primary = language.split("-")[0]
    users = LANGUAGES_BY_SCRIPT[script]
    if script == "CJK" and is_kana_written:
        return "ja"
    is_unlisted = all(primary not in others for others in LANGUAGES_BY_SCRIPT.values())
    if primary in users or (script == "LATIN" and is_unlisted and primary != UNKNOWN):
        return language
    return users[0]


def language_of_words(words: str, language: str) -> str:
    """Return the language that most letters of the words are in; without letters the text's own.

    Args:
        words: any text.
        language: BCP 47 tag of the text that they are in.
    """
    counts = Counter(_UNITS.sub("", words))
    scripts: Counter[str] = Counter()
    for character, count in counts.items():
        script = script_of(character)
        if script is not None:
            scripts[script] += count
    if not scripts:
        return language
    is_kana_written = "HIRAGANA" in scripts or "KATAKANA" in scripts
    languages: Counter[str] = Counter()
    for script, count in scripts.items():
        languages[language_for(script, language, is_kana_written=is_kana_written)] += count
    if languages[language]:  # a foreign word more or less does not change who counts
        return language
    return languages.most_common(1)[0][0]

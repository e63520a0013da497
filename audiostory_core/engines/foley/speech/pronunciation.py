"""What espeak-ng is given to read: words without decoration, by script, Japanese as kana."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.speech.kana import Reader

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
# Tags that espeak-ng knows by another name.
VOICES_BY_TAG = {
    "en": "en-us",
    "zh": "cmn",
    "zh-hk": "yue",
    "zh-mo": "yue",
    "zh-yue": "yue",
    "no": "nb",
    "nn": "nb",
    "iw": "he",
    "in": "id",
    "es-mx": "es-419",
}

_NOT_SPOKEN = re.compile(r"[*_#~^|<>\[\]{}\\/=]+")
_REPEATED_MARKS = re.compile(r"([!?.,;:…。！？、，-])[!?.,;:…。！？、，-]+")


@dataclass(frozen=True)
class Run:
    """A stretch of words in one script."""

    text: str
    voices: tuple[str, ...]  # espeak-ng's tags, best first


class Pronunciation:
    """Prepares words; loads the Japanese dictionary when the first Japanese line comes."""

    def __init__(self) -> None:
        self._japanese: Reader | None = None

    def runs(self, words: str, language: str) -> list[Run]:
        """Return what is to be read, in order; nothing if nothing can be read.

        Args:
            words: any text.
            language: BCP 47 tag of the story, `und` if unknown.
        """
        text = _without_decoration(words)
        if not any(character.isalnum() for character in text):
            return []
        runs = []
        checkpoint()
        for language_of_run, stretch in _by_language(text, language.lower().replace("_", "-")):
            checkpoint()
            is_japanese = language_of_run.split("-")[0] == "ja"
            read = self._kana(stretch) if is_japanese else stretch
            runs.append(Run(read.strip(), _voices(language_of_run)))
        return [run for run in runs if run.text]

    def _kana(self, text: str) -> str:
        if self._japanese is None:
            self._japanese = Reader()
        return self._japanese.read(text)


def _without_decoration(words: str) -> str:
    """Drop what would be read by its name: emoji, markup, box drawing, control characters."""
    kept = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk") else c
        for c in unicodedata.normalize("NFC", words).replace("\u200d", "").replace("\ufe0f", "")
    )
    kept = _REPEATED_MARKS.sub(r"\1 ", _NOT_SPOKEN.sub(" ", kept))
    return " ".join(kept.split())


def _by_language(text: str, language: str) -> Iterator[tuple[str, str]]:
    """Split where the script changes; what has no script stays with the words before it."""
    primary = language.split("-")[0]
    is_kana_written = any(_script(c) in ("HIRAGANA", "KATAKANA") for c in text)

    is_unlisted = all(primary not in others for others in LANGUAGES_BY_SCRIPT.values())

    def language_of(script: str) -> str:
        users = LANGUAGES_BY_SCRIPT[script]
        if script == "CJK" and is_kana_written:
            return "ja"
        if primary in users or (script == "LATIN" and is_unlisted and primary != "und"):
            return language
        return users[0]

    current = next((s for c in text if (s := _script(c)) is not None), "LATIN")
    marked = []
    for character in text:
        current = _script(character) or current
        marked.append((language_of(current), character))
    for tag, group in groupby(marked, key=lambda pair: pair[0]):
        yield tag, "".join(character for _, character in group)


def _script(character: str) -> str | None:
    if not character.isalpha() or character == "ー":
        return None
    name = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    first = name.split(" ")[0].split("-")[0]
    return first if first in LANGUAGES_BY_SCRIPT else None


def _voices(tag: str) -> tuple[str, ...]:
    subtags = tag.split("-")
    shorter = ["-".join(subtags[:count]) for count in range(len(subtags), 0, -1)]
    return tuple(VOICES_BY_TAG.get(candidate, candidate) for candidate in shorter)

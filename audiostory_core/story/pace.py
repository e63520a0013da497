"""How long words take to say, from the syllables of their spoken form."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from audiostory_core.text.detection import UNKNOWN
from audiostory_core.text.spoken.form import spoken_form

__all__ = ["RATE_WPM", "SLOW", "UNKNOWN", "seconds_to_say"]

RATE_WPM = 160  # of the voice that `pace.toml` was measured with
SLOW = 1.15  # what an old voice takes, where nobody knows yet who speaks
_STRETCH = 0.95  # pauses shorten less than words: length is rate ** -0.95, within 1 %
_TIMBRE = 1.01  # of the other voices, against the narrator's

_VOWELS = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿāēīōūăąęőűœıаеёиоуыэюяіїєъαεηιουωάέήίόύώϊϋ"
_SYLLABLE = re.compile(f"[{_VOWELS}]+")
_VOWEL = re.compile(f"[{_VOWELS}]")
_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+")
_SPELLED = re.compile(r"(?<![^\W_])(?:[BCDFGHJKLMNPQRSTVWXZ]{2,5}|[A-Z]{2,3})(?![^\W_])")
_STOP = re.compile(r"[.!?…。！？]+[\"”»」』)]*(?=\s*\S)")
_COMMA = re.compile(r"[,;:，、；：()（）](?!\d)|\s[–—-]\s")
_HAN, _KANA, _HANGUL = (
    re.compile(f"[{letters}]") for letters in ("\u3400-\u9fff", "\u3041-\u30ff", "\uac00-\ud7a3")
)
_DIGIT = re.compile(r"\d")
_FIGURES = re.compile(r"[\d%‰°$€£¥&]")
_FIRST_HANGUL, _FINALS = 0xAC00, 28

Costs = Mapping[str, float]  # seconds, by the names of pace.toml


def seconds_to_say(words: str, language: str = UNKNOWN, rate: float = 1.0) -> float:
    """Return about how long foley's voices take to say the words, without a pause after them.

    Args:
        words: as the author wrote them; figures take as long as they do in words.
        language: BCP 47 tag; of an unknown one the script tells.
        rate: words a minute of the voice and the manner, as a factor of `RATE_WPM`.
    """
    text = unicodedata.normalize("NFC", words).strip()
    if _FIGURES.search(text):
        text = spoken_form(text, language)
    han, kana, hangul = (letters.findall(text) for letters in (_HAN, _KANA, _HANGUL))
    costs = _costs(_tongue(language, han, kana, hangul))
    counts = _letters(text) | {
        "start": 1,
        "comma": len(_COMMA.findall(text[:-1])),
        "stop": len(_STOP.findall(text)),
        "digit": len(_DIGIT.findall(text)),
        "han": len(han),
        "kana": len(kana),
        "hangul": len(hangul),
        "final": sum((ord(letter) - _FIRST_HANGUL) % _FINALS > 0 for letter in hangul),
    }
    seconds = sum(count * costs[name] for name, count in counts.items())
    return seconds * _TIMBRE * rate**-_STRETCH


def _letters(text: str) -> dict[str, int]:
    spelled = 0
    if not text.isupper():
        spelled = sum(len(letters) for letters in _SPELLED.findall(text))
        text = _SPELLED.sub(" ", text) if spelled else text
    words = _WORD.findall(text.lower())
    joined = " ".join(words)
    syllables, vowels = len(_SYLLABLE.findall(joined)), len(_VOWEL.findall(joined))
    return {
        "letter": spelled,
        "word": len(words),
        "syllable": syllables,
        "vowel": vowels - syllables,
        "consonant": len(joined) - vowels - max(len(words) - 1, 0),
    }


def _tongue(language: str, han: list[str], kana: list[str], hangul: list[str]) -> str:
    """Return the table for a text: a script that is written in one language tells it."""
    primary = language.replace("_", "-").split("-")[0].lower()
    if kana:
        return "ja"
    if hangul:
        return "ko"
    return "zh" if han and primary != "ja" else primary


@cache
def _tables() -> dict[str, dict[str, float]]:
    path = Path(__file__).with_name("pace.toml")
    return tomllib.loads(path.read_text("utf-8"))


@cache
def _costs(tongue: str) -> Costs:
    tables = _tables()
    wide = {"han": tables["zh"]["han"], "kana": tables["ja"]["kana"]}
    korean = {name: tables["ko"][name] for name in ("hangul", "final")}
    return tables["latin"] | wide | korean | tables.get(tongue, {})

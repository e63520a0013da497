"""Words that espeak-ng or the small Japanese dictionary read wrongly, spelled as they sound.

These are mistakes of what speaks here, not of the words; another voice may read them rightly.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
# Sounds that are no words: no letters are spelled.
_INTERJECTION = re.compile(
    r"(?<![\w'’])(?:(?P<s>[Ss][Hh]{1,20}|[Pp]?[Ss]{2,20}[Tt]?|[Pp][Ss]{1,20}[Tt]|SH+)"
    r"|(?P<b>[Bb][Rr]{2,20})|(?P<g>[Gg][Rr]{2,20})|(?P<h>[Hh][Mm]{1,20})|(?P<m>[Mm]{2,20})"
    r"|(?P<p>[Pp][Ff]{1,20}[Tt]?|[Pp][Hh][Ff]{0,20}[Tt])|(?P<t>[Tt][Ss]?[Kk]{1,9})"
    r"|(?P<z>[Zz]{2,20})|(?P<c>[Pp][Cc]?[Hh]?[Tt]{1,5}|[Cc][Hh]{1,9}[Tt])|(?P<f>[Ff]{2,20})|(?P<r>[Rr]{3,20}))"
    r"(?![\w])"
)
_SOUNDS = {
    "s": "ʃː", "b": "bəɹː", "g": "ɡəɹː", "h": "həm", "m": "mː", "p": "pəft", "t": "tsk",
    "z": "zː", "c": "ʃt", "f": "fː", "r": "əɹː",
}  # fmt: skip


def respelled(text: str, language: str) -> str:
    """Return the text with such words spelled as they sound, in IPA between slashes or letters.

    Args:
        text: in its spoken form.
        language: BCP 47 tag, in lower case.
    """
    primary = language.split("-")[0]
    if primary not in ("ja", "zh", "cmn", "ko"):
        text = _INTERJECTION.sub(_sound, text)
    words, pattern = _words(primary) if primary in _LANGUAGES else ({}, None)
    return pattern.sub(lambda match: words[match[0]], text) if pattern else text


_LANGUAGES = frozenset({"ja", "zh", "cmn"})


def _sound(match: re.Match[str]) -> str:
    kind = match.lastgroup
    assert kind is not None
    word = match[0]
    if kind == "s" and word.lower() in ("sst", "psst", "pst", "psss"):
        return "/psːt/" if word[0] in "Pp" else "/sːt/"
    if kind == "s" and set(word.lower()) == {"s"}:
        return "/sː/"
    return f"/{_SOUNDS[kind]}/"


@lru_cache(maxsize=4)
def _words(language: str) -> tuple[Mapping[str, str], re.Pattern[str] | None]:
    path = files("audiostory_core.engines.foley.speech") / "respelled.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    words = content["zh" if language == "cmn" else language]
    return words, re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))

"""Japanese as it sounds: readings in katakana, numbers in words, particles as spoken.

espeak-ng reads kana only; to it, kanji are "Chinese letters".
"""

import re
import unicodedata
from collections.abc import Iterator

from sudachipy import Dictionary, SplitMode

from audiostory_core.text.spoken.japanese import figures_in_kana

# Counters whose dictionary reading is another than after a figure, and everyday readings.
AFTER_FIGURES = {"日": "ニチ", "月": "ガツ", "人": "ニン", "分": "フン", "年": "ネン", "時": "ジ"}
READINGS = {
    "私": "ワタシ",
    "箱": "ハコ",
    "%": "パーセント",
    "&": "アンド",
    "+": "プラス",
    "@": "アット",
}
PARTICLES = {"は": "ワ", "へ": "エ", "を": "オ"}
LONGEST_CHUNK = 10_000  # characters; Sudachi refuses more than 49,149 bytes at a time

ENDINGS = ("助詞", "助動詞")  # a phrase ends after these
NEVER_FIRST = (*ENDINGS, "接尾辞", "補助記号", "空白")  # of a phrase

_KANJI = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_MARKS = str.maketrans({",": "、", ".": "。", "…": "、", ":": "、", ";": "、"})
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_O_BEFORE_U = re.compile(r"(?<=[オコソトノホモヨロゴゾドボポョ])ウ")
_E_BEFORE_I = re.compile(r"(?<=[エケセテネヘメレゲゼデベペ])イ")
_NOT_READ = re.compile(r"[^\u3040-\u30ff、。!?]+")


class Reader:
    """Reads Japanese aloud, into katakana; holds the dictionary."""

    def __init__(self) -> None:
        self._tokenizer = Dictionary(dict="small").tokenizer(mode=SplitMode.C)

    def read(self, text: str) -> str:
        """Return the katakana of a text, its phrases separated by spaces, its clauses by marks."""
        spoken = []
        for chunk in _chunks(unicodedata.normalize("NFKC", text)):
            surface = word_class = ""
            for morpheme in self._tokenizer.tokenize(chunk):
                follows_figures = surface[-1:].isdecimal()
                follows_ending = word_class in ENDINGS
                surface, word_class = morpheme.surface(), morpheme.part_of_speech()[0]
                if follows_ending and word_class not in NEVER_FIRST:
                    spoken.append(" ")
                if follows_figures and surface in AFTER_FIGURES:
                    spoken.append(AFTER_FIGURES[surface])
                else:
                    spoken.append(_reading(surface, morpheme.reading_form(), word_class))
        return " ".join(_NOT_READ.sub(" ", "".join(spoken)).split())

    def unread(self, text: str) -> str:
        """Return the kanji of which no reading is known, in order."""
        if not _has_kanji(text):
            return ""
        readings = (
            morpheme.reading_form()
            for chunk in _chunks(unicodedata.normalize("NFKC", text))
            for morpheme in self._tokenizer.tokenize(chunk)
        )
        return "".join(kanji for reading in readings for kanji in _KANJI.findall(reading))


def _has_kanji(text: str) -> bool:
    return _KANJI.search(text) is not None


def _reading(surface: str, reading: str, word_class: str) -> str:
    if _NUMBER.fullmatch(surface):
        return figures_in_kana(surface)
    if surface in READINGS:
        return READINGS[surface]
    if word_class == "助詞":
        return PARTICLES.get(surface, reading)
    if word_class in ("補助記号", "空白", "記号"):
        return surface.translate(_MARKS)
    if word_class == "動詞":  # its ending ウ is a syllable of its own
        return reading
    return _E_BEFORE_I.sub("ー", _O_BEFORE_U.sub("ー", reading))


def _chunks(text: str) -> Iterator[str]:
    """Split a long text, after a sentence where there is one."""
    while len(text) > LONGEST_CHUNK:
        cut = max(text.rfind(mark, 0, LONGEST_CHUNK) for mark in "。！？!?\n") + 1
        cut = cut or LONGEST_CHUNK
        yield text[:cut]
        text = text[cut:]
    yield text

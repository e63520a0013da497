"""What espeak-ng is given to read: spoken words without decoration, by script, Japanese as kana."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.speech.ipa import mnemonics
from audiostory_core.engines.foley.speech.kana import Reader
from audiostory_core.engines.foley.speech.respelling import respelled
from audiostory_core.text.scripts import UNKNOWN, language_for, script_of, tag_of
from audiostory_core.text.spoken.form import NO_READINGS, spoken_form

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

PLACE = "\ue000"  # of a word in IPA
_IN_IPA = re.compile(r"/([^/]+)/")
_NOT_SPOKEN = re.compile(r"[*_#~^|<>\[\]{}\\/=]+")
_REPEATED_MARKS = re.compile(r"([!?.,;:…。！？、，-])[!?.,;:…。！？、，-]+")


@dataclass(frozen=True)
class Run:
    """A stretch of words in one script."""

    text: str
    voices: tuple[str, ...]  # espeak-ng's tags, best first
    sounds: tuple[Sequence[Sequence[str]], ...] = ()  # at each `PLACE` of the text; see `ipa.py`
    unread: str = ""  # kanji without a known reading


class Pronunciation:
    """Prepares words; loads the Japanese dictionary when the first Japanese line comes."""

    def __init__(self) -> None:
        self._japanese: Reader | None = None

    def runs(
        self, words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS
    ) -> list[Run]:
        """Return what is to be read, in order; nothing if nothing can be read.

        Args:
            words: any text.
            language: BCP 47 tag of the story, `und` if unknown.
            lexicon: readings of the story.
        """
        tag = tag_of(language)
        text, sounds = _with_sounds(respelled(spoken_form(words, language, lexicon), tag))
        if not any(character.isalnum() for character in text) and not sounds:
            return []
        runs = []
        checkpoint()
        for language_of_run, stretch in _by_language(text, tag):
            checkpoint()
            is_japanese = language_of_run.split("-")[0] == "ja"
            read = self._kana(stretch) if is_japanese else stretch
            count = stretch.count(PLACE)
            heard, sounds = sounds[:count], sounds[count:]
            unread = self._reader.unread(stretch) if is_japanese else ""
            runs.append(Run(read.strip(), _voices(language_of_run), tuple(heard), unread))
        return [run for run in runs if run.text or run.unread]

    def _kana(self, text: str) -> str:
        return f" {PLACE} ".join(self._reader.read(part) for part in text.split(PLACE))

    @property
    def _reader(self) -> Reader:
        if self._japanese is None:
            self._japanese = Reader()
        return self._japanese


def _without_decoration(words: str) -> str:
    """Drop what would be read by its name: emoji, markup, box drawing, control characters."""
    kept = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk") else c
        for c in unicodedata.normalize("NFC", words).replace("\u200d", "").replace("\ufe0f", "")
    )
    kept = _REPEATED_MARKS.sub(r"\1 ", _NOT_SPOKEN.sub(" ", kept))
    return " ".join(kept.split())


def _with_sounds(spoken: str) -> tuple[str, list[Sequence[Sequence[str]]]]:
    """Return the words without decoration, a `PLACE` for each in IPA, and what is heard there."""
    pieces = _IN_IPA.split(spoken)
    text = f" {PLACE} ".join(map(_without_decoration, pieces[::2])).strip()
    return text, [mnemonics(word) for word in pieces[1::2]]


def _by_language(text: str, language: str) -> Iterator[tuple[str, str]]:
    """Split where the script changes; what has no script stays with the words before it.

    A text without a letter is in the language of the story, if that is known.
    """
    is_kana_written = any(script_of(c) in ("HIRAGANA", "KATAKANA") for c in text)
    first = next((s for c in text if (s := script_of(c)) is not None), None)
    if first is None:
        yield "en" if language == UNKNOWN else language, text
        return
    current = first
    marked = []
    for character in text:
        current = script_of(character) or current
        tag = language_for(current, language, is_kana_written=is_kana_written)
        marked.append((tag, character))
    for tag, group in groupby(marked, key=lambda pair: pair[0]):
        yield tag, "".join(character for _, character in group)


def _voices(tag: str) -> tuple[str, ...]:
    subtags = tag.split("-")
    shorter = ["-".join(subtags[:count]) for count in range(len(subtags), 0, -1)]
    return tuple(VOICES_BY_TAG.get(candidate, candidate) for candidate in shorter)

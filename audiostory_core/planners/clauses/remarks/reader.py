"""Remarks on a planned story read as edits of its plan.

A remark is one wish or several. Each must account for all of its words, in the story's language,
in English, or in another that the planner reads; else the whole remark is refused and says what
could not be read. Silently doing something else would cost more than a refusal.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from audiostory_core.engines.foley.words.lexicon import shipped
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import CODES, Languages
from audiostory_core.planners.clauses.length import LengthReader
from audiostory_core.planners.clauses.remarks.change_words import ChangeWords
from audiostory_core.planners.clauses.remarks.heard import REMEDY
from audiostory_core.planners.clauses.remarks.scene import SceneRemark
from audiostory_core.planners.clauses.remarks.sounds import SceneSounds
from audiostory_core.planners.clauses.remarks.vocabulary import (
    Vocabulary,
    asked_of,
    vocabulary,
)
from audiostory_core.planners.clauses.remarks.wishes import Names, NotUnderstood
from audiostory_core.planners.clauses.wording import Wording, change_words
from audiostory_core.story.edits import Edit, Voice
from audiostory_core.story.plan import CastMember, SpeechLayer, SubEvent
from audiostory_core.story.wordless import edits_between

_QUOTED = re.compile('["“„«「『].*?(?:["”“»」』]|$)', re.DOTALL)
_HAN_OR_KANA = re.compile("[\u3041-\u30fa\u3400-\u9fff]")
_SIGNED = re.compile(r"(?<![\w\-−–])[-−]\d+")
_MOST_WISHES = 8


class RemarkReader:
    """Reads remarks on single scenes; loads foley's lexicon at the first."""

    def __init__(self, languages: Languages) -> None:
        self._languages = languages
        self._entries = dict(zip(CODES, languages.entries, strict=True))
        self.lengths = LengthReader(languages.entries)
        self._known: dict[str, ChangeWords] = {}

    def vocabulary(self, code: str) -> Vocabulary:
        """Return the words of remarks in a language, one of `CODES`."""
        return vocabulary(code, asked_of(self._entries[code]))

    def opens_silent(self, words: str) -> bool:
        """Tell whether words of any language ask for a silence at the start."""
        readings = (self.vocabulary(code).tagged(words) for code in CODES)
        return any(each.has("silence") and each.has("opens", "at_start") for each in readings)

    def codes(self, language: str, caption: str) -> list[str]:
        """Return the languages to read a remark in, the likeliest first; the caption's is that."""
        code = language.partition("-")[0].lower()
        if code not in self._entries:
            code = self._languages.detect(caption)
        code = code if code in self._entries else "en"
        return list(dict.fromkeys((code, "en", *CODES)))

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event with a change made that concerns nothing else.

        Raises:
            BadInput: if the words ask for nothing that can be changed, or for a voice of the cast.
        """
        remark = self._carried_out(event, change, language, ())
        if remark.voices:
            raise BadInput("change", change, "is about the cast", "Ask it of the story.")
        return remark.sounds.event

    def check_sound(self, phrase: str, language: str, remark: str) -> None:
        """Refuse words for a new scene in which foley knows no sound.

        Raises:
            BadInput: naming them.
        """
        code = self.codes(language, phrase)[0]
        if not self._wording(code).read(phrase).mentions:
            problem = f"names “{phrase}”, which is no sound that foley can make"
            raise BadInput("remark", remark, problem, REMEDY)

    def edits(
        self,
        event: SubEvent,
        number: int,
        change: str,
        language: str,
        cast: tuple[CastMember, ...] = (),
    ) -> list[Edit]:
        """Return the edits that a remark on one sub-event asks for.

        Args:
            event: the sub-event.
            number: of it, from 1.
            change: the remark.
            language: BCP 47 tag of the story.
            cast: of the story.

        Raises:
            BadInput: if it asks for nothing that can be changed, or for what is not there.
        """
        remark = self._carried_out(event, change, language, cast)
        spoken = {layer.speaker for layer in event.layers if isinstance(layer, SpeechLayer)}
        for speaker, _ in remark.voices:
            if speaker not in spoken:
                problem = f"is about the voice of {speaker}, who says nothing in the scene"
                raise BadInput("change", change, problem, REMEDY)
        voices = [
            Voice(speaker=speaker, description=described, sub_event=number)
            for speaker, described in remark.voices
        ]
        edits = [*edits_between(event, remark.sounds.event, number), *voices]
        if not edits:
            raise BadInput("change", change, "asks for what is there already", REMEDY)
        return edits

    def _carried_out(
        self, event: SubEvent, change: str, language: str, cast: tuple[CastMember, ...]
    ) -> SceneRemark:
        words = change.strip()
        if not words:
            raise BadInput("change", change, "is empty", REMEDY)
        check_signs("change", words)
        code, *others = self.codes(language, event.caption)
        problem: NotUnderstood | None = None
        is_latin = not _HAN_OR_KANA.search(words)
        readable = [each for each in others if (each in ("zh", "ja")) != is_latin]
        for change_code in (code, *readable):
            remark = self._remark(event, code, change_code, change, cast)
            try:
                self._read(remark, words)
            except NotUnderstood as error:
                problem = problem or error
            else:
                return remark
        assert problem is not None
        raise problem

    def _remark(
        self,
        event: SubEvent,
        code: str,
        change_code: str,
        change: str,
        cast: tuple[CastMember, ...],
    ) -> SceneRemark:
        words = self.vocabulary(code)
        sounds = SceneSounds(
            event,
            self._languages.named(code),
            self._wording(code),
            self._wording(change_code),
            self._change_words(code),
            self._change_words(change_code),
            change,
        )
        lines = (layer for layer in event.layers if isinstance(layer, SpeechLayer))
        named = [*(line.speaker for line in lines if line.speaker), *(m.name for m in cast)]
        speakers = tuple(sorted(dict.fromkeys(named), key=len, reverse=True))
        names = Names(speakers, dict(words.manner_names), dict(words.voice_names))
        return SceneRemark(sounds, self.vocabulary(change_code), self.lengths, names, change)

    def _change_words(self, code: str) -> ChangeWords:
        if code not in self._known:
            self._known[code] = ChangeWords.of(self._entries[code])
        return self._known[code]

    def _wording(self, code: str) -> Wording:
        words = change_words(self._entries[code])
        hedges = self._change_words(code).hedges
        return Wording(shipped(), self._languages.named(code), words, hedges)

    def _read(self, remark: SceneRemark, words: str, most: int = _MOST_WISHES) -> None:
        """Carry out the words as one wish, or as two or more that are each understood."""
        before, voices = remark.sounds.event, list(remark.voices)
        try:
            remark.carry_out(words)
        except NotUnderstood as error:
            problem = error
        else:
            return
        for first, rest in halves(words, self._entries) if most > 1 else ():
            try:
                remark.carry_out(first)
                self._read(remark, rest, most - 1)
            except NotUnderstood:
                remark.sounds.event, remark.voices = before, list(voices)
            else:
                return
        raise problem


def check_signs(field: str, words: str) -> None:
    """Refuse numbers below 0, of which readers of numbers see no sign.

    Raises:
        BadInput: naming the field.
    """
    match = _SIGNED.search(_QUOTED.sub("", words))
    if match is not None:
        problem = f"has a number with a minus sign (“{match[0]}”)"
        raise BadInput(field, words, problem, 'Say, for example, "2 seconds shorter".')


def halves(words: str, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the two sides of every place where one wish may end and another begin.

    Args:
        words: of the remark.
        entries: the language files, for words such as "and".
    """
    joiners = sorted(
        {word for entry in entries.values() for word in entry.get("joiners", "").split()}
    )
    spaced = "|".join(re.escape(word) for word in joiners if word.isascii() or len(word) > 1)
    boundary = re.compile(
        rf"\s*[,;，、；]\s*(?:(?:{spaced})\s+)?|[.。!！]\s*(?=\S)|\s+(?:{spaced})\s+|并且|而且|并",
        re.IGNORECASE,
    )
    quoted = [match.span() for match in _QUOTED.finditer(words)]
    for match in boundary.finditer(words):
        if any(start < match.end() and match.start() < end for start, end in quoted):
            continue
        first, rest = words[: match.start()].strip(" ,;"), words[match.end() :].strip(" ,;")
        if first and rest:
            yield first, rest

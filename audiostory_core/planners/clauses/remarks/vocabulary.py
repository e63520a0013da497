"""Words of remarks, found in a text: every word that is understood is in a span with its tags."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from audiostory_core.engines.foley.speech.cues import Cues, plain
from audiostory_core.planners.clauses.language import any_phrase
from audiostory_core.planners.clauses.turning import DEGREES

FILLER = "filler"
MANNER, VOICE_WORD = "manner", "described"
_SPEECH = "audiostory_core.engines.foley.speech"
_ELIDED = re.compile(r"\b(qu|[ldjnmtsc])['’](?=\w)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LETTER = re.compile(r"[^\W_]")
_APART = ("slightly", "left", "right", "middle", "louder", "quieter")  # not part of a sound's name
_VOICES = ("female", "male", "child", "old", "robot")


@dataclass(frozen=True)
class Span:
    """Words that mean something; `tags` are all that they may mean."""

    start: int
    end: int
    tags: frozenset[str]
    values: Mapping[str, Any]  # by tag


@dataclass(frozen=True)
class Tagged:
    """A text and its spans, in order; they do not overlap."""

    text: str
    spans: tuple[Span, ...]
    spaced: bool

    def unread(self) -> list[str]:
        """Return the words that are in no span."""
        pattern = _WORD if self.spaced else _LETTER
        return [
            match[0]
            for match in pattern.finditer(self.text)
            if not any(s.start < match.end() and match.start() < s.end for s in self.spans)
        ]

    def content(self) -> list[Span]:
        """Return the spans that are not there for politeness or grammar alone."""
        return [span for span in self.spans if FILLER not in span.tags]

    def has(self, *tags: str) -> bool:
        """Tell whether a span may mean one of the tags."""
        return any(span.tags & set(tags) for span in self.spans)

    def values(self, tag: str) -> list[Any]:
        """Return what the spans of a tag stand for."""
        return [span.values[tag] for span in self.spans if tag in span.values]

    def without(self, spans: Iterable[Span]) -> str:
        """Return the text without some of its spans."""
        text = self.text
        for span in sorted(spans, key=lambda each: -each.start):
            gap = " " if self.spaced else ""
            text = f"{text[: span.start].rstrip()}{gap}{text[span.end :].lstrip()}"
        return text.strip(" ,;:，、；：")


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language."""

    code: str
    spaced: bool
    patterns: tuple[tuple[str, re.Pattern[str]], ...]  # tag, its words
    manners: tuple[tuple[str, Cues], ...]  # name, its words
    voices: tuple[tuple[str, Cues], ...]
    manner_names: Mapping[str, str]  # as a plan in this language has them
    voice_names: Mapping[str, str]
    ordinals: tuple[str, ...]

    def prepared(self, text: str) -> str:
        """Return the text as it is read: elided articles are words of their own."""
        text = text.replace("’", "'")
        return _ELIDED.sub(r"\1 ", text) if self.code == "fr" else text

    def before_side(self, phrase: str) -> int:
        """Return where words for a side or a level begin in a phrase that names a sound; else its end."""
        patterns = dict(self.patterns)
        matches = (patterns[tag].search(phrase) for tag in _APART)
        return min((m.start() for m in matches if m and m.start()), default=len(phrase))

    def tagged(self, text: str, named: Sequence[Span] = ()) -> Tagged:
        """Return the spans of a `prepared` text, the longest first.

        Args:
            text: to be read.
            named: spans of what the story itself has: sounds, speakers, lengths.
        """
        candidates = [*named, *self._spans(text)]
        ends: dict[tuple[int, int], list[Span]] = {}
        for span in candidates:
            ends.setdefault((span.start, span.end), []).append(span)
        taken: list[Span] = []
        for start, end in sorted(ends, key=lambda at: (at[0] - at[1], at[0])):
            if any(span.start < end and start < span.end for span in taken):
                continue
            same = ends[start, end]
            tags = frozenset().union(*(span.tags for span in same))
            if "person" in tags:  # "her line" describes no voice
                tags -= {VOICE_WORD}
            values = {
                tag: value for span in same for tag, value in span.values.items() if tag in tags
            }
            taken.append(Span(start, end, tags, values))
        return Tagged(text, tuple(sorted(taken, key=lambda span: span.start)), self.spaced)

    def _spans(self, text: str) -> Iterable[Span]:
        for tag, pattern in self.patterns:
            for match in pattern.finditer(text):
                yield Span(match.start(), match.end(), frozenset((tag,)), {tag: match[0].lower()})
        compared = plain(text)
        if len(compared) != len(text):  # places would be others
            return
        for tag, entries in ((MANNER, self.manners), (VOICE_WORD, self.voices)):
            for name, cues in entries:
                for start, end in cues.spans(compared):
                    yield Span(start, end, frozenset((tag,)), {tag: name})


@cache
def vocabulary(code: str, asked: tuple[tuple[str, str], ...]) -> Vocabulary:
    """Return the words of a language.

    Args:
        code: of the language, one of `CODES`.
        asked: `[change.asked]` of its language file: dial, words.
    """
    folder = files("audiostory_core.planners.clauses.remarks") / "words"
    table = tomllib.loads((folder / f"{code}.toml").read_text(encoding="utf-8"))
    names = {name: table.pop(name) for name in ("manners", "voices")}
    adjectives: Mapping[str, str] = table.pop("voice_adjectives", {})
    ordinals = tuple(filter(None, table.pop("ordinals").split("|")))
    spaced = code not in ("zh", "ja")
    phrases: dict[str, list[str]] = {}
    for tag, words in (*table.items(), *asked):
        phrases.setdefault(tag, []).extend(words.split("|"))
    patterns = tuple((tag, _phrases(words, spaced=spaced)) for tag, words in phrases.items())
    return Vocabulary(
        code=code,
        spaced=spaced,
        patterns=patterns,
        manners=_cues("manners.toml", code),
        voices=(
            *(each for each in _cues("speakers.toml", code) if each[0] in _VOICES),
            *((name, Cues.of(words.split("|"))) for name, words in adjectives.items()),
        ),
        manner_names=names["manners"],
        voice_names=names["voices"],
        ordinals=ordinals,
    )


def asked_of(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the words for dials in a language file."""
    return tuple(entry["change"]["asked"].items())


def degree_of(tagged: Tagged) -> float:
    """Return how far a dial is to be turned, 1 where it is not said."""
    return next((step for name, step in DEGREES.items() if tagged.has(name)), 1.0)


def _phrases(words: Sequence[str], *, spaced: bool) -> re.Pattern[str]:
    pattern = any_phrase(words, spaced=spaced).pattern
    return re.compile(rf"(?<!\w){pattern}" if spaced else pattern, re.IGNORECASE)


def _cues(file: str, code: str) -> tuple[tuple[str, Cues], ...]:
    tables = tomllib.loads((files(_SPEECH) / file).read_text(encoding="utf-8"))
    return tuple((name, Cues.of(table[code])) for name, table in tables.items() if code in table)

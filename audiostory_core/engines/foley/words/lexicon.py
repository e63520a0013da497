"""The words foley understands, loaded from `lexicon/*.toml`.

What a phrase may be, in the files that list the kinds of sound:

    [rain_on_tin]                              # Kind.name
    en = ["rain on tin roofs", "rain … roof"]  # one list per language: en es fr de zh ja

1.  Phrases and text are compared casefolded and NFKC-normalized, with plain quotes. Hyphens and
    apostrophes separate words: "tick-tock" is "tick tock", "d'eau" is "d eau". Accents count, but
    a text written without any matches too.
2.  Latin-script phrases match whole words, each in any light inflection of the word as written:
    English plurals and -s -ing -ed, Spanish, French and German plurals and common verb endings.
    "door opens" also finds "doors opening". One form is enough; irregular forms ("rang") that
    `inflections.toml` lacks are listed like words. "=word" matches that very form alone.
3.  "…" between words stands for at most two words ("rain … roof"), in Chinese and Japanese for
    at most six characters ("敲…门").
4.  Chinese and Japanese phrases match as substrings.
5.  The longest match wins, leftmost first, spans never overlap; of two equally long the one with
    more words in the very form written, then sounds before places, places before rule 7. List a longer phrase to take a
    word away from another kind ("fire truck" is not `fire`).
6.  A text's own language is tried first; English only where that finds nothing and English covers
    half the text (and for Latin words inside Chinese and Japanese). In a text of unknown language
    the best fitting one is used.
7.  "-phrase" is a negative entry: its words belong to no sound ("-fire drill"). The table
    `[silent]`, allowed in every file, lists such words without a kind.
8.  Do not list articles in front ("a dog"), counts, or words for distance, motion, loudness, pace,
    size and room: those are found around the match. Do not list bare verbs that many things do
    (hums, sounds, starts, rings, passes).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Self

from audiostory_core.engines.foley.sound import Mention, Shape
from audiostory_core.engines.foley.words.inflection import (
    Inflection,
    Word,
    determiners,
    fold,
    split_words,
    without_determiners,
)
from audiostory_core.engines.foley.words.phrases import Match, PhraseTable, find_phrases
from audiostory_core.engines.foley.words.reading import (
    Grammar,
    Heard,
    Modifier,
    Place,
    Reading,
    Role,
    Room,
    TextMatches,
    put_together,
)
from audiostory_core.text.absence import Denial, blank, find_denials
from audiostory_core.text.scenery import is_scenery

LANGUAGES = ("en", "es", "fr", "de", "zh", "ja")

_DATA = "audiostory_core.engines.foley"
_SOUND_FILES = ("nature.toml", "machines.toml", "people.toml", "music.toml", "silence.toml")
_PRECEDENCE: tuple[Role, ...] = ("kind", "place", "silence")
_SILENCE = "silence"
_SILENT = "silent"
_CONTENT = re.compile(r"[^\W\d_]{4,}|[\u3040-\u30ff\u3400-\u9fff]{2,}")  # not "and there is"
_HEADING = re.compile(r"^\s*(INT|EXT)\b", re.MULTILINE)

Phrases = Mapping[str, Mapping[str, list[str]]]  # name → language → phrases


class Lexicon:
    """Reads texts. Tables are built for a language when it is first needed.

    Args:
        kinds: phrases of each kind of sound, and of `silence` and `silent`.
        implied: phrases that mean a kind only in a text which names no sound.
        places: phrases of each place, with `room` and `beds`.
        modifiers: the contents of modifiers.toml.
        absent: the contents of absent.toml.
        irregular: language → lemma → irregular forms.

    Raises:
        ValueError: if a table has a language that foley does not read.
    """

    def __init__(
        self,
        kinds: Phrases,
        *,
        implied: Phrases | None = None,
        places: Mapping[str, Mapping[str, Any]] | None = None,
        modifiers: Mapping[str, Any] | None = None,
        absent: Mapping[str, Any] | None = None,
        irregular: Mapping[str, Mapping[str, list[str]]] | None = None,
    ) -> None:
        self._kinds = kinds
        self._implied = implied or {}
        self._place_phrases = {
            name: {key: value for key, value in place.items() if key not in ("room", "beds")}
            for name, place in (places or {}).items()
        }
        self._places = {
            name: Place(place.get("room"), place.get("beds", {}))
            for name, place in (places or {}).items()
        }
        self._modifiers = modifiers or {}
        self._irregular = irregular or {}
        self._absent = absent or {}
        self._readers: dict[str, _Reader] = {}
        for table in (self._kinds, self._implied, self._place_phrases):
            _check_languages(table)

    @classmethod
    def load(cls) -> Self:
        """Return the lexicon that foley ships."""
        folder = files(_DATA) / "lexicon"
        kinds: dict[str, dict[str, list[str]]] = {}
        for name in _SOUND_FILES:
            for kind, phrases in _read(folder / name).items():
                listed = kinds.setdefault(kind, {})
                for language, more in phrases.items():
                    listed[language] = [*listed.get(language, []), *more]
        return cls(
            kinds,
            implied=_read(folder / "implied.toml"),
            places=_read(folder / "places.toml"),
            modifiers=_read(folder / "modifiers.toml"),
            absent=_read(folder / "absent.toml"),
            irregular=_read(folder / "inflections.toml"),
        )

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind of sound that a reading may mention."""
        beds = {kind for place in self._places.values() for kind in place.beds}
        named = self._kinds.keys() | self._implied.keys()
        return frozenset(named | beds) - {_SILENCE, _SILENT}

    def read(self, text: str, language: str) -> Reading:
        """Return what can be heard in a text, and what it says is not.

        Args:
            text: any length, any script.
            language: BCP 47 tag; where foley does not read it, the best fitting language is used.
        """
        denials = find_denials(text, language)
        if not denials:
            reading = self._heard_in(text, language)
            if reading.unmatched and is_scenery(text, language):
                return replace(reading, unmatched=(), is_scenery=True)
            return reading
        rest = blank(text, [(d.start, d.end) for d in denials])
        reading = self._heard_in(rest, language)
        denied = [mention for d in denials for mention in self._denied(text, d, language)]
        absent = {mention.kind for mention in denied}
        is_told = bool(reading.unmatched) and bool(_CONTENT.search(rest))
        is_scene = is_told and is_scenery(rest, language)
        return replace(
            reading,
            ambience=tuple(bed for bed in reading.ambience if bed.kind not in absent),
            denied=tuple(denied),
            absences=tuple(text[d.start : d.end] for d in denials),
            unmatched=reading.unmatched if is_told and not is_scene else (),
            is_scenery=is_scene,
        )

    def _denied(self, text: str, denial: Denial, language: str) -> Iterator[Mention]:
        """Yield every kind of sound that a denial names, and those that go with them."""
        start, end = denial.words
        named = self._heard_in(text[start:end], language)
        mentions = [*named.mentions, *self._grouped(text[start:end], language)]
        going_along: Mapping[str, Sequence[str]] = self._absent.get("with", {})
        for mention in mentions:
            for kind in (mention.kind, *going_along.get(mention.kind, ())):
                at = replace(mention, kind=kind, start=start, end=end)
                yield replace(at, shape=Shape(), text=text[start:end].strip())

    def _grouped(self, words: str, language: str) -> Iterator[Mention]:
        primary = language.partition("-")[0].lower()
        texts = {word.text for word in split_words(words)}
        for group in self._absent.get("group", ()):
            phrases = [fold(phrase) for phrase in group.get(primary, ())]
            is_spaced = primary not in ("zh", "ja")
            if any(p in texts if is_spaced else p in words for p in phrases):
                yield from (Mention(kind, words, 0, len(words)) for kind in group["kinds"])

    def _heard_in(self, text: str, language: str) -> Reading:
        primary = language.partition("-")[0].lower()
        if primary in LANGUAGES:
            reading = self._reader(primary).read(text)
            if reading.unmatched and primary != "en":
                english = self._reader("en").read(text)
                covers = 2 * _understood(english) >= len("".join(text.split()))
                return english if covers else reading
            return reading
        readings = [self._reader(tag).read(text) for tag in LANGUAGES]
        return max(readings, key=_understood)

    def _reader(self, language: str) -> "_Reader":
        if language not in self._readers:
            self._readers[language] = self._make_reader(language)
        return self._readers[language]

    def _make_reader(self, language: str) -> "_Reader":
        languages = (language, "en") if language in ("zh", "ja") else (language,)
        heard, implied, modifiers = [], [], []
        for tag in languages:
            inflection = Inflection(tag, self._irregular.get(tag, {}))
            heard.append(PhraseTable(tag, inflection, self._heard(tag)))
            entries = _phrases_of(self._implied, tag, "kind")
            implied.append(PhraseTable(tag, inflection, entries))
            modifiers.append(PhraseTable(tag, inflection, self._shaping(tag)))
        return _Reader(
            determiners(languages),
            heard,
            implied,
            modifiers,
            self._grammar(languages),
            self._places,
            frozenset(self._modifiers.get("movers", ())),
        )

    def _heard(self, language: str) -> Iterator[tuple[str, Heard | None]]:
        entries = [
            *_phrases_of(self._kinds, language, "kind"),
            *_phrases_of(self._place_phrases, language, "place"),
        ]
        return iter(sorted(entries, key=_precedence))

    def _shaping(self, language: str) -> Iterator[tuple[str, Modifier | None]]:
        for entry in self._modifiers.get("modifier", ()):
            values = {key: value for key, value in entry.items() if key not in LANGUAGES}
            for phrase in entry.get(language, ()):
                yield phrase, Modifier(**values)
        for phrase in self._modifiers.get("plain", {}).get(language, ()):
            yield phrase, None

    def _grammar(self, languages: tuple[str, ...]) -> Grammar:
        numbers: dict[str, int] = {}
        junctions: set[str] = set()
        continuations: set[str] = set()
        for language in languages:
            junctions |= set(self._modifiers.get("junctions", {}).get(language, ()))
            continuations |= set(self._modifiers.get("continuations", {}).get(language, ()))
            for word, number in self._modifiers.get("numbers", {}).get(language, {}).items():
                numbers.setdefault(fold(word), number)
        romance = languages[0] in ("es", "fr")
        return Grammar(
            junctions=frozenset(junctions),
            continuations=frozenset(junctions | continuations),
            numbers=numbers,
            adjectives="previous" if romance else "next",
        )


@cache
def shipped() -> Lexicon:
    """Return the lexicon that foley ships, one for planner and engine: its tables take a while."""
    return Lexicon.load()


class _Reader:
    """Reads texts of one language."""

    def __init__(
        self,
        skipped: frozenset[str],
        heard: list[PhraseTable[Heard]],
        implied: list[PhraseTable[Heard]],
        modifiers: list[PhraseTable[Modifier]],
        grammar: Grammar,
        places: Mapping[str, Place],
        movers: frozenset[str],
    ) -> None:
        self._skipped = skipped
        self._heard = heard
        self._implied = implied
        self._modifiers = modifiers
        self._grammar = grammar
        self._places = places
        self._movers = movers

    def read(self, text: str) -> Reading:
        words = without_determiners(split_words(text), self._skipped)
        heard = find_phrases(words, self._heard)
        reading = self._put_together(text, words, heard)
        if reading.mentions or reading.silences:
            return reading
        if reading.carried.motion is not None and words[0].text in self._grammar.continuations:
            return reading
        implied = find_phrases(words, self._implied)
        if not implied:
            return reading
        both = sorted([*heard, *implied], key=lambda match: match.first)
        return self._put_together(text, words, both)

    def _put_together(self, text: str, words: list[Word], heard: list[Match[Heard]]) -> Reading:
        return put_together(
            TextMatches(
                text=text,
                words=words,
                heard=heard,
                modifiers=find_phrases(words, self._modifiers),
                grammar=self._grammar,
                places=self._places,
                movers=self._movers,
                heading_room=_heading_room(text),
            )
        )


def _heading_room(text: str) -> Room | None:
    heading = _HEADING.search(text)
    if heading is None:
        return None
    return "room" if heading.group(1) == "INT" else "outdoor"


def _phrases_of(table: Phrases, language: str, role: Role) -> Iterator[tuple[str, Heard | None]]:
    for name, phrases in table.items():
        heard = Heard("silence" if name == _SILENCE else role, name)
        for phrase in phrases.get(language, ()):
            is_negative = name == _SILENT or phrase.startswith("-")
            yield phrase.removeprefix("-"), None if is_negative else heard


def _precedence(entry: tuple[str, Heard | None]) -> int:
    heard = entry[1]
    return len(_PRECEDENCE) if heard is None else _PRECEDENCE.index(heard.role)


def _check_languages(table: Phrases) -> None:
    for name, phrases in table.items():
        unknown = sorted(phrases.keys() - set(LANGUAGES))
        if unknown:
            raise ValueError(f"the lexicon entry {name!r} has no language {', '.join(unknown)}")


def _read(file: Traversable) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _understood(reading: Reading) -> int:
    spans = [*reading.mentions, *reading.ambience, *reading.silences]
    return len({at for span in spans for at in range(span.start, span.end)})

"""Finding the phrases of a lexicon in the words of a text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.words.inflection import (
    Inflection,
    Word,
    determiners,
    split_words,
    without_determiners,
)

Label = TypeVar("Label")

_GAP_WORDS = 2
PARSED_AT_ONCE = 200  # phrases between two checkpoints
_GAP_IDEOGRAPHS = 6
_COMPOUND_TAIL = 5  # letters: the least that is recognized at the end of a German compound
_SPACELESS = ("zh", "ja")


@dataclass(frozen=True, slots=True)
class Match(Generic[Label]):
    """A phrase found in words[first] … words[last]."""

    label: Label | None  # None: a negative entry
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Phrase(Generic[Label]):
    label: Label | None
    words: tuple[str, ...]
    keys: tuple[frozenset[str], ...]
    gaps: tuple[int, ...]  # the most words that may stand before each word
    order: int


_Rank = tuple[int, int, int]  # length, words in the very form written, earliness in the lexicon


class PhraseTable(Generic[Label]):
    """The phrases of one language, each with what it stands for.

    Args:
        entries: (phrase, label) in the order in which equals are preferred; the conventions for
            phrases are those of lexicon.py. A label None takes its words away from all others.

    Raises:
        ValueError: if a phrase has no words.
    """

    def __init__(
        self,
        language: str,
        inflection: Inflection,
        entries: Iterable[tuple[str, Label | None]],
    ) -> None:
        self.language = language
        self._inflection = inflection
        self._skipped = determiners([language])
        self._by_key: dict[str, list[_Phrase[Label]]] = {}
        for order, (text, label) in enumerate(entries):
            if order % PARSED_AT_ONCE == 0:
                checkpoint()
            phrase = self._parse(text, label, order)
            for key in phrase.keys[0]:
                self._by_key.setdefault(key, []).append(phrase)

    def _parse(self, text: str, label: Label | None, order: int) -> _Phrase[Label]:
        gap = _GAP_IDEOGRAPHS if self.language in _SPACELESS else _GAP_WORDS
        words: list[str] = []
        gaps: list[int] = []
        for number, part in enumerate(text.split("…")):
            exact = {word.start for word in split_words(part) if part[: word.start].endswith("=")}
            fresh = without_determiners(split_words(part), self._skipped)
            if number < text.count("…") and fresh and fresh[-1].text in self._skipped:
                del fresh[-1]
            words += [f"={word.text}" if word.start in exact else word.text for word in fresh]
            gaps += [gap if number and not at else 0 for at in range(len(fresh))]
        if all(word in self._skipped for word in words):
            raise ValueError(f"the phrase {text!r} ({self.language}) has no words")
        keys = tuple(self._inflection.phrase_keys(word) for word in words)
        return _Phrase(label, tuple(words), keys, tuple(gaps), order)

    def candidates(
        self, words: Sequence[Word], keys: Sequence[frozenset[str]], first: int
    ) -> Iterable[tuple[_Rank, Match[Label]]]:
        """Yield the phrases that start at words[first], each with its rank; the highest wins."""
        tried: set[int] = set()
        for key in keys[first]:
            for phrase in self._by_key.get(key, ()):
                if id(phrase) in tried:
                    continue
                tried.add(id(phrase))
                ranked = _fit(phrase, words, keys, first)
                if ranked is not None:
                    yield ranked

    def compound(self, words: Sequence[Word], first: int) -> Match[Label] | None:
        """Return the noun that ends a German compound ("Kirchenglocken": "Glocke"), if any."""
        text = words[first].text
        if self.language != "de" or not words[first].is_capital:
            return None
        for start in range(3, len(text) - _COMPOUND_TAIL + 1):
            for key in sorted(self._inflection.text_keys(text[start:])):
                for phrase in self._by_key.get(key, ()):
                    if len(phrase.keys) == 1 and len(phrase.words[0]) >= _COMPOUND_TAIL:
                        return Match(phrase.label, first, first)
        return None

    def keys(self, words: Sequence[Word]) -> list[frozenset[str]]:
        """Return the keys of each word of a text."""
        return [self._inflection.text_keys(word.text) for word in words]


def _fit(
    phrase: _Phrase[Label], words: Sequence[Word], keys: Sequence[frozenset[str]], first: int
) -> tuple[_Rank, Match[Label]] | None:
    at = first
    exact = int(phrase.words[0].removeprefix("=") == words[first].text)
    for wanted, spelled, gap in zip(
        phrase.keys[1:], phrase.words[1:], phrase.gaps[1:], strict=True
    ):
        found = _next_word(wanted, gap, words, keys, at)
        if found is None:
            return None
        at = found
        exact += spelled.removeprefix("=") == words[at].text
    return (len(phrase.keys), exact, -phrase.order), Match(phrase.label, first, at)


def _next_word(
    wanted: frozenset[str], gap: int, words: Sequence[Word], keys: Sequence[frozenset[str]], at: int
) -> int | None:
    for after in range(at + 1, min(at + 2 + gap, len(words))):
        if words[after].sentence != words[at].sentence:
            return None
        if gap and words[after].clause != words[at].clause:
            return None
        if wanted & keys[after]:
            return after
    return None


def find_phrases(words: Sequence[Word], tables: Sequence[PhraseTable[Label]]) -> list[Match[Label]]:
    """Return the phrases of a text, leftmost first, the longest at each place, none overlapping.

    Args:
        words: of the text, without the determiners of the tables' languages.
        tables: tried in this order; an earlier one wins a draw.
    """
    keyed = [(table, table.keys(words)) for table in tables]
    matches: list[Match[Label]] = []
    at = 0
    while at < len(words):
        best = _best_at(words, keyed, at)
        if best is not None:
            matches.append(best)
            at = best.last
        at += 1
    return matches


def _best_at(
    words: Sequence[Word],
    keyed: Sequence[tuple[PhraseTable[Label], list[frozenset[str]]]],
    at: int,
) -> Match[Label] | None:
    best: Match[Label] | None = None
    best_rank: _Rank = (0, 0, 0)
    for table, keys in keyed:
        for rank, match in table.candidates(words, keys, at):
            if rank > best_rank:
                best, best_rank = match, rank
        if best is None:
            best = table.compound(words, at)
    return best

"""What a text says is not heard: "no cars", "a dog is not barking", "the rain has stopped".

Planner and engine read it here alike. The words are in absence.toml, whose head names the sorts.
This module knows no sounds: it returns which words are denied, and the reader of those words
decides what they name.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

_OPAQUE = "\x1a"  # in the place of what is not looked into; parts clauses
_QUOTED = re.compile('"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|『[^』]*』')
_HARD = rf"[.!?;:…()（）\[\]—–\n。！？；：{_OPAQUE}]"
_COMMA = "[,，、]"
_SENTENCE = rf"[.!?…。！？;；\n{_OPAQUE}]"
_WIDE = ("zh", "ja")
_LONGEST_LIST = 4  # words of a part of a list: "no seagulls, distant church bells or thunder"
_REACH = 300  # characters that one denial may reach, so that reading stays linear
_LONGEST_AND = 2  # words behind an "and" that still are part of a list
_SORTS = ("direct", "direct_end", "over", "except", "listing", "noun", "before", "clause")


@dataclass(frozen=True)
class Denial:
    """A span of a text that says what is not heard.

    Attributes:
        start: of the whole span, in characters.
        end: of the whole span.
        words: span of the words that name what is denied.
        is_direction: whether it is said to the planner: "do not include any seagulls".
        is_over: whether it happens, and holds from then on: "the rain has stopped".
    """

    start: int
    end: int
    words: tuple[int, int]
    is_direction: bool = False
    is_over: bool = False


def find_denials(
    text: str, language: str, opaque: Iterable[tuple[int, int]] | None = None
) -> list[Denial]:
    """Return what a text says is not heard, in order; spans do not overlap.

    Args:
        text: any length.
        language: BCP 47 tag; of an unknown one that language is taken whose words fit most.
        opaque: spans that say nothing of it, such as spoken lines; None: what stands in quotes.
    """
    primary = language.partition("-")[0].lower()
    tables = _tables()
    if primary in tables:
        return _Finder(tables[primary], text, opaque).find()
    if primary != "und":
        return []
    by_language = (_Finder(table, text, opaque).find() for table in tables.values())
    return max(by_language, key=lambda denials: sum(d.end - d.start for d in denials))


def blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text of equal length with spaces in the place of all words of the spans."""
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        pieces += [text[at:start], re.sub(r"\w", " ", text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])


@dataclass(frozen=True)
class _Table:
    """The words of one language, compiled."""

    cue: re.Pattern[str]  # a group for each sort
    innocent: re.Pattern[str]
    please: re.Pattern[str]
    quiet: re.Pattern[str]
    ends: re.Pattern[str]
    within: re.Pattern[str]
    starts: re.Pattern[str]
    more: re.Pattern[str]  # the rest of a list, behind a comma
    tail: re.Pattern[str]  # a short end of a list, behind "and"
    joiner: re.Pattern[str]  # an "and"
    is_spaced: bool


@cache
def _tables() -> Mapping[str, _Table]:
    source = files(__package__) / "absence.toml"
    content = tomllib.loads(source.read_text("utf-8"))
    return {language: _compiled(entry, language) for language, entry in content.items()}


def _compiled(entry: Mapping[str, Any], language: str) -> _Table:
    is_spaced = language not in _WIDE
    edge = r"\b" if is_spaced else ""

    def pattern(phrases: str | Sequence[str]) -> str:
        listed = [phrases] if isinstance(phrases, str) else phrases
        written = "|".join(f"(?:{phrase})" for phrase in listed) or r"(?!)"
        return re.sub(" ", r"[ \\t\\n]", written) if is_spaced else written

    def words(phrases: str | Sequence[str]) -> re.Pattern[str]:
        return re.compile(f"{edge}(?:{pattern(phrases)}){edge}")

    word = r"[^\W_][\w'-]*+"  # possessive: a word is not read as several
    begin = r"(?<![^\W_])" if is_spaced else ""
    ors, ands = pattern(entry["ors"]), pattern(entry["ands"])
    part = rf"(?:\s*{word}){{1,{_LONGEST_LIST}}}"
    more = rf"(?:{part}\s*{_COMMA})*(?:{part})?\s*(?:{ors}|{ands})\b"
    tail = rf"\s*{word}(?:\s+{word}){{0,{_LONGEST_AND - 1}}}\s*(?={_HARD}|$)"
    sorts = (f"(?P<{sort}>{pattern(entry.get(sort, ()))})" for sort in _SORTS)
    return _Table(
        cue=re.compile(f"{begin}(?:{'|'.join(sorts)})"),
        innocent=re.compile(rf"{edge}(?:{pattern(entry['innocent'])})"),
        please=re.compile(pattern(entry["please"])),
        quiet=re.compile(pattern(entry["quiet"])),
        ends=words(entry["ends"]),
        within=words(entry["within"]),
        starts=words(entry["starts"]),
        more=re.compile(more),
        tail=re.compile(tail),
        joiner=words(entry["ands"]),
        is_spaced=is_spaced,
    )


class _Finder:
    """Finds the denials of one text."""

    def __init__(self, table: _Table, text: str, opaque: Iterable[tuple[int, int]] | None) -> None:
        self._table = table
        lowered = text.lower().replace("’", "'")
        self._text = lowered if len(lowered) == len(text) else text.replace("’", "'")
        self._opaque = opaque
        self._boundaries = re.compile(f"{_HARD}|{_COMMA}")

    def find(self) -> list[Denial]:
        table = self._table
        if table.cue.search(self._text) is None:
            return []
        self._hide()
        denials: list[Denial] = []
        for match in table.cue.finditer(self._text):
            if denials and match.start() < denials[-1].end:
                continue
            denial = self._read(match, denials[-1] if denials else None)
            if denial is not None:
                denials.append(denial)
        return denials

    def _hide(self) -> None:
        spans = self._opaque
        if spans is None:
            spans = (match.span() for match in _QUOTED.finditer(self._text))
        pieces: list[str] = []
        at = 0
        for start, end in spans:
            pieces += [self._text[at:start], _OPAQUE * (end - start)]
            at = end
        self._text = "".join([*pieces, self._text[at:]])
        # Innocent words stay words, but none that denies.
        self._text = self._table.innocent.sub(lambda m: re.sub(r"\S", "x", m[0]), self._text)

    def _read(self, match: re.Match[str], before: Denial | None) -> Denial | None:
        sort = match.lastgroup
        floor = before.end if before else 0
        start, end = match.span()
        if sort in ("noun", "listing", "direct", "except"):
            if sort == "except" and self._is_quiet_before(start):
                return None
            until = self._end_of_names(end, lists=sort != "noun" or self._opens(start))
            if not self._text[end:until].strip():
                return None
            denial = Denial(start, until, (end, until), is_direction=sort == "direct")
            return self._with_please(denial)
        begin = self._start_of_clause(start, floor)
        if sort in ("before", "over", "direct_end"):
            is_direction = sort == "direct_end"
            return Denial(begin, end, (begin, end), is_direction, is_over=sort == "over")
        until = self._end_of_clause(end)
        return self._with_please(Denial(begin, until, (begin, until)))

    def _with_please(self, denial: Denial) -> Denial:
        please = self._table.please.match(self._text, denial.end)
        inside = self._table.please.search(self._text, denial.words[0], denial.end)
        if please:
            return replace(denial, end=please.end(), is_direction=True)
        if inside and inside.end() == denial.end:
            words = (denial.words[0], inside.start())
            return replace(denial, words=words, is_direction=True)
        return denial

    def _is_quiet_before(self, at: int) -> bool:
        before = self._text[max(0, at - _REACH) : at]
        marks = [match.end() for match in re.finditer(_SENTENCE, before)]
        return bool(self._table.quiet.search(before, marks[-1] if marks else 0))

    def _opens(self, at: int) -> bool:
        """Say whether a sentence begins here."""
        before = self._text[max(0, at - _REACH) : at].rstrip()
        return not before or bool(re.match(_SENTENCE, before[-1]))

    def _end_of_names(self, at: int, *, lists: bool) -> int:
        """Return where the names of what is denied end."""
        table, text = self._table, self._text
        begin = at
        while True:
            mark = self._boundaries.search(text, at, begin + _REACH)
            limit = min(mark.start() if mark else len(text), begin + _REACH)
            word = next(self._closing(begin, at, limit, lists=lists), None)
            if word is not None:
                return self._trimmed(begin, word)
            if mark is None or not re.match(_COMMA, mark[0]):
                return self._trimmed(begin, limit)
            more = table.more.match(text, mark.end(), mark.end() + _REACH // 3)
            if more is None or self._has_end(mark.end(), more.end(), lists=lists):
                return self._trimmed(begin, limit)
            at = more.end()

    def _closing(self, begin: int, at: int, limit: int, *, lists: bool) -> Iterator[int]:
        ends = [
            *self._table.ends.finditer(self._text, at, limit),
            *self._table.within.finditer(self._text, max(at, begin + 1), limit),
        ]
        for match in sorted(ends, key=re.Match.start):
            joins = self._table.joiner.fullmatch(self._text, *match.span())
            if joins and lists and self._table.tail.match(self._text, match.end()):
                continue
            if self._text[begin : match.start()].strip():
                yield match.start()

    def _has_end(self, start: int, end: int, *, lists: bool) -> bool:
        table = self._table
        joined = table.joiner.search(self._text, start, end)
        if joined and not lists:
            return True
        words = [*table.ends.finditer(self._text, start, end)]
        words += table.within.finditer(self._text, start, end)
        return any(not table.joiner.fullmatch(m[0]) for m in words) or bool(
            table.cue.search(self._text, start, end)
        )

    def _start_of_clause(self, at: int, floor: int) -> int:
        text = self._text
        begin = max(floor, at - _REACH)
        for mark in self._boundaries.finditer(text, begin, at):
            begin = mark.end()
        for word in self._table.starts.finditer(text, begin, at):
            begin = word.end()
        while begin < at and text[begin].isspace():
            begin += 1
        return begin

    def _end_of_clause(self, at: int) -> int:
        mark = self._boundaries.search(self._text, at, at + _REACH)
        limit = mark.start() if mark else min(len(self._text), at + _REACH)
        words = [
            match.start()
            for table in (self._table.ends, self._table.within)
            if (match := table.search(self._text, at, limit))
        ]
        return self._trimmed(at, min([limit, *words]))

    def _trimmed(self, start: int, end: int) -> int:
        return start + len(self._text[start:end].rstrip())

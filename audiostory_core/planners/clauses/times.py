"""Times stated in a text: the total, how long something lasts, when it starts.

Numbers, units and the words around them are those of all languages at once, so that
"雨 (12 s)" is read too. Everything works on the text with full-width forms made narrow,
character for character, so that positions stay those of the instruction.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_CUE_WINDOW = 70  # characters before a time in which its cue is looked for
_AFTER_WINDOW = 40
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_KANJI_DIGITS = {
    "零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6,
    "七": 7, "八": 8, "九": 9,
}  # fmt: skip
_KANJI_TENS = {"十": 10, "百": 100, "千": 1000}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzàáâäçèéêëíîïñóôöùúûüß")
_DIGITS = r"\d{1,15}(?:[.,]\d{1,9})?"
_KANJI = "[零〇一二两兩三四五六七八九十百千]{1,8}"
_CLOCK = r"\d{1,3}:[0-5]\d(?::[0-5]\d)?(?:[.,]\d{1,3})?"
_OPEN_CLAUSE = re.compile(
    r"(?:^|[\n.!?;:,。！？；：，、…—–()）\[-]|\b(?:and|then|y|et|und|puis|luego|dann))\s*$"
)
_LINE_END = re.compile(r"\s*[.。;；]?\s*(?:\n|$)")
_DASHED = re.compile(r"[-–—,，:(（]\s*$")
_FULL_STOPS = " \t\r\n.!。！"
_ENDS_OPENING = frozenset(":.;：。；")
_ALL = re.compile(r"(?i)total|overall|gesamt|[总總全合]")
_ARTICLE = re.compile(r"(?i)(?<!\w)(?:an?|the|une?|una|eine?)\s$")
_CLOCK_TIME = re.compile(r"\d{1,2}:[0-5][05]")  # "6:30": on the quarter of an hour or so
_LEAST_OF_DAY_S = 180.0
_OF_A_PERSON = re.compile(  # "He waits for an hour": what the sentence tells of someone is story
    r"(?:^|[.!?。！？\n]\s*)(?:(?:he|she|they|er|sie|il|elle|ils|elles|él|ella|ellos|ellas)\b"
    r"|他们?|她们?|彼女?)[^.!?。！？\n]*$",
    re.IGNORECASE,
)
_LEAST_OF_STORY_S = 60.0
_RANGE = re.compile(r"\s{0,2}(?:-|–|—|~|to|until|a|à|bis|到|至)\s{0,2}")


class Role(StrEnum):
    """What a time says."""

    TOTAL = "total"  # how long the whole story is
    LASTING = "lasting"  # "lasting 5 s": read as TOTAL at the end of the text, else as LASTS
    LASTS = "lasts"  # how long the clause it stands in is
    STARTS = "starts"  # when the clause after it starts
    OPENING = "opening"  # a bare duration at the very start; the total if nothing better is stated


@dataclass(frozen=True)
class TimeMark:
    """A time stated in a text, its cue words and brackets included in the span."""

    start: int
    end: int
    role: Role
    seconds: float
    until: float | None = None  # end of a range "0:10-0:20", seconds from the beginning
    bracketed: bool = False  # "(12 s)": counts for all of its list item or sentence


def narrow(text: str) -> str:
    """Return the text with full-width forms made ASCII, of equal length."""
    return text.translate(_NARROW)


def _number(word: str, numbers: Mapping[str, float]) -> float:
    word = word.strip().lower()
    if word in numbers:
        return numbers[word]
    if word[0] in _KANJI_DIGITS or word[0] in _KANJI_TENS:
        return float(_kanji_number(word))
    whole, comma, fraction = word.partition(",")
    if comma and len(fraction) == 3 and "." not in word and whole != "0":
        return float(whole + fraction)  # "1,000 seconds"
    return float(word.replace(",", "."))


def _kanji_number(word: str) -> int:
    total, digit = 0, 0
    for letter in word:
        if letter in _KANJI_TENS:
            total += (digit or 1) * _KANJI_TENS[letter]
            digit = 0
        else:
            digit = digit * 10 + _KANJI_DIGITS[letter]
    return total + digit


def _end_of_amount(text: str, amount: re.Match[str]) -> int:
    """Return where an amount ends: a full stop belongs to "5 sec. of rain", not to a sentence."""
    end = amount.end()
    if text[end - 1] != ".":
        return end
    following = text[end : end + _CUE_WINDOW].lstrip()[:1]
    return end if following.islower() else end - 1


def _clock_seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


class TimeReader:
    """Finds times in texts of any known language.

    Args:
        entries: the contents of the language files.
    """

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        entries = tuple(entries)
        self._numbers: dict[str, float] = {}
        for entry in entries:
            for word, value in entry.get("numbers", {}).items():
                self._numbers.setdefault(word, float(value))
        units = {
            unit: "|".join(entry["units"][unit] for entry in entries)
            for unit in ("hour", "minute", "second")
        }
        self._units = {
            unit: re.compile(rf"(?:{body})\.?$", re.IGNORECASE) for unit, body in units.items()
        }
        self._amount = self._amount_pattern(units)
        self._part = self._part_pattern(units)
        self._clock = re.compile(rf"(?<![\w.,:])(?:{_CLOCK})(?![\w:]|[.,]\d)")
        self._before = {
            role: self._cue(entries, key, r"(?:(?<!\w)(?:{})|[（(]\s*(?:{}))\s*$")
            for role, key in (
                (Role.TOTAL, "total_before"),
                (Role.LASTING, "lasting_before"),
                (Role.LASTS, "duration_before"),
                (Role.STARTS, "start_before"),
            )
        }
        self._after = {
            role: self._cue(entries, key, r"(?:{})(?:(?![A-Za-zÀ-ÿ])|(?<=['’]))")
            for role, key in (
                (Role.TOTAL, "total_after"),
                (Role.LASTS, "duration_after"),
                (Role.STARTS, "start_after"),
            )
        }
        self._not_after = self._cue(entries, "not_time_after", r"(?:{})")

    @staticmethod
    def _cue(entries: Iterable[Mapping[str, Any]], key: str, frame: str) -> re.Pattern[str]:
        body = "|".join(f"(?:{cue})" for entry in entries for cue in entry.get(key, []))
        return re.compile(frame.replace("{}", body or "(?!)"), re.IGNORECASE)

    def _words(self) -> list[str]:
        return sorted(self._numbers, key=lambda word: (-len(word), word))

    def _numeral(self) -> str:
        return "|".join([_DIGITS, _KANJI, *map(re.escape, self._words())])

    def _amount_pattern(self, units: Mapping[str, str]) -> re.Pattern[str]:
        unit = "|".join(units.values())
        words = "|".join(re.escape(word) for word in self._words() if word[-1] in _LETTERS)
        figures = "|".join([_DIGITS, _KANJI, *(
            re.escape(word) for word in self._words() if word[-1] not in _LETTERS
        )])  # fmt: skip
        # "a" beside "s" is no second: words stand apart from units, and those are whole words.
        number = rf"(?:(?:{figures})[ -]{{0,2}}|(?:{words})[ -]{{1,2}}(?=[^\W\d_]{{2}}))"
        amount = rf"{number}(?:{unit})(?![A-Za-zÀ-ÿ])\.?"
        glued = (
            rf"(?:{_DIGITS}) ?(?:h|m|min|小时|時間|分钟|分) ?\d{{1,2}} ?(?:{unit})(?![A-Za-zÀ-ÿ])"
        )
        half = r"(?: and a half| y medi[oa]| et demie?)?"
        joined = rf"{amount}{half}(?:,? ?(?:and|y|et|und|零|又)? ?{amount}){{0,2}}"
        return re.compile(rf"(?<![A-Za-zÀ-ÿ0-9.,])(?P<minus>-)?(?:{glued}|{joined})", re.IGNORECASE)

    def _part_pattern(self, units: Mapping[str, str]) -> re.Pattern[str]:
        unit = "|".join([*units.values(), "m"])
        return re.compile(
            rf"(?P<number>{self._numeral()})[ -]{{0,2}}(?P<unit>{unit})"
            r"(?P<half> and a half| y medi[oa]| et demie?)?",
            re.IGNORECASE,
        )

    def seconds(self, amount: str) -> float:
        """Return the length of an amount such as "1 min 30 s"."""
        total = 0.0
        for part in self._part.finditer(amount):
            scale = self._scale(part["unit"])
            total += _number(part["number"], self._numbers) * scale
            total += 0.5 * scale if part["half"] else 0.0
        return -total if amount.startswith("-") else total

    def _scale(self, unit: str) -> float:
        if self._units["hour"].match(unit):
            return 3600.0
        return 60.0 if unit == "m" or self._units["minute"].match(unit) else 1.0

    def read(self, text: str, quoted: Iterable[tuple[int, int]] = ()) -> list[TimeMark]:
        """Find all times outside the quoted spans, in order; `text` is already narrow."""
        candidates = [
            (m.start(), _end_of_amount(text, m), self.seconds(m[0]), False)
            for m in self._amount.finditer(text)
        ]
        candidates += [
            (m.start(), m.end(), _clock_seconds(m[0]), True) for m in self._clock.finditer(text)
        ]
        marks: list[TimeMark] = []
        taken = 0
        spans = iter([*quoted, (len(text) + 1, len(text) + 1)])
        span = next(spans)
        candidates.sort()
        for index, (start, end, seconds, is_clock) in enumerate(candidates):
            while span[1] <= start:
                span = next(spans)
            if start < taken or span[0] <= start:
                continue
            later = candidates[index + 1] if index + 1 < len(candidates) else None
            mark = self._mark(text, start, end, seconds, is_clock, later)
            if mark and mark.start >= taken:
                marks.append(mark)
                taken = mark.end
        return self._settled(text, self._without_times_of_day(text, marks))

    @staticmethod
    def _without_times_of_day(text: str, marks: list[TimeMark]) -> list[TimeMark]:
        """Leave out "At 6:30": where the first clock time is late, the text tells of a day."""
        clocks = [
            mark
            for mark in marks
            if mark.role is Role.STARTS and ":" in text[mark.start : mark.end]
        ]
        if not clocks or clocks[0].bracketed or clocks[0].seconds < _LEAST_OF_DAY_S:
            return marks
        shown = [re.search(_CLOCK, text[mark.start : mark.end]) for mark in clocks]
        if not all(match and _CLOCK_TIME.fullmatch(match[0]) for match in shown):
            return marks
        return [mark for mark in marks if mark not in clocks]

    @staticmethod
    def _settled(text: str, marks: list[TimeMark]) -> list[TimeMark]:
        """Decide what "lasting 5 s" counts for."""
        is_total = (
            bool(marks)
            and marks[-1].role is Role.LASTING
            and not any(mark.role in (Role.TOTAL, Role.LASTS) for mark in marks)
            and sum(mark.role is Role.LASTING for mark in marks) == 1
            and not text[marks[-1].end :].strip(_FULL_STOPS)
        )
        role = Role.TOTAL if is_total else Role.LASTS
        return [replace(m, role=role) if m.role is Role.LASTING else m for m in marks]

    def _mark(
        self,
        text: str,
        start: int,
        end: int,
        seconds: float,
        is_clock: bool,
        later: tuple[int, int, float, bool] | None,
    ) -> TimeMark | None:
        before = text[max(0, start - _CUE_WINDOW) : start]
        after = text[end : end + _AFTER_WINDOW]
        if self._not_after.match(after):
            return None
        is_long = seconds >= _LEAST_OF_STORY_S and not is_clock
        if is_long and _OF_A_PERSON.search(text[max(0, start - 2 * _CUE_WINDOW) : start]):
            return None
        until, end_of_range = self._range(text, end, later)
        bracket = self._bracketed(text, start, end_of_range)
        total = self._total(before, after, start, end, seconds)
        if total and not (bracket and not _ALL.search(before)):
            return total
        end = end_of_range
        if bracket:
            cued = self._before[Role.STARTS].search(before)
            role = Role.STARTS if is_clock or cued or until is not None else Role.LASTS
            return TimeMark(*bracket, role, seconds, until, bracketed=True)
        return self._bare(text, start, end, seconds, is_clock, until)

    def _total(
        self, before: str, after: str, start: int, end: int, seconds: float
    ) -> TimeMark | None:
        cue = self._before[Role.TOTAL].search(before)
        tail = self._after[Role.TOTAL].match(after)
        if not cue and not tail:
            return None
        cue = cue or _ARTICLE.search(before)
        first = start - (len(before) - cue.start()) if cue else start
        return TimeMark(first, end + (tail.end() if tail else 0), Role.TOTAL, seconds)

    def _range(
        self, text: str, end: int, later: tuple[int, int, float, bool] | None
    ) -> tuple[float | None, int]:
        if later and later[0] - end <= 8 and _RANGE.fullmatch(text[end : later[0]]):
            return later[2], later[1]
        return None, end

    def _bracketed(self, text: str, start: int, end: int) -> tuple[int, int] | None:
        before = text[max(0, start - 24) : start]
        opened = re.search(r"[(\[（【]\s*(?:[^\W\d]{1,12}\s){0,2}$", before)
        closed = re.match(r"\s*[)\]）】]:?", text[end : end + 4])
        if not opened or not closed:
            return None
        return start - (len(before) - opened.start()), end + closed.end()

    def _bare(
        self, text: str, start: int, end: int, seconds: float, is_clock: bool, until: float | None
    ) -> TimeMark | None:
        before = text[max(0, start - _CUE_WINDOW) : start]
        after = text[end : end + _AFTER_WINDOW]
        cue = self._before[Role.STARTS].search(before)
        opens = bool(_OPEN_CLAUSE.search(before[: cue.start()] if cue else before))
        tail = self._after[Role.STARTS].match(after)
        if opens and (cue or is_clock or tail or until is not None):
            last = end + (tail.end() if tail else 0)
            begin = start - (len(before) - cue.start()) if cue else start
            return TimeMark(begin, last, Role.STARTS, seconds, until)
        if is_clock:
            return None
        lasting = self._before[Role.LASTING].search(before)
        if lasting:
            begin = start - (len(before) - lasting.start())
            return TimeMark(begin, end, Role.LASTING, seconds)
        lasting = self._before[Role.LASTS].search(before)
        tail = self._after[Role.LASTS].match(after)
        if lasting or tail:
            begin = start - (len(before) - lasting.start()) if lasting else start
            return TimeMark(begin, end + (tail.end() if tail else 0), Role.LASTS, seconds)
        return self._uncued(text, start, end, seconds)

    def _uncued(self, text: str, start: int, end: int, seconds: float) -> TimeMark | None:
        before = text[max(0, start - _CUE_WINDOW) : start]
        at_line_end = bool(_LINE_END.match(text[end : end + _AFTER_WINDOW]))
        alone = not before.strip() or re.search(r"[.!?。！？\n]\s*$", before)
        if at_line_end and alone:
            return TimeMark(start, end, Role.TOTAL, seconds)
        if at_line_end and _DASHED.search(before):
            return TimeMark(start, end, Role.LASTS, seconds, bracketed=True)
        if start == len(before) and not before.strip():
            if text[end - 1] in _ENDS_OPENING:
                return TimeMark(start, end, Role.TOTAL, seconds)
            if text[end : end + 1] in _ENDS_OPENING:
                return TimeMark(start, end + 1, Role.TOTAL, seconds)
            return TimeMark(start, end, Role.OPENING, seconds)
        return None

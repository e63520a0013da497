"""Times of day and dates in words."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from audiostory_core.text.spoken.counting import Counting
from audiostory_core.text.spoken.tongue import Noun, Tongue

Kinds = Mapping[str, tuple[str, Callable[[re.Match[str]], str]]]
_OFFSETS = {"dmy": (0, 1), "mdy": (1, 0)}  # of day and month in a date with figures
_CENTURY = 100
_AFTER_DAY = "at|in|and|to|of|was|is|on|the|we|he|she|they|I|it|or|until|when|a"


class Clock:
    """Says times and dates of one language.

    Args:
        tongue: the language.
        counting: of the same language.
    """

    def __init__(self, tongue: Tongue, counting: Counting) -> None:
        self._tongue = tongue
        self._counting = counting
        self._months = {name.lower(): at for at, name in enumerate(tongue.months, 1)}
        names = "|".join(map(re.escape, tongue.months))
        self._month_day = (
            re.compile(
                rf"\b({names})\s([12]?\d|3[01])(?=\s*$|[,.;!?)](?!\d)|\s+(?:\d{{4}}|{_AFTER_DAY})\b)"
            )
            if tongue.templates.get("month_first")
            else None
        )
        self._to_oblique = re.compile(
            rf"\b(?:{tongue.word('oblique') or '(?!)'})\s+$", re.IGNORECASE
        )
        self._to_definite = re.compile(
            rf"\b(?:{tongue.word('definite') or '(?!)'})\s+$", re.IGNORECASE
        )

    def kinds(self) -> Kinds:
        """Return expressions by name, with what says a match of them."""
        tongue = self._tongue
        half = r"(?P<half>\s?[aApP]\.?\s?[mM]\b\.?)"
        marks = tongue.word("hour_marks") or r"(?!)"
        dotted = (
            rf"|(?P<hour_dotted>\d{{1,2}})\.(?P<minute_dotted>[0-5]\d)(?=\s?(?:{marks})(?!\w))"
            if tongue.word("hour_marks")
            else ""
        )
        time = (
            r"(?P<hour>[01]?\d|2[0-4])[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?"
            rf"(?![\d:])(?:{half})?{dotted}"
            r"|(?P<hour_h>[01]?\d|2[0-4])\s?h(?P<minute_h>\s?[0-5]\d)(?!\w)"
            r"|(?P<hour_half>1[0-2]|0?[1-9])(?:\.(?P<minute_half>[0-5]\d))?"
            r"(?P<half_alone>\s?[aApP]\.?[mM]\b\.?)"
        )
        date = (
            r"(?P<iso_year>\d{4})-(?P<iso_month>0[1-9]|1[0-2])-(?P<iso_day>[0-3]\d)(?!\d)"
            r"|(?P<first>\d{1,2})(?P<between>[/.])(?P<second_part>\d{1,2})(?P=between)"
            r"(?P<last>\d{4}|\d{2})(?![\d/])"
        )
        kinds: dict[str, Any] = {}
        if tongue.templates.get("date"):
            kinds["date"] = (date, self._date)
        if tongue.templates.get("time"):
            kinds["time"] = (rf"(?:{time})(?:\s?(?:{marks})(?!\w))?", self._time)
        if tongue.months and tongue.templates.get("day_first"):
            names = "|".join(re.escape(name) for name in tongue.months)
            mark = tongue.word("day_mark")
            pattern = rf"(?P<day>[12]?\d|3[01]){mark}\s(?P<month>(?i:{names}))\b"
            kinds["day"] = (pattern, self._day)
        return kinds

    def ending_before(self, text: str, at: int) -> str:
        """Return the form of an ordinal after the words before a place in the text."""
        before = text[max(0, at - 24) : at]
        if self._to_oblique.search(before):
            return "oblique" if "oblique" in self._tongue.ordinals else "-n"
        if self._to_definite.search(before):
            return ""
        return "-r" if self._tongue.language == "de" else ""

    def month_days(self, text: str) -> str:
        """Return the text with days that stand after the names of their months in words."""
        return self._month_day.sub(self._after_month, text) if self._month_day else text

    def _after_month(self, match: re.Match[str]) -> str:
        template = self._tongue.templates["month_first"]
        return template.format(month=match[1], ordinal=self._counting.ordinal(int(match[2])))

    def _date(self, match: re.Match[str]) -> str:
        if match["iso_year"]:
            year, month, day = (match[name] for name in ("iso_year", "iso_month", "iso_day"))
        else:
            parts = (match["first"], match["second_part"])
            day, month = (parts[at] for at in _OFFSETS[self._tongue.date_order])
            year = match["last"]
            if int(month) > 12 >= int(day):  # written in another order than the language's
                day, month = month, day
        if not 1 <= int(month) <= 12 or not 1 <= int(day) <= 31:
            pieces = re.split(r"[-/.]", match[0])
            return " ".join(self._counting.whole(piece) for piece in pieces)
        said = self._of_month(int(day), self._tongue.months[int(month) - 1], match)
        return self._tongue.templates["date"].format(
            **said, year=self._counting.year(year if len(year) == 4 else f"20{year}")
        )

    def _of_month(self, day: int, month: str, match: re.Match[str]) -> dict[str, str]:
        ending = self.ending_before(match.string, match.start())
        first = self._tongue.word("first_day") if day == 1 else ""
        cardinal = first or self._counting.whole(
            str(day), "m" if self._tongue.language == "pl" else ""
        )
        date = self._tongue.ordinals.get("date", ())
        ordinal = date[day - 1] if day <= len(date) else self._counting.ordinal(day, ending)
        return {"day": cardinal, "ordinal": ordinal, "month": month}

    def _day(self, match: re.Match[str]) -> str:
        said = self._of_month(int(match["day"]), match["month"], match)
        return self._tongue.templates["day_first"].format(**said)

    def _time(self, match: re.Match[str]) -> str:
        pairs = (
            ("hour", "minute"), ("hour_h", "minute_h"),
            ("hour_half", "minute_half"), ("hour_dotted", "minute_dotted"),
        )  # fmt: skip
        names = match.re.groupindex
        hour, minute = next(
            (match[hour], match[minute])
            for hour, minute in pairs
            if hour in names and match[hour] is not None
        )
        half = (match["half"] or match["half_alone"] or "").lower()
        said = self._hours(int(hour), int(minute or 0), is_halved=bool(half))
        if match["second"] and int(match["second"]):
            seconds = self._counting.whole(match["second"].lstrip("0"))
            joint = self._tongue.word("and")
            said += (
                f" {joint} {self._counted(match['second'], 'seconds')}" if joint else f" {seconds}"
            )
        if not half:
            return said
        ends = "." if half.endswith(".") and _ends_sentence(match.string, match.end()) else ""
        return f"{said} {'a' if 'a' in half else 'p'} m{ends}"

    def _hours(self, hour: int, minute: int, *, is_halved: bool) -> str:
        templates = self._tongue.templates
        listed = self._tongue.ordinals.get("hours", ())
        hour_noun = Noun.read(self._tongue.word("hours"))
        h = (
            listed[hour]
            if hour < len(listed)
            else self._counting.number(str(hour), hour_noun.gender)
        )
        hours = self._counting.counted(str(hour), hour_noun)
        minutes = self._counted(str(minute), "minutes")
        m = self._counting.number(
            str(minute),
            Noun.read(self._tongue.word("minutes")).gender if self._tongue.word("minutes") else "",
        )
        if minute == 0 and is_halved:
            return h
        key = "time_full" if minute == 0 else "time_oh" if minute < 10 else "time"
        template = templates.get(key) or templates["time"]
        return template.format(h=h, m=m, H=hours, M=minutes)

    def _counted(self, figures: str, noun: str) -> str:
        return self._counting.counted(
            figures.lstrip("0") or "0", Noun.read(self._tongue.word(noun))
        )


def _ends_sentence(text: str, at: int) -> bool:
    after = text[at : at + 2].strip()
    return not after or after[0].isupper()

"""How lines begin that somebody speaks: "ANNA: …", "KING. …", "3. Anna (softly): …"."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audiostory_core.manuscript.labels import NO_SPEAKERS, pause_s, sound_of
from audiostory_core.manuscript.rows import Row

NUMBER = r"(?:\(?\d{1,4}[.)]\s+)?"
_HOW = r"(?:\s*[(（\[](?P<how>[^()（）\[\]\n]{1,80})[)）\]]|,\s*(?P<comma>[^:：.\n]{1,40}?))?"
_NAMED = re.compile(
    rf"{NUMBER}(?P<name>[^\W_][^:：\n()（）\[\]\"“「<>.!?;]{{0,40}}?(?:(?<=Mr|Ms|Dr|St)\.[^:：\n.]{{1,30}}?)?)"
    rf"{_HOW}\s*[:：](?!\d)(?!//)\s*"
)
_DOTTED = re.compile(
    rf"{NUMBER}(?P<name>[^\W\d_](?:[^\W_]|[ '’.-](?=[^\W_])){{1,40}})\.{_HOW}[:—–-]?\s+(?=\S)"
)
LONGEST_ALONE = 2  # words of a name in small letters that stands alone above its words


@dataclass(frozen=True)
class Opening:
    """How a line begins that somebody speaks."""

    name: str
    manner: str | None
    end: int  # of the name with its colon, in the line


def names_in(rows: Sequence[Row]) -> frozenset[str]:
    """Return the names that open lines in small letters, as more than one line does or alone."""
    counts: Counter[str] = Counter()
    alone: set[str] = set()
    for row in rows:
        match = _NAMED.match(row.text)
        if match and _may_speak(match["name"]):
            name = match["name"].strip()
            counts[name] += 1
            if match.end() == len(row.text) and len(name.split()) <= LONGEST_ALONE:
                alone.add(name)
    several = {name for name in counts if name[0].isupper()} if len(counts) > 1 else set()
    wide = {name for name in counts if name.lower() == name.upper()}
    return frozenset({name for name, count in counts.items() if count > 1} | alone | several | wide)


def opening_of(row: str, names: frozenset[str], *, has_dots: bool = True) -> Opening | None:
    """Return how a line begins that names who speaks it; None for other lines.

    Args:
        row: the line, stripped.
        names: that are believed in small letters too.
        has_dots: whether "NAME." counts.
    """
    match = _NAMED.match(row)
    if match and _may_speak(match["name"]) and sound_of(match["name"]) is None:
        name = match["name"].strip()
        if name in names or _is_capital(name):
            return Opening(name, _manner(match), match.end())
    match = _DOTTED.match(row) if has_dots else None
    if match and _may_speak(match["name"]) and _is_capital(match["name"]):
        below = row[match.end() :]
        if below.upper() != below and sound_of(match["name"]) is None:
            return Opening(match["name"].strip(), _manner(match), match.end())
    return None


def _manner(match: re.Match[str]) -> str | None:
    how = (match["how"] or match["comma"] or "").strip()
    return how if how and pause_s(how) is None else None


def _is_capital(name: str) -> bool:
    return name.upper() == name and name.lower() != name


def _may_speak(name: str) -> bool:
    words = re.findall(r"[^\W_]+", name.casefold())
    return bool(words) and len(words) <= 5 and words[0] not in NO_SPEAKERS

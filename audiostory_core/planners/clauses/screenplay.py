"""The forms that only screenplays have: headings, transitions, names alone on a line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from audiostory_core.planners.clauses.language import Language

HEADING = re.compile(
    r"\s*(?:(?:INT|EXT|EST|INNEN|AUSSEN|AUßEN|I/E)\b[./ ]|[内內外]景|#{1,6}\s)[^\n]*"
)
TRANSITION = re.compile(
    r"\s*(?:(?:FADE|CUT|SMASH CUT|MATCH CUT|DISSOLVE)(?: IN| OUT| TO| TO BLACK| BACK TO)?"
    r"|CORTE A|FUNDIDO(?: A)?|COUPEZ|FONDU|SCHNITT(?: AUF)?|ABBLENDE|AUFBLENDE)\s?[.:]?\s*"
)
_NAME = re.compile(
    r"\s*(?P<name>[^\n:,;!?()\[\]\"“0-9]{2,40}?)"
    r"(?:\s{0,3}\((?:V\.?\s?O\.?|O\.?\s?S\.?|O\.?\s?C\.?|CONT['’]?D|OFF)\)){0,2}\s*"
)
_PARENTHETICAL = re.compile(r"\s*\((?P<manner>[^()\n]{1,60})\)\s*")
_WORD = re.compile(r"[^\W_]+")
_LONGEST_NAME = 4  # words


@dataclass(frozen=True)
class Speech:
    """Words below a name that stands alone on its line, as spans of the text."""

    start: int  # of the name, or of the direction in brackets that parts it from more of the same
    words_start: int
    end: int
    lines: int  # how many it takes
    name: str
    manner: str | None


def may_be_name(name: str, language: Language) -> bool:
    """Say whether words before a colon or alone on a line may name who speaks."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or len(words) > _LONGEST_NAME or words[0] in language.not_speakers:
        return False
    if name in language.places or name in language.adverbs:
        return False
    return not (len(words) == 1 and words[0] in language.places | language.adverbs)


def centered_dialogue(
    text: str, lines: Sequence[tuple[int, int]], language: Language
) -> dict[int, Speech]:
    """Find dialogue below names in capitals, by the number of its first line.

    A title has the same form, so a name alone is believed only in a text that has headings,
    directions in brackets below a name, or several names.
    """
    found: dict[int, Speech] = {}
    at = 0
    while at < len(lines):
        if _is_name(text, lines, at, language):
            for number, speech in _speeches(text, lines, at, language):
                found[number] = speech
                at = number + speech.lines - 1
        at += 1
    names = {speech.start for speech in found.values()}
    is_script = (
        len(names) > 1
        or any(speech.manner for speech in found.values())
        or any(_is_script_line(text, start, end) for start, end in lines)
    )
    return found if found and is_script else {}


def _is_script_line(text: str, start: int, end: int) -> bool:
    heading = HEADING.match(text, start, end)
    return bool(heading and text[start] != "#") or bool(TRANSITION.fullmatch(text, start, end))


def _is_name(text: str, lines: Sequence[tuple[int, int]], at: int, language: Language) -> bool:
    """Say whether a line is a name in capitals, after an empty line, right above its words."""
    start, end = lines[at]
    match = _NAME.fullmatch(text, start, end)
    if match is None or at + 1 >= len(lines) or _is_script_line(text, start, end):
        return False
    name = match["name"].strip()
    words = [word.lower() for word in _WORD.findall(name)]
    if name.upper() != name or name.lower() == name or not may_be_name(name, language):
        return False
    heard = language.ambience | language.music | language.determiners | language.silence
    if name.endswith(".") or any(word in heard for word in words):
        return False
    if at and not _is_apart(text, lines[at - 1][1], start):
        return False
    below = lines[at + 1]
    spoken = text[slice(*below)]
    return not _is_apart(text, end, below[0]) and spoken.upper() != spoken


def _is_apart(text: str, end: int, start: int) -> bool:
    return text.count("\n", end, start) > 1


def _speeches(
    text: str, lines: Sequence[tuple[int, int]], at: int, language: Language
) -> Iterator[tuple[int, Speech]]:
    """Yield what is said below a name; a direction in brackets begins another speech."""
    match = _NAME.fullmatch(text, *lines[at])
    assert match is not None
    name = match["name"].strip()
    first, manner, directed = at, None, None
    number = at + 1
    while number < len(lines) and not _is_apart(text, lines[number - 1][1], lines[number][0]):
        directed = _PARENTHETICAL.fullmatch(text, *lines[number])
        if directed:
            manner = directed["manner"].strip()
            words_from = number + 1
        else:
            words_from = number
        until = words_from + len(
            list(takewhile(lambda n: _goes_on(text, lines, n), range(words_from, len(lines))))
        )
        if until == words_from:
            return
        speech = Speech(
            lines[first][0], lines[words_from][0], lines[until - 1][1], until - first, name, manner
        )
        yield first, speech
        first = number = until


def _goes_on(text: str, lines: Sequence[tuple[int, int]], number: int) -> bool:
    start, end = lines[number]
    return not (
        _is_apart(text, lines[number - 1][1], start)
        or _PARENTHETICAL.fullmatch(text, start, end)
        or HEADING.match(text, start, end)
    )

"""Subtitles: SubRip and WebVTT, each cue at its time.

Our own reader: pysubs2 loses a last line that is a number and the speaker of `<v Ann>`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from audiostory_core.manuscript.dialogue import read_speech
from audiostory_core.manuscript.elements import (
    Cue,
    Element,
    Format,
    Line,
    Manuscript,
    Note,
    Pause,
    Span,
    blanked,
    compose,
)
from audiostory_core.manuscript.labels import sound_of
from audiostory_core.manuscript.openings import opening_of

_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}"
TIMES = re.compile(
    rf"^[ \t]*(?P<from>{_TIME})[ \t]*-->[ \t]*(?P<to>{_TIME})(?P<settings>[^\n]*)$", re.MULTILINE
)
_NUMBER_ABOVE = re.compile(r"(?:^|(?<=\n))[ \t]*(?P<id>[^\n]{1,80})\n$")
_MARK = re.compile(r"</?[a-z][^<>\n]{0,80}>|\{\\[^{}\n]{0,80}\}|</?\d[\d:.]{3,12}>", re.IGNORECASE)
_VOICE = re.compile(r"<v(?:\.[\w.-]+)?\s+(?P<name>[^<>\n]{1,60})>")
_MUSIC = re.compile(r"[♪♫#]\s*(?P<inner>[^♪♫]*?)\s*[♪♫#]?")
_SOUND = re.compile(r"[\[(（](?P<inner>[^\[\]()（）]{1,200})[\])）]")
_TURN = re.compile(r"(?:^|(?<=\n))[ \t]*[-–—][ \t]*(?=\S)")
_LABELED = re.compile(r"(?P<label>[^:\n]{1,24}?)\s*:\s*(?=\S)")
_MUSICAL = re.compile(r"(?i)\b(?:music|song|piano|guitar|orchestra|theme|musik|música|musique)\b")


def read_subtitles(source: str, format_: Format) -> Manuscript:
    """Read subtitles of either format."""
    times = list(TIMES.finditer(source))
    elements: list[Element] = []
    voices = {match.span() for match in _VOICE.finditer(source)}
    marks = [match.span() for match in _MARK.finditer(source) if match.span() not in voices]
    text = blanked(source, [*voices, *marks])
    bodies: list[Span] = []
    for number, match in enumerate(times):
        until = times[number + 1].start() if number + 1 < len(times) else len(source)
        bodies.append((match.end(), _without_number(source, match.end(), until, number, times)))
    for match, body in zip(times, bodies, strict=True):
        begin_s, end_s = seconds_of(match["from"]), seconds_of(match["to"])
        start = match.start()  # the first element of a cue begins with its time
        for element in _cue(source, text, body):
            if isinstance(element, Line | Cue):
                element = replace(
                    element, start=min(start, element.start), words_start=element.words[0],
                    start_s=begin_s, until_s=max(begin_s, end_s),
                )  # fmt: skip
                start = len(source)
            elements.append(element)
        if start < len(source):
            elements.append(Note(*match.span(), why="a time without words"))
    return compose(source, text, format_, elements, [*voices, *marks])


def _without_number(
    source: str, start: int, until: int, number: int, times: list[re.Match[str]]
) -> int:
    """Return where a cue's words end: above the number or name of the cue after it."""
    if number + 1 == len(times):
        return until
    above = _NUMBER_ABOVE.search(source[start:until])
    if above and (
        above["id"].strip().isdigit() or source[start : start + above.start()].endswith("\n\n")
    ):
        return start + above.start()
    return until


def seconds_of(time: str) -> float:
    """Return the seconds of a time such as 00:01:02,500."""
    seconds = 0.0
    for part in time.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return round(seconds, 3)


def _cue(source: str, text: str, body: Span) -> Iterator[Element]:
    start, end = body
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace() and not _VOICE.match(source, start, end):
        start += 1
    if start >= end:
        return
    cuts = sorted({
        start,
        *(m.start() for m in _VOICE.finditer(source, start, end)),
        *(m.start() for m in _TURN.finditer(text, start, end)),
    })  # fmt: skip
    for at, until in zip(cuts, [*cuts[1:], end], strict=True):
        yield from _turn(source, text, at, until)


def _turn(source: str, text: str, start: int, end: int) -> Iterator[Element]:
    voice = _VOICE.match(source, start, end)
    name = voice["name"].strip() if voice else None
    words_start = voice.end() if voice else start
    dash = _TURN.match(text, words_start, end)
    words_start = dash.end() if dash else words_start
    words = text[words_start:end].strip()
    if not words:
        return
    lead = words_start + len(text[words_start:end]) - len(text[words_start:end].lstrip())
    music = _MUSIC.fullmatch(words)
    sound = _SOUND.fullmatch(words)
    if music and music["inner"] and _MUSICAL.search(music["inner"]):
        yield Cue(start, lead + music.end("inner"), lead + music.start("inner"), sound="music")
    elif sound:
        yield from _sound(start, lead, sound)
    elif music and music["inner"]:
        yield Line(start, lead + music.end("inner"), lead + music.start("inner"), manner="singing")
    else:
        opening = opening_of(words, frozenset(), has_dots=False) if name is None else None
        at = lead + (opening.end if opening else 0)
        speaker = opening.name if opening else name
        yield from read_speech(text, start, at, end, speaker, opening.manner if opening else None)


def _sound(start: int, lead: int, match: re.Match[str]) -> Iterator[Element]:
    inner = match["inner"]
    labeled = _LABELED.match(inner)
    named = sound_of(labeled["label"]) if labeled else None
    begin = lead + match.start("inner") + (labeled.end() if labeled and named else 0)
    is_music = named == "music" or (named is None and _MUSICAL.search(inner))
    if inner.strip().lower() in ("pause", "silence"):
        yield Pause(start, lead + match.end())
        return
    yield Cue(
        start, lead + match.end("inner"), begin, sound="music" if is_music else named or "sfx"
    )

"""What an author should know of how their text was read: its format, and who speaks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from audiostory_core.manuscript.elements import Format
from audiostory_core.planners.clauses.language import CODES
from audiostory_core.planners.clauses.manuscripts import looks_spoken
from audiostory_core.story.lengths import words_in
from audiostory_core.story.pace import UNKNOWN
from audiostory_core.story.plan import SoundLayer, SpeechLayer, SubEvent

NARRATOR = "the narrator or an unnamed voice"
_MOST_NAMES = 12
_MOST_QUOTED = 3
_LONGEST_QUOTED = 60  # characters
_CHAPTER_WORDS = 150
_SENTENCE_WORDS = 8  # on the average; instructions are terser
_BLANK = re.compile(r"\n[ \t]*\n")
_STOP = re.compile(r"[.!?。！？]")
_NAMES = {
    Format.FOUNTAIN: "a screenplay (fountain)",
    Format.STAGE_PLAY: "a play (stage_play)",
    Format.MARKDOWN: "a script in Markdown (markdown)",
    Format.SRT: "subtitles (srt)",
    Format.WEBVTT: "subtitles (webvtt)",
    Format.CUE_SHEET: "a cue sheet (cue_sheet)",
    Format.PROSE: "prose to be read aloud (prose)",
}


def notes_on_reading(
    format_: Format,
    reason: str,
    sub_events: Sequence[SubEvent],
    unspoken: Sequence[str] | None = None,
) -> Iterator[str]:
    """Yield the format, how many lines are spoken by whom, and what looks like speech and is none.

    Args:
        format_: what the text was read as.
        reason: why, a clause.
        sub_events: of the plan.
        unspoken: what looks like speech in a script; None: to be seen from the captions.
    """
    if format_ in _NAMES:
        yield f"Read as {_NAMES[format_]}: {'it ' * (not reason.startswith('you'))}{reason.rstrip('.')}."
    layers = [layer for event in sub_events for layer in event.layers]
    lines = [layer for layer in layers if isinstance(layer, SpeechLayer)]
    if lines:
        counts = Counter(line.speaker or NARRATOR for line in lines)
        shown = [f"{name} {count:,}" for name, count in counts.most_common(_MOST_NAMES)]
        rest = len(counts) - len(shown)
        more = f" and {rest} more" if rest else ""
        spoken = "1 line is spoken" if len(lines) == 1 else f"{len(lines):,} lines are spoken"
        yield f"{spoken}: {', '.join(shown)}{more}."
    silent = unspoken if unspoken is not None else _silent_captions(sub_events)
    if silent:
        quoted = ", ".join(f"“{_short(caption)}”" for caption in silent[:_MOST_QUOTED])
        more = ", …" if len(silent) > _MOST_QUOTED else ""
        if len(silent) == 1:
            looks = "1 line looks like speech and is not spoken"
        else:
            looks = f"{len(silent):,} lines look like speech and are not spoken"
        yield f"{looks}: {quoted}{more}."


def _silent_captions(sub_events: Sequence[SubEvent]) -> list[str]:
    return [
        event.caption
        for event in sub_events
        if not event.continues
        and not any(isinstance(layer, SpeechLayer) for layer in event.layers)
        and any(isinstance(layer, SoundLayer) for layer in event.layers)
        and looks_spoken(event.caption)
    ]


def note_on_language(code: str) -> Iterator[str]:
    """Yield what a text in a language without word lists goes without."""
    if code == UNKNOWN:
        yield (
            "The language of the text is not known; its lines are spoken by their script. "
            "--language L (language over HTTP) names it."
        )
    elif code.split("-")[0].lower() not in CODES:
        yield (
            f"Read as the language {code!r}: its lines are spoken in it, but words for sounds, times "
            f"and speakers are known in {', '.join(CODES[:-1])} and {CODES[-1]} only."
        )


def note_on_prose(text: str) -> Iterator[str]:
    """Yield a note if an instruction reads like a chapter of a book, which nobody reads aloud."""
    words, paragraphs = words_in(text), len(_BLANK.findall(text.strip())) + 1
    sentences = max(1, len(_STOP.findall(text)))
    if words >= _CHAPTER_WORDS and paragraphs > 2 and words >= _SENTENCE_WORDS * sentences:
        yield (
            "It reads like a chapter, but only its sounds and quotes are heard; with --narrate, or "
            "“Read this aloud:” above it, a narrator reads all of it."
        )


def note_on_absence(left_out: Sequence[str]) -> Iterator[str]:
    """Yield what is not made, for the text says that it is not heard."""
    if left_out:
        more = ", …" if len(left_out) > _MOST_NAMES else ""
        yield f"left out: {', '.join(map(_short, left_out[:_MOST_NAMES]))}{more}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTED else text[: _LONGEST_QUOTED - 1] + "…"

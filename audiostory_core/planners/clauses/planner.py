"""The embedded planner: deterministic, without weights, in any language.

The text is read once into clauses (reading.py), time is shared among them (schedule.py), and
each share becomes one sub-event, or several that continue each other (storyboard.py).
"""

from collections.abc import Sequence
from functools import cache

from audiostory_core.manuscript.detection import check_manuscript, detect, header_end
from audiostory_core.manuscript.elements import Format, Manuscript, Note
from audiostory_core.manuscript.reading import plain_text, read_manuscript
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.manuscripts import unspoken_in
from audiostory_core.planners.clauses.reading import read_instruction, read_script
from audiostory_core.planners.clauses.reading_notes import (
    note_on_absence,
    note_on_language,
    note_on_prose,
    notes_on_reading,
)
from audiostory_core.planners.clauses.remarks.carrying import carry_out
from audiostory_core.planners.clauses.remarks.reader import RemarkReader
from audiostory_core.planners.clauses.remarks.story import StoryRemarks
from audiostory_core.planners.clauses.schedule import make_schedule
from audiostory_core.planners.clauses.storyboard import draw_storyboard
from audiostory_core.planners.clauses.times import TimeReader
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import SHORTEST_SUB_EVENT_S, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.text.detection import UNKNOWN
from audiostory_core.text.spoken.marks import without_footnotes


@cache
def _readers() -> tuple[Languages, RemarkReader, StoryRemarks]:
    """Return what reads words, the same for all planners of a process: loading it takes a while."""
    languages = Languages.load()
    scenes = RemarkReader(languages)
    return languages, scenes, StoryRemarks(languages, scenes)


@cache
def _times() -> TimeReader:
    """Return what reads times, which a revision of one scene does without."""
    return TimeReader(_readers()[0].entries)


MOST_SHOWN = 5  # footnotes in a note


def heard_in(manuscript: Manuscript) -> str:
    """Return what a manuscript tells, without its notes, to know its language by."""
    words = (manuscript.words_of(e) for e in manuscript.elements if not isinstance(e, Note))
    return "\n".join(words)


def _is_spoken(plan: StoryPlan) -> bool:
    return any(
        isinstance(layer, SpeechLayer) for event in plan.sub_events for layer in event.layers
    )


def note_on_footnotes(footnotes: Sequence[str]) -> tuple[str, ...]:
    """Return the note that footnotes are not spoken, if there are any."""
    if not footnotes:
        return ()
    are = "1 footnote is" if len(footnotes) == 1 else f"{len(footnotes)} footnotes are"
    shown = "; ".join(footnotes[:MOST_SHOWN]) + ("; …" if len(footnotes) > MOST_SHOWN else "")
    return (f"{are} not spoken: {shown}",)


class Clauses:
    """Plans a story by the clauses, times and quotes of its instruction."""

    name = "clauses"

    def __init__(self) -> None:
        self._languages, self._scenes, self._remarks = _readers()

    def plan(self, brief: Brief) -> StoryPlan:
        """Return ordered sub-events that cover the whole instruction in the requested time.

        Raises:
            BadInput: if the instruction or the duration cannot be planned.
            ValueError: if the engine's limit is under twice the shortest sub-event, so that some
                totals could not be split.
        """
        if not brief.longest_clip_s >= 2 * SHORTEST_SUB_EVENT_S:
            raise ValueError(f"longest_clip_s is {brief.longest_clip_s}; the least is 1 s")
        text = plain_text(check_manuscript(brief.instruction))
        format_, reason = detect(text)
        without, footnotes = without_footnotes(text)
        if format_ is Format.INSTRUCTION:
            text = without[header_end(without) :]
            manuscript = None
        else:
            manuscript = read_manuscript(text, format_)
        code = brief.language or self._languages.detect(
            heard_in(manuscript) if manuscript else text
        )
        language = self._languages.named(code)
        reading = (
            read_script(manuscript, language, _times(), brief.longest_clip_s)
            if manuscript
            else read_instruction(text, language, self._languages, _times(), brief.longest_clip_s)
        )
        schedule = make_schedule(reading, brief.duration_s, brief.longest_clip_s)
        plan = draw_storyboard(reading, schedule, code, brief.longest_clip_s)
        lines = [(line.start, line.end) for clause in reading.clauses for line in clause.spoken]
        unspoken = list(unspoken_in(manuscript, lines)) if manuscript else None
        prose = () if manuscript else note_on_prose(text)
        unknown = note_on_language(code) if _is_spoken(plan) or code != UNKNOWN else ()
        notes = (
            *notes_on_reading(format_, reason, plan.sub_events, unspoken),
            *unknown,
            *prose,
            *note_on_footnotes(footnotes),
            *note_on_absence(reading.left_out),
            *plan.notes,
        )
        plan = plan.model_copy(update={"notes": notes})
        return carry_out(self._remarks, plan, brief.remarks, brief.duration_s, brief.longest_clip_s)

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event, changed as the author's plain words ask.

        What is promised is checked: the new wording is taken only where foley reads the wanted
        difference from it, and reads everything else as before.

        Raises:
            BadInput: if the words ask for nothing that can be changed, or for a sound that the
                sub-event has not.
        """
        return self._scenes.revise(event, change, language)

    def edits(self, plan: StoryPlan, remark: str, at: int | None = None) -> tuple[Edit, ...]:
        """Return the edits that a remark asks for; see `ReadsRemarks`."""
        return tuple(self._remarks.edits(plan, remark, at))

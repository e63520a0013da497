"""What an author said of rejected plans, carried out on the plan made anew.

A remark names scenes by number ("scene 3"), as "intro" or "ending", or by what is heard in them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.length import LengthReader
from audiostory_core.planners.clauses.timing import parts_of
from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    CastMember,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    samples_of,
    seconds_of,
    whole_samples,
)
from audiostory_core.story.spans import layers_in_parts

_NUMBERED = r"(?:scene|sub-event|part|escena|scène|szene|场景|第|シーン)\s*#?\s*(?P<{0}>\d{{1,4}})(?:\s*[幕场場])?"
_SCENE = re.compile(_NUMBERED.format("at"), re.IGNORECASE)
_PAIR = r"(?:scenes?|parts?|escenas?|scènes?|szenen?)\s*#?\s*(?P<a>\d{1,4})\s*(?:and|with|y|con|et|avec|und|mit|,|&|\+)\s*(?:(?:scene|part)\s*#?)?\s*(?P<b>\d{1,4})"
_MERGE = re.compile(
    rf"(?:merge|join|combine|une|junta|fusionne|verbinde)\s+(?:the\s+)?{_PAIR}", re.IGNORECASE
)
_SWAP = re.compile(
    rf"(?:swap|exchange|switch|intercambia|échange|vertausche|tausche)\s+(?:the\s+)?{_PAIR}",
    re.IGNORECASE,
)
_DELETE = re.compile(
    rf"(?:remove|delete|drop|cut|leave out|quita|elimina|supprime|enlève|entferne|lösche)\s+(?:the\s+)?"
    rf"(?:{_NUMBERED.format('at')}|(?P<end>intro|opening|beginning|first scene|outro|ending|last scene))",
    re.IGNORECASE,
)  # fmt: skip
_ADD = re.compile(
    r"(?:add|insert)\s+(?:a|another|one more|a new)\s+(?:new\s+)?(?:scene|part)\s*"
    r"(?P<where>at the (?:end|start|beginning)|(?:after|before)\s+(?:scene|part)\s*\d{1,4})?\s*"
    r"(?:with|of|where|in which|about|:)\s+(?P<what>.+?)"
    r"(?:\s+(?P<place>at the (?:end|start|beginning)|(?:after|before)\s+(?:scene|part)\s*\d{1,4}))?",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"\b(?:total|whole (?:story|thing)|the story|entire story|in all|altogether|overall)\b|en total|au total"
    r"|insgesamt|总共|全部で|総|全体",
    re.IGNORECASE,
)
_FIRST = re.compile(
    r"\b(?:intro(?:duction)?|opening|beginning|start|first scene|first part)\b", re.IGNORECASE
)
_LAST = re.compile(
    r"\b(?:outro|ending|end|finale|last scene|last part|conclusion)\b", re.IGNORECASE
)
_IN_SCENE = re.compile(
    rf"\s*(?:\b(?:in|of|for|en|dans|bei)\s+)?(?:the\s+)?{_NUMBERED.format('at')}\s*[:,]?\s*",
    re.IGNORECASE,
)
_IN_END = re.compile(
    r"\s*\b(?:in|of|for|at)?\s*(?:the\s+)?(?:intro(?:duction)?|opening|outro|ending|finale|"
    r"(?:first|last) (?:scene|part))\b\s*[:,]?\s*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]{3,}")
_NEW_SCENE_S = 8.0  # of a scene whose length is not given


class Revises(Protocol):
    """Something that changes one scene by plain words."""

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event with the change made, or raise `BadInput`."""
        ...


@dataclass
class _Draft:
    """A plan while remarks are carried out on it."""

    events: list[SubEvent]
    total: int | None  # samples that must stay; None: the total follows the scenes


class RemarkReader:
    """Carries out remarks on plans.

    Args:
        reviser: changes a scene by plain words.
        lengths: reads lengths of time.
    """

    def __init__(self, reviser: Revises, lengths: LengthReader) -> None:
        self._reviser = reviser
        self._lengths = lengths

    def carry_out(
        self, plan: StoryPlan, remarks: Sequence[str], total_s: float | None, longest_clip_s: float
    ) -> StoryPlan:
        """Return the plan with every remark carried out that can be, in order.

        Args:
            plan: as planned from the instruction alone.
            remarks: oldest first; one that cannot be used becomes a note of the plan.
            total_s: total that the author asked for and that stays; None lets it follow.
            longest_clip_s: longer scenes are split.
        """
        total = None if total_s is None else plan.samples
        draft = _Draft(list(plan.sub_events), total)
        notes = list(plan.notes)
        for remark in filter(None, map(str.strip, remarks)):
            before = _Draft(list(draft.events), draft.total)
            try:
                self._carry_out(draft, remark, plan.language)
                _settle(draft, remark, longest_clip_s)
            except BadInput as error:
                draft = before
                notes.append(f"The remark “{remark}” could not be used: {error.problem}.")
        samples = sum(event.samples for event in draft.events)
        return plan.model_copy(
            update={
                "cast": _with_speakers(plan.cast, draft.events),
                "sub_events": tuple(draft.events),
                "duration_s": seconds_of(samples),
                "notes": tuple(notes),
            }
        )

    def _carry_out(self, draft: _Draft, remark: str, language: str) -> None:
        steps: Sequence[Callable[[_Draft, str, str], bool]] = (
            self._add, self._merge, self._swap, self._delete, self._total, self._one_scene,
        )  # fmt: skip
        if any(step(draft, remark.rstrip(" .!"), language) for step in steps):
            return
        at = _nearest(draft.events, remark)
        if at is None:
            draft_words = "names no scene, and no scene shares a word with it"
            raise _unused(remark, draft_words)
        self._revise(draft, at, remark, language)

    def _add(self, draft: _Draft, remark: str, language: str) -> bool:
        match = _ADD.fullmatch(remark)
        if match is None:
            return False
        place = (match["where"] or match["place"] or "at the end").lower()
        number = re.search(r"\d+", place)
        at = len(draft.events)
        if number:
            at = _index(draft, int(number[0]), remark) + (1 if place.startswith("after") else 0)
        elif not place.endswith("end"):
            at = 0
        what = match["what"].strip()
        length = self._lengths.read(what, 0.0)
        layer = SoundLayer(kind=SoundKind.SFX, text=what)
        duration_s = self._lengths.checked(length or _NEW_SCENE_S, remark)
        draft.events.insert(at, SubEvent(caption=what, duration_s=duration_s, layers=(layer,)))
        if at + 1 < len(draft.events):
            draft.events[at + 1] = draft.events[at + 1].model_copy(update={"continues": False})
        return True

    def _merge(self, draft: _Draft, remark: str, language: str) -> bool:
        match = _MERGE.search(remark)
        if match is None:
            return False
        first, last = sorted(_index(draft, int(match[name]), remark) for name in "ab")
        if last - first != 1:
            raise _unused(remark, "only two scenes that follow each other can be merged")
        left, right = draft.events[first], draft.events[last]
        captions = dict.fromkeys((left.caption.rstrip(" .。"), right.caption))
        gap = "。" if language in ("zh", "ja") else ". "
        draft.events[first : last + 1] = [
            left.model_copy(
                update={
                    "caption": gap.join(captions),
                    "layers": (
                        *left.layers,
                        *(layer for layer in right.layers if layer not in left.layers),
                    ),
                    "duration_s": seconds_of(left.samples + right.samples),
                }
            )
        ]
        return True

    def _swap(self, draft: _Draft, remark: str, language: str) -> bool:
        match = _SWAP.search(remark)
        if match is None:
            return False
        a, b = (_index(draft, int(match[name]), remark) for name in "ab")
        if a == b:
            raise _unused(remark, "names one scene twice")
        draft.events[a], draft.events[b] = (
            event.model_copy(update={"continues": False})
            for event in (draft.events[b], draft.events[a])
        )
        return True

    def _delete(self, draft: _Draft, remark: str, language: str) -> bool:
        match = _DELETE.fullmatch(remark)
        if match is None:
            return False
        at = _index(draft, int(match["at"]), remark) if match["at"] else _end(draft, remark)
        if at is None or len(draft.events) == 1:
            raise _unused(remark, "a story has one scene at least")
        del draft.events[at]
        if at < len(draft.events):
            draft.events[at] = draft.events[at].model_copy(update={"continues": False})
        return True

    def _total(self, draft: _Draft, remark: str, language: str) -> bool:
        if not _TOTAL.search(remark) or _SCENE.search(remark):
            return False
        now_s = seconds_of(sum(event.samples for event in draft.events))
        length = self._requested_length(remark, now_s)
        if length is None:
            return False
        if not SHORTEST_STORY_S <= length <= LONGEST_STORY_S:
            raise _unused(remark, f"a story cannot be {length:g} s long")
        draft.total = samples_of(length)
        return True

    def _one_scene(self, draft: _Draft, remark: str, language: str) -> bool:
        numbered = _SCENE.search(remark)
        at = _index(draft, int(numbered["at"]), remark) if numbered else _end(draft, remark)
        if at is None:
            return False
        change = (_IN_SCENE if numbered else _IN_END).sub(" ", remark).strip(" ,:")
        length = self._requested_length(change, draft.events[at].duration_s)
        if length is not None:
            self._lasting(draft, at, self._lengths.checked(length, remark))
            return True
        self._revise(draft, at, change or remark, language)
        return True

    def _requested_length(self, words: str, now_s: float) -> float | None:
        length = self._lengths.read(words, now_s)
        return length if length is not None else self._lengths.scaled(words, now_s)

    def _revise(self, draft: _Draft, at: int, change: str, language: str) -> None:
        event = draft.events[at]
        revised = self._reviser.revise(event, change, language)
        draft.events[at] = revised.model_copy(update={"duration_s": event.duration_s})
        if revised.samples != event.samples:
            self._lasting(draft, at, revised.duration_s)

    def _lasting(self, draft: _Draft, at: int, duration_s: float) -> None:
        """Give a scene its length; where the total stays, the others give or take."""
        draft.events[at] = draft.events[at].model_copy(update={"duration_s": duration_s})
        if draft.total is not None:
            _fit(draft.events, draft.total, keep=at)


def _with_speakers(
    cast: tuple[CastMember, ...], events: Sequence[SubEvent]
) -> tuple[CastMember, ...]:
    """Return the cast and all others who speak."""
    known = {member.name: member for member in cast}
    for event in events:
        for layer in event.layers:
            if isinstance(layer, SpeechLayer) and layer.speaker:
                known.setdefault(layer.speaker, CastMember(name=layer.speaker))
    return tuple(known.values())


def _index(draft: _Draft, number: int, remark: str) -> int:
    if not 1 <= number <= len(draft.events):
        count = len(draft.events)
        raise _unused(remark, f"there is no scene {number}; the story has {count} scenes")
    return number - 1


def _end(draft: _Draft, remark: str) -> int | None:
    if _FIRST.search(remark):
        return 0
    return len(draft.events) - 1 if _LAST.search(remark) else None


def _unused(remark: str, problem: str) -> BadInput:
    return BadInput("remark", remark, problem, 'Say, for example, "make scene 3 longer".')


def _nearest(events: Sequence[SubEvent], remark: str) -> int | None:
    roots = {_root(word) for word in _WORD.findall(remark.lower())}
    shared = [
        len(roots & {_root(word) for word in _WORD.findall(event.caption.lower())})
        for event in events
    ]
    pairs = {remark[i : i + 2] for i in range(len(remark) - 1)} if not remark.isascii() else set()
    shared = [n + sum(p in e.caption for p in pairs) for n, e in zip(shared, events, strict=True)]
    best = max(range(len(events)), key=lambda at: shared[at])
    return best if shared[best] else None


def _root(word: str) -> str:
    return word.removesuffix("s") if len(word) > 3 else word


def _settle(draft: _Draft, remark: str, longest_clip_s: float) -> None:
    """Make the scenes add up to a total that stays, and split those too long for a clip."""
    total = draft.total
    if total is not None and sum(event.samples for event in draft.events) != total:
        _fit(draft.events, total, keep=None)
    samples = sum(event.samples for event in draft.events)
    if not samples_of(SHORTEST_STORY_S) <= samples <= samples_of(LONGEST_STORY_S):
        raise _unused(remark, f"a story cannot be {seconds_of(samples):g} s long")
    if any(event.samples < samples_of(SHORTEST_SUB_EVENT_S) for event in draft.events):
        raise _unused(remark, f"a scene would be shorter than {SHORTEST_SUB_EVENT_S:g} s")
    draft.events[:] = [part for event in draft.events for part in _split(event, longest_clip_s)]


def _fit(events: list[SubEvent], total: int, keep: int | None) -> None:
    """Give all scenes but one the rest of a total, in proportion."""
    others = [at for at in range(len(events)) if at != keep]
    rest = total - (0 if keep is None else events[keep].samples)
    least = samples_of(SHORTEST_SUB_EVENT_S)
    if not others or rest < least * len(others):
        problem = "the total that was asked for leaves the other scenes no time"
        raise _unused(f"{seconds_of(total):g} s", problem)
    extra = [max(events[at].samples - least, 0) + 1.0 for at in others]
    shares = whole_samples(extra, rest - least * len(others))
    for at, more in zip(others, shares, strict=True):
        events[at] = events[at].model_copy(update={"duration_s": seconds_of(least + more)})


def _split(event: SubEvent, longest_clip_s: float) -> list[SubEvent]:
    spoken = sum(spoken_s(layer.words) for layer in event.layers if isinstance(layer, SpeechLayer))
    parts = parts_of(event.samples, longest_clip_s, spoken)
    layers = layers_in_parts(event.layers, len(parts))
    return [
        event.model_copy(
            update={"duration_s": seconds_of(part), "layers": layers[number]}
            | ({"continues": True} if number else {})
        )
        for number, part in enumerate(parts)
    ]

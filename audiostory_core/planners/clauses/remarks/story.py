"""Remarks on a whole story: they name scenes, put them in another order, or mean every scene.

A remark names scenes by number ("scene 3", "the third scene"), as "intro" or "ending", or by what
is heard in them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import CODES, Languages
from audiostory_core.planners.clauses.length import LONGER, SHORTER
from audiostory_core.planners.clauses.remarks.lines import ONE_LINE
from audiostory_core.planners.clauses.remarks.phrases import without_dangling
from audiostory_core.planners.clauses.remarks.reader import RemarkReader, check_signs, halves
from audiostory_core.planners.clauses.remarks.vocabulary import FILLER, Span, Tagged
from audiostory_core.planners.clauses.remarks.wishes import NotUnderstood
from audiostory_core.story.edits import (
    Delete,
    Edit,
    Insert,
    Merge,
    Move,
    Reword,
    Split,
    Swap,
    Voice,
)
from audiostory_core.story.plan import (
    SHORTEST_SUB_EVENT_S,
    SoundKind,
    SoundLayer,
    StoryPlan,
    samples_of,
    seconds_of,
    whole_samples,
)

NEW_SCENE_S = 8.0  # of a scene whose length is not given
_NUMBERED = re.compile(
    r"(?:\b(?:scene|sub-event|part|shot|escena|parte|scène|partie|szene|teil)\s*#?\s*(?P<after>\d{1,4})"
    r"|(?:场景|シーン|场面|場面)\s*(?P<han>\d{1,4})|第\s*(?P<nth>\d{1,4}|[一二三四五六七八九十])\s*(?:个)?(?:幕|场|場面|場|シーン|场景)"
    r"|(?P<count>\d{1,4})番目の?(?:シーン|場面))",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\b(?:scenes?|parts?|escenas?|scènes?|szenen?)\s*#?\s*(?P<a>\d{1,4})\s*(?:and|with|y|con|et|avec|und|mit|,|&|\+)\s*"
    r"(?:(?:the\s+)?(?:scene|part|escena|la scène|scène|szene)\s*#?)?\s*(?P<b>\d{1,4})"
    r"|(?:场景|シーン|场面|場面|第)\s*(?P<c>\d{1,4})\s*(?:幕|场)?\s*(?:和|与|跟|と)\s*(?:场景|シーン|场面|場面|第)?\s*(?P<d>\d{1,4})\s*(?:幕|场)?",
    re.IGNORECASE,
)  # fmt: skip
_ADD = re.compile(
    r"(?:please\s+)?(?:add|insert)\s+(?:a|another|one more|a new)\s+(?:new\s+)?(?:scene|part)\s*"
    r"(?P<where>at the (?:end|start|beginning)|(?:after|before)\s+(?:scene|part)\s*\d{1,4})?\s*"
    r"(?:with|of|where|in which|about|:)\s+(?P<what>.+?)"
    r"(?:\s+(?P<place>at the (?:end|start|beginning)|(?:after|before)\s+(?:scene|part)\s*\d{1,4}))?",
    re.IGNORECASE,
)
_HAN = "一二三四五六七八九十"
_REMEDY = (
    'Say, for example, "make scene 3 longer", "the rain is too loud", "swap scenes 1 and 2" or '
    '"remove the music in scene 2"; or edit the plan exactly, see docs/authoring.md.'
)


@dataclass(frozen=True)
class Reference:
    """Scenes that a remark names, and the words that name them."""

    places: tuple[int, ...]
    spans: tuple[Span, ...]


class StoryRemarks:
    """Reads remarks on a story."""

    def __init__(self, languages: Languages, scenes: RemarkReader) -> None:
        self._languages = languages
        self._entries = dict(zip(CODES, languages.entries, strict=True))
        self._scenes = scenes

    def edits(self, plan: StoryPlan, remark: str, at: int | None = None) -> list[Edit]:
        """Return the edits that a remark asks for.

        Args:
            plan: as it is.
            remark: plain words.
            at: place of the scene that it is about; None: it says so itself, or means the story.

        Raises:
            BadInput: if a word of it has no part in any wish, or a wish cannot be carried out.
        """
        field = "remark" if at is None else "change"
        words = remark.strip()
        if not words:
            raise BadInput(field, remark, "is empty", _REMEDY)
        check_signs(field, remark)
        try:
            return self._wishes(plan, words, at, most=8)
        except BadInput as error:
            raise BadInput(field, remark, error.problem, error.remedy) from error

    def _wishes(self, plan: StoryPlan, words: str, at: int | None, most: int) -> list[Edit]:
        try:
            return self._wish(plan, words, at)
        except NotUnderstood as error:
            problem = error
        for first, rest in halves(words, self._entries) if most > 1 else ():
            try:
                edits = self._wish(plan, first, at)
                more = self._wishes(plan, rest, at, most - 1)
            except NotUnderstood:
                continue
            if not _are_apart(edits, more):
                raise _refused(
                    words, "asks for two things of one scene; ask for one after the other"
                )
            return [*edits, *more]
        raise problem

    def _wish(self, plan: StoryPlan, words: str, at: int | None) -> list[Edit]:
        bare = words.strip(" .!。！,;")
        added = _ADD.fullmatch(bare)
        if added is not None:
            return [self._insert(plan, added, bare)]
        problem: BadInput | None = None
        for code in self._scenes.codes(plan.language, plan.sub_events[0].caption):
            try:
                return self._wish_in(plan, bare, at, code)
            except NotUnderstood as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _wish_in(self, plan: StoryPlan, words: str, at: int | None, code: str) -> list[Edit]:
        vocabulary = self._scenes.vocabulary(code)
        text = vocabulary.prepared(words)
        lengths = [
            Span(start, end, frozenset(("length",)), {"length": seconds})
            for start, end, seconds in self._scenes.lengths.spans(text)
        ]
        reference = self._reference(plan, text, code, words)
        tagged = vocabulary.tagged(text, [*lengths, *reference.spans])
        if not tagged.has("negation"):
            ordered = self._ordered(plan, tagged, reference, words)
            if ordered is not None:
                return ordered
        if not reference.places:
            return self._anywhere(plan, words, at, tagged)
        if at is not None and reference.places != (at,):
            raise _refused(words, f"names another scene than {at + 1}, which it is about")
        rest = tagged.without([span for span in tagged.spans if "named_scene" in span.tags])
        rest = without_dangling(rest)
        try:
            made = [self._of_scene(plan, place, rest) for place in reference.places]
        except BadInput as error:
            if len(reference.places) == 1:
                raise
            raise NotUnderstood(error.field, error.value, error.problem, error.remedy) from error
        return [edit for edits in made for edit in edits]

    def _of_scene(self, plan: StoryPlan, place: int, words: str) -> list[Edit]:
        event = plan.sub_events[place]
        return self._scenes.edits(event, place + 1, words, plan.language, plan.cast)

    def _anywhere(self, plan: StoryPlan, words: str, at: int | None, tagged: Tagged) -> list[Edit]:
        """Read a wish that names no scene: of the scene it is about, or of all where it makes sense."""
        if at is not None:
            return self._of_scene(plan, at, words)
        total = self._total(plan, tagged, words)
        if total is not None:
            return total
        understood: list[tuple[int, list[Edit]]] = []
        problem: BadInput | None = None
        places = range(len(plan.sub_events))
        for place in places[:1] if self._scenes.opens_silent(words) else places:
            try:
                understood.append((place, self._of_scene(plan, place, words)))
            except BadInput as error:
                is_better = problem is None or isinstance(problem, NotUnderstood)
                problem = error if is_better else problem
        if not understood:
            assert problem is not None
            raise problem
        return self._everywhere(plan, understood, words, tagged)

    def _everywhere(
        self,
        plan: StoryPlan,
        understood: Sequence[tuple[int, list[Edit]]],
        words: str,
        tagged: Tagged,
    ) -> list[Edit]:
        edits = [edit for _, each in understood for edit in each]
        is_new = any(
            isinstance(edit, Reword)
            and edit.layers is not None
            and (
                tagged.has("plus", "rewrite") or len(edit.layers) > len(plan.sub_events[at].layers)
            )
            for at, each in understood
            for edit in each
        )
        if len(understood) > 1 and (
            is_new or set(tagged.values("line")) & ONE_LINE or '"' in words
        ):
            places = ", ".join(str(place + 1) for place, _ in understood)
            raise _refused(words, f"could be about any of the scenes {places}; say which")
        voices = {(e.speaker, e.description): e for e in edits if isinstance(e, Voice)}
        others = [edit for edit in edits if not isinstance(edit, Voice)]
        everywhere = [voice.model_copy(update={"sub_event": None}) for voice in voices.values()]
        return [*others, *everywhere]

    def _total(self, plan: StoryPlan, tagged: Tagged, words: str) -> list[Edit] | None:
        """Return every scene longer or shorter, if the length of the story is what is asked for."""
        allowed = {FILLER, "length", "longer", "shorter", "plus", "minus", "story", "everything",
                   "lasting", "to_length", "slightly", "much", "even", "scene"}  # fmt: skip
        wants = tagged.has("length", "longer", "shorter")
        if tagged.unread() or not wants or any(not s.tags & allowed for s in tagged.spans):
            return None
        is_longer, is_shorter = tagged.has("longer", "plus"), tagged.has("shorter", "minus")
        lengths = tagged.values("length")
        if len(lengths) > 1 or (is_longer and is_shorter):
            raise _refused(words, "asks for several lengths")
        now_s = plan.duration_s
        if not lengths:
            total_s = now_s * (LONGER if is_longer else SHORTER)
        else:
            sign = 1 if is_longer else -1 if is_shorter else 0
            total_s = now_s + sign * lengths[0] if sign else lengths[0]
        if not 1.0 <= total_s <= 86_400:
            raise _refused(words, f"would make the story {total_s:g} s long")
        weights = [event.duration_s for event in plan.sub_events]
        shares = whole_samples(weights, samples_of(total_s))
        if min(shares) < samples_of(SHORTEST_SUB_EVENT_S):
            raise _refused(words, f"would make a scene shorter than {SHORTEST_SUB_EVENT_S:g} s")
        return [
            Reword(sub_event=number, duration_s=seconds_of(share))
            for number, share in enumerate(shares, 1)
        ]

    # Order

    def _ordered(
        self, plan: StoryPlan, tagged: Tagged, reference: Reference, words: str
    ) -> list[Edit] | None:
        """Return edits of the order of scenes; None if the words ask for none."""
        pair = _PAIR.search(tagged.text)
        if pair and tagged.has("swap", "merge"):
            first, second = (
                _place(plan, int(pair[a] or pair[b]), words) for a, b in (("a", "c"), ("b", "d"))
            )
            self._check(
                tagged, {"swap", "merge", "named_scene", "scene", "everything", "move"}, words
            )
            return _of_pair(tagged.has("merge"), first, second, words)
        steps: Sequence[tuple[str, set[str], Callable[..., list[Edit] | None]]] = (
            ("split", {"split", "minus", "length", "after", "to_length", "remove"}, _split),
            ("move", {"move", "pan", "before", "after", "at_start", "at_end", "opening", "ending", "opens"}, _moved),
            ("delete_scene", {"delete_scene", "remove", "minus"}, _deleted),
        )  # fmt: skip
        for tag, allowed, make in steps:
            may = allowed | {"named_scene", "scene", "everything"}
            if not reference.places or not tagged.has(tag) or not _fits(tagged, may):
                continue
            edits = make(plan, tagged, reference, words)
            if edits is not None:
                return edits
        return None

    def _check(self, tagged: Tagged, allowed: set[str], words: str) -> None:
        if not _fits(tagged, allowed):
            unread = " ".join(tagged.unread())
            raise _refused(words, f"has words that mean nothing here (“{unread}”)")

    def _insert(self, plan: StoryPlan, match: re.Match[str], remark: str) -> Insert:
        place = (match["where"] or match["place"] or "at the end").lower()
        number = re.search(r"\d+", place)
        at = len(plan.sub_events) + 1
        if number:
            at = _place(plan, int(number[0]), remark) + (2 if place.startswith("after") else 1)
        elif not place.endswith("end"):
            at = 1
        what = match["what"].strip()
        self._scenes.check_sound(what, plan.language, remark)
        length_s = next((seconds for *_, seconds in self._scenes.lengths.spans(what)), NEW_SCENE_S)
        layer = SoundLayer(kind=SoundKind.SFX, text=what)
        return Insert(at=at, caption=what, duration_s=length_s, layers=(layer,))

    def _reference(self, plan: StoryPlan, text: str, code: str, words: str) -> Reference:
        """Find the scenes that words name."""
        pair = _PAIR.search(text)
        if pair:
            numbers = (int(pair["a"] or pair["c"]), int(pair["b"] or pair["d"]))
            places = tuple(_place(plan, number, words) for number in numbers)
            return Reference(places, (_scene_span(*pair.span()),))
        places_named: list[int] = []
        spans: list[Span] = []
        for match in _NUMBERED.finditer(text):
            figure = next(filter(None, match.groups()))
            number = _HAN.index(figure) + 1 if figure in _HAN else int(figure)
            places_named.append(_place(plan, number, words))
            spans.append(_scene_span(*match.span()))
        vocabulary = self._scenes.vocabulary(code)
        patterns = dict(vocabulary.patterns)
        for nth, ordinal in enumerate(vocabulary.ordinals, 1):
            for match in re.finditer(
                rf"(?<!\w){ordinal}\s+{patterns['scene'].pattern}", text, re.IGNORECASE
            ):
                places_named.append(_place(plan, nth, words))
                spans.append(_scene_span(*match.span()))
        for tag, place in (("opening", 0), ("ending", len(plan.sub_events) - 1)):
            for match in patterns[tag].finditer(text):
                if not any(s.start < match.end() and match.start() < s.end for s in spans):
                    is_end = match[0].lower() in ("the beginning", "the start", "the end")
                    if is_end and re.search(
                        r"\b(?:at|in|to|before|after)\s+$", text[: match.start()]
                    ):
                        continue
                    places_named.append(place)
                    spans.append(_scene_span(*match.span()))
        return Reference(tuple(places_named), tuple(spans))


def _are_apart(edits: Sequence[Edit], more: Sequence[Edit]) -> bool:
    """Tell whether two wishes do not come in each other's way: no order, no whole layers of both."""
    ordering = (Insert, Delete, Move, Swap, Split, Merge)
    if any(isinstance(edit, ordering) for edit in (*edits, *more)):
        return False
    whole = [
        {e.sub_event for e in each if isinstance(e, Reword) and e.layers is not None}
        for each in (edits, more)
    ]
    scenes = [{getattr(e, "sub_event", None) for e in each} for each in (edits, more)]
    return not (whole[0] & scenes[1]) and not (whole[1] & scenes[0])


def _fits(tagged: Tagged, allowed: set[str]) -> bool:
    may = allowed | {FILLER}
    return not tagged.unread() and all(span.tags & may for span in tagged.spans)


def _of_pair(is_merge: bool, first: int, second: int, words: str) -> list[Edit]:
    if first == second:
        raise _refused(words, "names one scene twice")
    if not is_merge:
        return [Swap(sub_event=first + 1, other=second + 1)]
    if abs(first - second) != 1:
        raise _refused(words, "only two scenes that follow each other can be merged")
    return [Merge(sub_event=min(first, second) + 1)]


def _split(plan: StoryPlan, tagged: Tagged, reference: Reference, words: str) -> list[Edit] | None:
    lengths = tagged.values("length")
    if len(reference.places) != 1 or len(lengths) != 1:
        return None
    return [Split(sub_event=reference.places[0] + 1, at_s=lengths[0])]


def _moved(plan: StoryPlan, tagged: Tagged, reference: Reference, words: str) -> list[Edit] | None:
    place, *others = reference.places
    if tagged.has("at_start", "opens", "opening"):
        to = 0
    elif tagged.has("at_end", "ending"):
        to = len(plan.sub_events) - 1
    elif len(others) == 1 and tagged.has("before", "after"):
        to = others[0] + tagged.has("after") - (place < others[0])
    else:
        return None
    if to == place:
        raise _refused(words, "asks for what is there already")
    return [Move(sub_event=place + 1, to=to + 1)]


def _deleted(
    plan: StoryPlan, tagged: Tagged, reference: Reference, words: str
) -> list[Edit] | None:
    if len(reference.places) != 1:
        return None
    if len(plan.sub_events) == 1:
        raise _refused(words, "a story has one scene at least")
    return [Delete(sub_event=reference.places[0] + 1)]


def _scene_span(start: int, end: int) -> Span:
    return Span(start, end, frozenset(("named_scene",)), {"named_scene": True})


def _place(plan: StoryPlan, number: int, words: str) -> int:
    count = len(plan.sub_events)
    if not 1 <= number <= count:
        raise _refused(words, f"there is no scene {number}; the story has {count} scenes")
    return number - 1


def _refused(words: str, problem: str) -> BadInput:
    return BadInput("remark", words, problem, _REMEDY)

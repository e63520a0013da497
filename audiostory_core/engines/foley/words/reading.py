"""What a text says can be heard, and how: mentions of sounds, places, silence, and their shapes.

Words that shape a sound ("distant", "three", "drives away") belong to the nearest sound of their
clause. A clause that names no sound says more of the one before: "it pulls out slowly".
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from audiostory_core.engines.foley.sound import Mention, Shape
from audiostory_core.engines.foley.words.inflection import Word
from audiostory_core.engines.foley.words.phrases import Match

Room = Literal["outdoor", "small", "room", "hall", "cave"]
Side = Literal["next", "previous", "nearest"]
Role = Literal["kind", "place", "silence"]

_REACH = 3  # words between a number and what it counts
_WRONG_SIDE = 2.5  # words of detour that a modifier makes for a sound on the side it prefers
_JUNCTION = 1.5  # words that an "and" in between counts for
_HORIZON = 12  # sounds to either side that a word may shape
_MAX_SOUNDS = 24  # of one count: "a thousand bells" is many, not a thousand


@dataclass(frozen=True)
class Reading:
    """What foley understands of a text.

    Attributes:
        mentions: the sounds it names, in the order of the text.
        ambience: beds of the places it names, faint; none that `mentions` names already.
        silences: words for silence ("a pause"), each a mention of kind `silence`.
        room: where it plays, if it says so.
        carried: shape of something that it does not name ("and drives away"); belongs to what
            the scene before was about.
        unmatched: the text itself, if nothing in it was understood; else empty.
        denied: sounds that it says are not heard, each at the words that name it.
        absences: the words that say so.
        is_scenery: whether it says where, when or in what mood it plays, and names no sound.
    """

    mentions: tuple[Mention, ...] = ()
    ambience: tuple[Mention, ...] = ()
    silences: tuple[Mention, ...] = ()
    room: Room | None = None
    carried: Shape = field(default_factory=Shape)
    unmatched: tuple[str, ...] = ()
    denied: tuple[Mention, ...] = ()
    absences: tuple[str, ...] = ()
    is_scenery: bool = False

    @property
    def is_silence(self) -> bool:
        """Whether it asks for silence and nothing else."""
        return bool(self.silences) and not self.mentions


@dataclass(frozen=True)
class Heard:
    """What a phrase of the lexicon stands for."""

    role: Role
    name: str  # of the kind or the place


@dataclass(frozen=True)
class Modifier:
    """What a word such as "distant" does to the sound it belongs to.

    `swallows`: the next name is a landmark, not a sound: "beyond the river".
    """

    shape: Mapping[str, Any] = field(default_factory=dict)  # fields of Shape
    side: Side = "nearest"
    swallows: bool = False
    times: bool = False  # the number before it counts what happened: "three times"
    unit: bool = False  # the number before it measures something: "ten minutes"


@dataclass(frozen=True)
class Place:
    """A place: what is always heard there, and how it reverberates."""

    room: Room | None
    beds: Mapping[str, Mapping[str, Any]]  # kind → fields of Shape


@dataclass(frozen=True)
class Grammar:
    """What reading must know of a language besides its phrases."""

    junctions: frozenset[str]  # and, while, …
    continuations: frozenset[str]  # first words of a text that goes on with the last: and, it, …
    numbers: Mapping[str, int]
    adjectives: Side  # where an adjective has its noun


@dataclass
class _Target:
    """A sound, place or silence that the words around it may shape."""

    match: Match[Heard]
    heard: Heard
    clause: int
    sentence: int
    shape: Shape = field(default_factory=Shape)
    removed: bool = False

    @classmethod
    def of(cls, match: Match[Heard], heard: Heard, words: Sequence[Word]) -> Self:
        word = words[match.first]
        return cls(match, heard, word.clause, word.sentence)

    def distance(self, modifier: Match[Modifier]) -> int:
        """Words between; negative if the target stands before the modifier, 0 if they touch."""
        if self.match.last < modifier.first:
            return self.match.last - modifier.first + 1
        return max(0, self.match.first - modifier.last - 1)

    def holds(self, modifier: Match[Modifier]) -> bool:
        return self.match.first <= modifier.first and modifier.last <= self.match.last

    def precedes(self, modifier: Match[Modifier]) -> bool:
        return self.match.last < modifier.first


class _Attachment:
    """Gives every modifier of a text to what it belongs to."""

    def __init__(
        self,
        words: Sequence[Word],
        targets: list[_Target],
        grammar: Grammar,
        movers: frozenset[str],
    ) -> None:
        self._words = words
        self._targets = targets
        self._starts = [target.match.first for target in targets]
        self._grammar = grammar
        self._movers = movers
        self.carried = Shape()

    def give(self, match: Match[Modifier]) -> None:
        modifier = match.label
        if modifier is None or modifier.unit:
            return
        if modifier.times:
            self._count(match)
        elif modifier.swallows:
            self._take_next(match)
        if modifier.shape:
            self._shape(match, modifier)

    def _around(self, at: int) -> list[_Target]:
        """The targets near words[at], in order; what is further away is never meant."""
        index = bisect_right(self._starts, at)
        nearby = self._targets[max(0, index - _HORIZON) : index + _HORIZON]
        return [target for target in nearby if not target.removed]

    def _shape(self, match: Match[Modifier], modifier: Modifier) -> None:
        clause = self._words[match.first].clause
        moves = "motion" in modifier.shape or "pace" in modifier.shape
        here = [
            target
            for target in self._around(match.first)
            if target.clause == clause and not (moves and target.heard.role == "place")
        ]
        if here:
            chosen = [min(here, key=lambda target: self._cost(target, match, modifier.side))]
        else:
            chosen = self._elsewhere(match, moves)
        for target in chosen:
            target.shape = merge(target.shape, modifier.shape)
        if not chosen:
            self.carried = merge(self.carried, modifier.shape)

    def _cost(self, target: _Target, match: Match[Modifier], side: Side) -> tuple[float, bool]:
        if target.holds(match):
            return (-1.0, False)
        between = target.distance(match)
        cost = float(abs(between))
        start, end = sorted((target.match.first, match.first))
        junctions = self._grammar.junctions
        cost += _JUNCTION * sum(word.text in junctions for word in self._words[start + 1 : end])
        precedes = target.precedes(match)
        if side != "nearest" and precedes != (side == "previous"):
            cost += _WRONG_SIDE
        return (cost, precedes != (self._grammar.adjectives == "previous"))

    def _elsewhere(self, match: Match[Modifier], moves: bool) -> list[_Target]:
        """Targets for a clause that has none of its own."""
        word = self._words[match.first]
        sounds = [target for target in self._around(match.first) if target.heard.role == "kind"]
        before = [target for target in sounds if target.precedes(match)]
        if moves and before:
            moving = [target for target in before if target.heard.name in self._movers]
            last = (moving or before)[-1:]
            return [target for target in moving or before if target.clause == last[0].clause]
        near = [target for target in sounds if target.sentence == word.sentence]
        return sorted(near, key=lambda target: abs(target.distance(match)))[:1]

    def count(self, at: int, number: int) -> None:
        """Give a number to the sound that follows it closely, in its clause."""
        reach = 1 if number == 1 else _REACH
        for target in self._around(at):
            gap = target.match.first - at - 1
            same_clause = target.clause == self._words[at].clause
            inside = target.match.first <= at <= target.match.last
            if inside or (same_clause and 0 <= gap <= reach):
                target.shape = replace(target.shape, count=min(number, _MAX_SOUNDS))
                return

    def _count(self, match: Match[Modifier]) -> None:
        number = self._number_before(match.first)
        if number is not None:
            self._shape(match, Modifier({"count": min(number, _MAX_SOUNDS)}, side="previous"))

    def _number_before(self, at: int) -> int | None:
        if at == 0 or self._words[at].clause != self._words[at - 1].clause:
            return None
        return number_of(self._words[at - 1].text, self._grammar)

    def _take_next(self, match: Match[Modifier]) -> None:
        nearby = self._around(match.last)
        for target in nearby:
            gap = target.match.first - match.last - 1
            near = 0 <= gap <= 1 and target.clause == self._words[match.first].clause
            if near and len(nearby) > 1:
                target.removed = True
                return


def number_of(word: str, grammar: Grammar) -> int | None:
    """Return what a number word or digits mean, if it is a whole number from 1."""
    if word.isascii() and word.isdigit():
        return int(word[:4]) or None
    tens, ten, ones = word.partition("十")
    if ten and word not in grammar.numbers:
        return 10 * grammar.numbers.get(tens, 1) + grammar.numbers.get(ones, 0)
    return grammar.numbers.get(word)


def merge(shape: Shape, change: Mapping[str, Any]) -> Shape:
    """Return the shape with one more change.

    Of two figures the one further from the ordinary holds, of two words the later.
    """
    changes = dict(change)
    for name in ("intensity", "size", "distance"):
        if name in change and abs(getattr(shape, name)) > abs(change[name]):
            del changes[name]
    if "pace" in change and abs(shape.pace - 1) > abs(change["pace"] - 1):
        del changes["pace"]
    return replace(shape, **changes)


@dataclass(frozen=True)
class TextMatches:
    """All that the lexicon has matched in a text, to be put together."""

    text: str
    words: Sequence[Word]
    heard: Sequence[Match[Heard]]
    modifiers: Sequence[Match[Modifier]]
    grammar: Grammar
    places: Mapping[str, Place]
    movers: frozenset[str]
    heading_room: Room | None


def put_together(matches: TextMatches) -> Reading:
    """Return the reading of a text in which these phrases were matched."""
    targets = _targets(matches)
    attachment = _Attachment(matches.words, targets, matches.grammar, matches.movers)
    _count_all(matches, attachment)
    for modifier in matches.modifiers:
        attachment.give(modifier)
    kept = [target for target in targets if not target.removed]
    mentions = tuple(_mention(target, matches) for target in kept if target.heard.role == "kind")
    silences = tuple(_mention(target, matches) for target in kept if target.heard.role == "silence")
    places = [target for target in kept if target.heard.role == "place"]
    understood = bool(kept) or attachment.carried.motion is not None
    return Reading(
        mentions=mentions,
        ambience=_ambience(places, mentions, matches),
        silences=silences,
        room=matches.heading_room or _room(places, matches),
        carried=attachment.carried,
        unmatched=() if understood or not matches.text.strip() else (matches.text.strip(),),
    )


def _targets(matches: TextMatches) -> list[_Target]:
    targets: list[_Target] = []
    for match in matches.heard:
        if match.label is None:
            continue
        target = _Target.of(match, match.label, matches.words)
        same = [earlier for earlier in targets[-2:] if _same_sound(earlier, target, matches)]
        if same:
            targets[targets.index(same[-1])] = _joined(same[-1], target, matches)
        else:
            targets.append(target)
    return targets


def _same_sound(before: _Target, after: _Target, matches: TextMatches) -> bool:
    """Whether two words mean one sound: "a dog starts barking"."""
    between = matches.words[before.match.last + 1 : after.match.first]
    return (
        before.heard == after.heard
        and before.clause == after.clause
        and len(between) <= _REACH
        and not any(word.text in matches.grammar.junctions for word in between)
    )


def _joined(before: _Target, after: _Target, matches: TextMatches) -> _Target:
    shape = before.shape
    count = before.shape.count or 1
    is_word = count == before.match.last - before.match.first + 1
    last, first = matches.words[before.match.last], matches.words[after.match.first]
    touch = before.match.last + 1 == after.match.first == after.match.last
    if is_word and touch and last.text == first.text:  # "knock knock knock"
        shape = replace(shape, count=min(count + 1, _MAX_SOUNDS))
    match = Match(before.heard, before.match.first, after.match.last)
    return replace(before, match=match, shape=shape)


def _count_all(matches: TextMatches, attachment: _Attachment) -> None:
    measured = {
        match.first - 1
        for match in matches.modifiers
        if match.label is not None and (match.label.unit or match.label.times)
    }
    named = {at for match in matches.modifiers for at in range(match.first, match.last + 1)}
    for at, word in enumerate(matches.words):
        number = number_of(word.text, matches.grammar)
        if number is not None and at not in measured | named:
            attachment.count(at, number)


def _mention(target: _Target, matches: TextMatches) -> Mention:
    start = matches.words[target.match.first].start
    end = matches.words[target.match.last].end
    return Mention(target.heard.name, matches.text[start:end], start, end, target.shape)


def _ambience(
    places: Sequence[_Target], mentions: Sequence[Mention], matches: TextMatches
) -> tuple[Mention, ...]:
    beds: dict[str, Mention] = {}
    named = {mention.kind for mention in mentions}
    for target in places:
        where = _mention(target, matches)
        for kind, shape in matches.places[target.heard.name].beds.items():
            if kind not in named:
                changes = {**shape, **_differences(where.shape)}
                beds.setdefault(kind, replace(where, kind=kind, shape=Shape(**changes)))
    return tuple(beds.values())


def _differences(shape: Shape) -> dict[str, Any]:
    ordinary = Shape()
    named = {entry.name: getattr(shape, entry.name) for entry in fields(Shape)}
    return {name: value for name, value in named.items() if value != getattr(ordinary, name)}


def _room(places: Sequence[_Target], matches: TextMatches) -> Room | None:
    rooms = (matches.places[target.heard.name].room for target in places)
    return next((room for room in rooms if room is not None), None)

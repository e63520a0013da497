"""Wishes of a remark carried out on one scene, by kind; see frames.py."""

from collections.abc import Sequence
from dataclasses import dataclass

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.length import LONGER, SHORTER, LengthReader
from audiostory_core.planners.clauses.remarks.frames import (
    DIALS,
    SIDES,
    Frame,
    wants_lines,
)
from audiostory_core.planners.clauses.remarks.heard import REMEDY
from audiostory_core.planners.clauses.remarks.lines import (
    lines_of,
    meant_lines,
    turned_line,
    with_line,
    with_manner,
)
from audiostory_core.planners.clauses.remarks.moments import SHIFT_S, after_silence, moved
from audiostory_core.planners.clauses.remarks.sounds import SceneSounds
from audiostory_core.planners.clauses.remarks.times_meant import is_absolute, sign_of
from audiostory_core.planners.clauses.remarks.vocabulary import (
    FILLER,
    MANNER,
    VOICE_WORD,
    Tagged,
    Vocabulary,
    degree_of,
)
from audiostory_core.story.plan import SoundLayer, SpeechLayer
from audiostory_core.story.shape import MOST_EVENTS

PAUSE_S, FADE_S = 1.0, 2.0  # where the words do not say how long
_OPPOSITES = (("louder", "quieter"), ("faster", "slower"), ("closer", "farther"), ("more", "fewer"))


class NotUnderstood(BadInput):
    """The words may be of another language, or two wishes."""


@dataclass(frozen=True)
class Names:
    """What a story has besides its scenes that a remark may name."""

    speakers: tuple[str, ...]
    manners: dict[str, str]  # as a plan in the story's language calls them
    voices: dict[str, str]


class Wishes:
    """Carries out wishes on a sub-event.

    Args:
        sounds: the sub-event's.
        vocabulary: of the language of the remark.
        lengths: reads lengths of time.
        names: see `Names`.
        change: the remark, for errors.
    """

    def __init__(
        self,
        sounds: SceneSounds,
        vocabulary: Vocabulary,
        lengths: LengthReader,
        names: Names,
        change: str,
    ) -> None:
        self.sounds = sounds
        self.voices: list[tuple[str, str]] = []  # speaker, description
        self._vocabulary = vocabulary
        self._lengths = lengths
        self._names = names
        self._change = change
        self._makers = {
            "manner": self._manner,
            "voice": self._voice,
            "pan": self._pan,
            "pause": self._pause,
            "opening_silence": self._opening_silence,
            "moment": self._moment,
            "fade": self._fade,
            "time": self._time,
            "length": self._length,
            "lasting": self._lasting,
            "remove": self._remove,
            "count": self._count,
            "dial": self._dial,
        }

    def _made(self, frame: Frame, tagged: Tagged) -> None:
        self._makers[frame.name](tagged)

    def _refused(self, problem: str) -> BadInput:
        return self.sounds.refusal(problem)

    def _puzzled(self, tagged: Tagged) -> NotUnderstood:
        gap = " " if self._vocabulary.spaced else ""
        unread = gap.join(tagged.unread())
        problem = (
            f"has words that mean nothing to the embedded planner here (“{unread}”)"
            if unread
            else "asks for nothing that the embedded planner knows how to change"
        )
        refusal = self._refused(problem)
        return NotUnderstood(refusal.field, refusal.value, refusal.problem, REMEDY)

    # Spoken lines

    def _manner(self, tagged: Tagged) -> None:
        places = meant_lines(self.sounds.event, tagged, self._refused)
        manners = set(tagged.values(MANNER))
        if "shouting" in manners and manners & {"whispering", "murmuring"}:
            raise self._refused("asks for opposite things")
        names = [self._names.manners[name] for name in tagged.values(MANNER)]
        self.sounds.event = with_manner(self.sounds.event, places, names, self._refused)

    def _voice(self, tagged: Tagged) -> None:
        names = list(dict.fromkeys(tagged.values(VOICE_WORD)))
        described = ", ".join(self._names.voices[name] for name in names)
        event = self.sounds.event
        speakers = set(tagged.values("speaker"))
        if not speakers:
            places = meant_lines(event, tagged, self._refused)
            layers = [event.layers[at] for at in places]
            speakers = {
                layer.speaker
                for layer in layers
                if isinstance(layer, SpeechLayer) and layer.speaker
            }
            if not speakers:  # a voice without a name gets one
                for place in places:
                    event = with_line(event, place, speaker=described)
                self.sounds.event = event
                return
        if len(speakers) > 1:
            raise self._refused("could mean any of the speakers; say which")
        self.voices.append((speakers.pop(), described))

    def _pause(self, tagged: Tagged) -> None:
        event = self.sounds.event
        place = meant_lines(event, tagged, self._refused)[0]
        now_s = event.layers[place].model_dump().get("pause_before_s") or 0.0
        lengths = tagged.values("length")
        is_more = tagged.has("plus", "longer") and now_s > 0
        wanted_s = lengths[0] if lengths else (PAUSE_S if now_s < PAUSE_S else now_s + PAUSE_S)
        self.sounds.event = with_line(
            event, place, pause_before_s=wanted_s + (now_s if is_more and lengths else 0.0)
        )

    # Sounds and lines

    def _meant(self, tagged: Tagged) -> tuple[list[str], list[int]]:
        """Return the kinds of sounds and the places of lines that are meant; all if none is named."""
        kinds = list(dict.fromkeys(kind for each in tagged.values("sound") for kind in each))
        lines: list[int] = []
        if tagged.has("music"):
            places, more = self.sounds.music()
            texts = [
                layer.text
                for at in places
                if isinstance(layer := self.sounds.event.layers[at], SoundLayer)
            ]
            inside = [m.kind for text in texts for m in self.sounds.wording.read(text).mentions]
            if not (places or more):
                raise self._refused("names music, and there is none in the scene")
            kinds = list(dict.fromkeys((*kinds, *inside, *more)))
        if wants_lines(tagged):
            lines = meant_lines(self.sounds.event, tagged, self._refused)
        if not kinds and not lines:
            kinds = list(self.sounds.sounds())
            lines = [] if tagged.has("sounds") else lines_of(self.sounds.event)
        return kinds, lines

    def _pan(self, tagged: Tagged) -> None:
        sides = {SIDES[side] for side in SIDES if tagged.has(side)}
        if len(sides) > 1 and _are_several(tagged):
            raise self._puzzled(tagged)
        if len(sides) > 1:
            raise self._refused("names several sides")
        pan = sides.pop() * degree_of(tagged)
        kinds, lines = self._meant(tagged)
        layers = [*self.sounds.layers_of(kinds), *(self.sounds.event.layers[at] for at in lines)]
        if any((layer.pan or 0.0) * pan > pan * pan for layer in layers):
            raise self._refused("asks for less of a side than there is already")
        self.sounds.reshape(kinds, {"pan": pan})
        for place in lines:
            self.sounds.event = with_line(self.sounds.event, place, pan=pan)

    def _dial(self, tagged: Tagged) -> None:
        dials = [dial for dial in sorted(DIALS) if has_content(tagged, dial)]
        dials = dials or [dial for dial in sorted(DIALS) if tagged.has(dial)]  # "turn it up"
        if len(dials) > 1 and _are_several(tagged):  # each of which may have its own
            raise self._puzzled(tagged)
        if any(set(pair) <= set(dials) for pair in _OPPOSITES):
            raise self._refused("asks for opposite things")
        kinds, lines = self._meant(tagged)
        if tagged.has("says") and not tagged.has("sound", "music"):
            kinds = []
            if not lines:
                raise self._refused("is about a spoken line, and nobody speaks in the scene")
        step = degree_of(tagged)
        for dial in dials:
            self._turn(dial, step, kinds, lines)

    def _turn(self, dial: str, step: float, kinds: Sequence[str], lines: Sequence[int]) -> None:
        is_turned = self.sounds.turn(kinds, dial, step)
        for place in lines:
            event = turned_line(self.sounds.event, place, dial, step, self._names.manners)
            if event is not None:
                self.sounds.event, is_turned = event, True
            elif dial not in ("louder", "quieter", "slower", "faster"):
                raise self._refused(f"asks for a spoken line to be {dial}, which it cannot be told")
        if not is_turned:
            raise self._refused(f"asks for a sound that cannot be told any {dial}")

    def _remove(self, tagged: Tagged) -> None:
        kinds = list(dict.fromkeys(kind for each in tagged.values("sound") for kind in each))
        places: list[int] = []
        if tagged.has("music"):
            places, more = self.sounds.music()
            if not places and not more:
                raise self._refused("names music, and there is none in the scene")
            kinds = [*kinds, *more]
        if wants_lines(tagged):
            places = [*places, *meant_lines(self.sounds.event, tagged, self._refused)]
        if not kinds and not places:
            if tagged.has("everything", "sounds"):
                raise self._refused("would leave nothing to hear; delete the scene instead")
            raise self._puzzled(tagged)
        if places:
            inside = {
                mention.kind
                for at in places
                if isinstance(layer := self.sounds.event.layers[at], SoundLayer)
                for mention in self.sounds.wording.read(layer.text).mentions
            }
            self.sounds.remove_layers(places)
            left = self.sounds.sounds()
            kinds = [kind for kind in kinds if kind in left or kind not in inside]
        self.sounds.remove(kinds)

    def _moment(self, tagged: Tagged) -> None:
        is_later = tagged.has("later")
        if is_later and tagged.has("earlier"):
            raise self._refused("asks for opposite things")
        kinds, lines = self._meant(tagged)
        if not tagged.values("sound") and not wants_lines(tagged) and not tagged.has("music"):
            raise self._refused("does not say what is to begin at another time")
        lengths = tagged.values("length")
        by_s = (lengths[0] if lengths else SHIFT_S * degree_of(tagged)) * (1 if is_later else -1)
        for place in (*self._places_of(kinds), *lines):
            event = moved(self.sounds.event, place, by_s)
            if event is None:
                raise self._refused("asks for a start outside its scene")
            self.sounds.event = event

    def _count(self, tagged: Tagged) -> None:
        kinds = list(dict.fromkeys(kind for each in tagged.values("sound") for kind in each))
        numbers = set(tagged.values("number"))
        if len(kinds) != 1 or len(numbers) != 1:
            raise self._puzzled(tagged)
        (number,) = numbers
        if number != int(number) or not 1 <= number <= MOST_EVENTS:
            raise self._refused(f"asks for {number:g} times; 1 to {MOST_EVENTS} can be counted")
        self.sounds.reshape(kinds, {"count": int(number)})

    def _places_of(self, kinds: Sequence[str]) -> list[int]:
        """Return the places of the layers that sounds have to themselves.

        Raises:
            BadInput: if one has none.
        """
        places: list[int] = []
        for kind in kinds:
            own = self.sounds.layers_of([kind])
            if not own:
                raise self._refused(f"cannot be done: “{kind}” has no layer to itself")
            places += [at for at, layer in enumerate(self.sounds.event.layers) if layer in own]
        return places

    def _fade(self, tagged: Tagged) -> None:
        event = self.sounds.event
        kinds, _ = self._meant(tagged)
        if wants_lines(tagged) or not kinds:
            raise self._refused("asks for a spoken line to fade, which it cannot be told")
        lengths = tagged.values("length")
        fade_s = lengths[0] if lengths else min(FADE_S, event.duration_s / 2)
        if fade_s > event.duration_s:
            raise self._refused(f"asks for a fade longer than the scene of {event.duration_s:g} s")
        fields = [name for name in ("fade_in", "fade_out") if tagged.has(name)]
        if len(fields) > 1 or (fields == ["fade_in"] and tagged.has("at_end")):
            raise self._refused("asks for opposite things")
        if fields == ["fade_out"] and tagged.has("at_start"):
            raise self._refused("asks for a fade out at the start; say “fade in”")
        self.sounds.reshape(kinds, {f"{fields[0]}_s": round(fade_s, 2)})

    # Time

    def _opening_silence(self, tagged: Tagged) -> None:
        if not tagged.has("opens", "at_start"):
            raise self._refused("does not say where it is to be silent; say “start with silence”")
        lengths = tagged.values("length")
        event = after_silence(self.sounds.event, lengths[0] if lengths else PAUSE_S)
        if event is None:
            raise self._refused("leaves no time for what is heard; make the scene longer first")
        self.sounds.event = event

    def _time(self, tagged: Tagged) -> None:
        self._meant(tagged)  # refuses what is not in the scene
        self._last(self.sounds.event.duration_s * LONGER)

    def _length(self, tagged: Tagged) -> None:
        now_s = self.sounds.event.duration_s
        self._check_whole(tagged)
        lengths, factors = tagged.values("length"), tagged.values("factor")
        if len(lengths) + len(factors) != 1:
            raise self._refused("gives several lengths")
        if factors:
            self._last(now_s * factors[0])
            return
        wanted_s, sign = lengths[0], sign_of(tagged)
        if sign is None:
            raise self._refused("asks for more and for less")
        if not is_absolute(tagged):
            wanted_s = now_s + sign * wanted_s if sign else wanted_s
        elif sign * (wanted_s - now_s) < 0:
            change = "longer" if sign > 0 else "shorter"
            raise self._refused(f"asks for {wanted_s:g} s, which is not {change} than {now_s:g} s")
        self._last(wanted_s)

    def _lasting(self, tagged: Tagged) -> None:
        self._check_whole(tagged)
        is_longer = tagged.has("longer")
        if is_longer and tagged.has("shorter"):
            raise self._refused("asks for opposite things")
        factor = LONGER if is_longer else SHORTER
        self._last(self.sounds.event.duration_s * factor)

    def _check_whole(self, tagged: Tagged) -> None:
        """Refuse another length for one of several sounds; a layer has none of its own."""
        named = {kind for each in tagged.values("sound") for kind in each}
        others = set(self.sounds.sounds()) - named
        if named and (others or lines_of(self.sounds.event)):
            problem = "asks for another length of a sound beside others; only scenes have lengths"
            raise self._refused(problem)

    def _last(self, duration_s: float) -> None:
        checked_s = self._lengths.checked(duration_s, self._change)
        self.sounds.event = self.sounds.event.model_copy(update={"duration_s": checked_s})

    # What names a sound that is not there yet, or describes one


def _are_several(tagged: Tagged) -> bool:
    """Tell whether several things are named."""
    targets = {"sound", "music", "line", "speaker"}
    return sum(bool(span.tags & targets) and FILLER not in span.tags for span in tagged.spans) > 1


def has_content(tagged: Tagged, tag: str) -> bool:
    """Tell whether words of a tag are there for more than politeness or grammar."""
    return any(tag in span.tags and FILLER not in span.tags for span in tagged.spans)

"""One scene while a remark on it is carried out: each wish changes a field, or is refused."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from audiostory_core.engines.foley.sound import Shape
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.length import LONGER, SHORTER, LengthReader
from audiostory_core.planners.clauses.lines import changed_line
from audiostory_core.planners.clauses.remarks.change_words import LOOSE, first_of
from audiostory_core.planners.clauses.remarks.frames import (
    DIALS,
    SIDES,
    Frame,
    frames_of,
    wants_lines,
)
from audiostory_core.planners.clauses.remarks.lines import (
    lines_of,
    meant_lines,
    turned_line,
    with_line,
    with_manner,
)
from audiostory_core.planners.clauses.remarks.moments import SHIFT_S, after_silence, moved
from audiostory_core.planners.clauses.remarks.sounds import REMEDY, RUNNING, SceneSounds
from audiostory_core.planners.clauses.remarks.vocabulary import (
    FILLER,
    MANNER,
    VOICE_WORD,
    Span,
    Tagged,
    Vocabulary,
    degree_of,
)
from audiostory_core.story.plan import SoundLayer, SpeechLayer
from audiostory_core.story.shape import MOST_EVENTS

PAUSE_S, FADE_S = 1.0, 2.0  # where the words do not say how long
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_QUOTES = re.compile('["“„«「『].*["”“»」』]', re.DOTALL)
_APART = re.compile(r"[,;:，、；：]")
_OPPOSITES = (("louder", "quieter"), ("faster", "slower"), ("closer", "farther"), ("more", "fewer"))
_OUTSIDE = frozenset(  # what no description of a sound to be added may have
    ("negation", "remove", "length", "fade_in", "fade_out", "pause", "later", "earlier", "swap", "merge", "voice")
)  # fmt: skip
_DESCRIBING = frozenset(
    (FILLER, "sound", "number", "times", "only", "even", "says", *SIDES, *DIALS)
)
_WINDOW = 5  # words of a phrase that describes a sound, such as "from the left side"


class NotUnderstood(BadInput):
    """The words may be of another language, or two wishes."""


@dataclass(frozen=True)
class Names:
    """What a story has besides its scenes that a remark may name."""

    speakers: tuple[str, ...]
    manners: dict[str, str]  # as a plan in the story's language calls them
    voices: dict[str, str]


class SceneRemark:
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

    def tagged(self, part: str) -> Tagged:
        """Return a part of the remark with what its words mean."""
        text = self._vocabulary.prepared(part)
        tagged = self._vocabulary.tagged(text, list(self._named(text)))
        more = list(self._worded(tagged))
        return replace(tagged, spans=tuple(sorted((*tagged.spans, *more), key=lambda s: s.start)))

    def _named(self, text: str) -> Iterable[Span]:
        kinds = self.sounds.sounds()
        for wording in (self.sounds.wording, self.sounds.other):
            for mention in wording.read(text).mentions:
                if mention.kind in kinds:
                    yield _span(mention.start, mention.end, "sound", (mention.kind,))
        for name in self._names.speakers:
            begins = r"(?<!\w)" if name.isascii() else ""
            ends = r"(?:'s|s)?(?!\w)" if name.isascii() else ""
            for match in re.finditer(f"{begins}{re.escape(name)}{ends}", text, re.IGNORECASE):
                yield _span(*match.span(), "speaker", name)
        for start, end, seconds in self._lengths.spans(text):
            yield _span(start, end, "length", seconds)
        for start, end, factor in self._lengths.factors(text):
            yield _span(start, end, "factor", factor)
        for start, end, number in self._lengths.numbers(text):
            yield _span(start, end, "number", number)

    def _worded(self, tagged: Tagged) -> Iterable[Span]:
        """Yield words that the scene's sounds are called by, where they mean nothing else."""
        size = 1 if self._vocabulary.spaced else 2
        words = list(_WORD.finditer(tagged.text))
        if not self._vocabulary.spaced:
            words = list(re.finditer(rf"(?=(?P<pair>[^\W_]{{{size}}}))", tagged.text))
            words += list(re.finditer(r"(?P<pair>[\u3400-\u9fff])", tagged.text))
        end = -1
        for match in sorted(
            words, key=lambda each: (each.start(), -len(each[each.lastgroup or 0]))
        ):
            word = match[match.lastgroup or 0]
            start = match.start()
            if start < end or _is_read(tagged, start, start + len(word)):
                continue
            kinds = self.sounds.meant(word)
            if kinds and word[0].isalnum():
                end = start + len(word)
                yield _span(start, end, "sound", tuple(kinds))

    def carry_out(self, part: str) -> None:
        """Change the sub-event as one wish says.

        Raises:
            NotUnderstood: if a word has no part in any wish.
            BadInput: if it cannot be done.
        """
        if _QUOTES.search(part) or changed_line(
            self.sounds.event, part, self.sounds.language, self.sounds.caption_words.says
        ):
            self._quoted(part)
            return
        tagged = self.tagged(part)
        if not tagged.has("negation"):
            for frame in frames_of(tagged):
                self._made(frame, tagged)
                return
        if self._replaced(part):
            return
        if tagged.has("negation"):
            raise self._refused("says what is not to be; say what is to be heard instead")
        if self._added(part) or self._described(part, tagged):
            return
        raise self._puzzled(tagged)

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

    def _quoted(self, part: str) -> None:
        sounds = self.sounds
        quote = _QUOTES.search(part)
        if quote:
            outside = self.tagged(f"{part[: quote.start()]} {part[quote.end() :]}")
            idle = {"line", "says", "speaker", "person", "rewrite", FILLER, MANNER, "everything"}
            unread = [word for word in outside.unread() if not word[:1].isupper() or word.islower()]
            is_line = all(span.tags & idle and not span.tags & DIALS for span in outside.spans)
            if outside.has("negation") or unread or not is_line:
                if self._replaced(part) or self._added(part):
                    return
                raise self._puzzled(outside)
        event = changed_line(sounds.event, part, sounds.language, sounds.caption_words.says)
        if event is None:
            raise self._puzzled(self.tagged(part))
        sounds.event = event

    def _manner(self, tagged: Tagged) -> None:
        places = meant_lines(self.sounds.event, tagged, self._refused)
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
        if len(sides) > 1:
            raise self._refused("names several sides")
        (pan,) = sides
        kinds, lines = self._meant(tagged)
        self.sounds.reshape(kinds, {"pan": pan})
        for place in lines:
            self.sounds.event = with_line(self.sounds.event, place, pan=pan)

    def _dial(self, tagged: Tagged) -> None:
        dials = [dial for dial in sorted(DIALS) if _has_content(tagged, dial)]
        if not dials or any(set(pair) <= set(dials) for pair in _OPPOSITES):
            raise self._refused("asks for opposite things")
        kinds, lines = self._meant(tagged)
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
        wanted_s, sign = lengths[0], _sign(tagged)
        if sign is None:
            raise self._refused("asks for more and for less")
        if not _is_absolute(tagged):
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

    def _replaced(self, part: str) -> bool:
        match = first_of(self.sounds.change_words.replace, part)
        if match is None:
            return False
        old, new = (match[name].strip(LOOSE) for name in ("old", "new"))
        counted = self.tagged(new)
        if not counted.unread() and _has_content(counted, "number") and counted.values("sound"):
            self._count(counted)
            return True
        self._check_described(new)
        return self.sounds.replace(old, new)

    def _added(self, part: str) -> bool:
        match = first_of(self.sounds.change_words.add, part)
        if match is None:
            more = self.tagged(part)
            phrase = more.without(
                [s for s in more.spans if s.tags & {"more"} or s.tags <= {FILLER}]
            )
            if not _has_content(more, "more") or self.sounds.meant(phrase):
                return False
            if not self.sounds.wording.read(phrase).mentions:
                return False
            self._check_described(phrase)
            self.sounds.add(phrase)
            return True
        phrase = match["sound"]
        words = self.sounds.change_words
        is_first, is_last = words.at_start.search(phrase), words.at_end.search(phrase)
        sound = words.at_end.sub("", words.at_start.sub("", phrase)).strip(LOOSE)
        self._check_described(sound)
        sound, at = self._anchored(sound)
        self.sounds.add(sound, at=0 if is_first and not is_last else at)
        return True

    def _anchored(self, sound: str) -> tuple[str, int | None]:
        """Return a sound to be added without the other that it follows or precedes, and its place."""
        tagged = self.tagged(sound)
        for span in tagged.spans:
            is_after = "after" in span.tags
            if not is_after and "before" not in span.tags:
                continue
            head, tail = tagged.text[: span.start].strip(LOOSE), tagged.text[span.end :]
            anchors = self.sounds.meant(tail.strip(LOOSE))
            own = [layer for kind in anchors for layer in self.sounds.layers_of([kind])]
            if not head or not own:
                raise self._refused(
                    f"names no sound of the scene to be heard {tagged.text[span.start :]}"
                )
            places = [at for at, layer in enumerate(self.sounds.event.layers) if layer in own]
            return head, max(places) + 1 if is_after else min(places)
        return sound, None

    def _check_described(self, phrase: str) -> None:
        """Refuse a sound whose description holds another wish."""
        text = self._vocabulary.prepared(phrase)
        tagged = self._vocabulary.tagged(text, list(self._named(text)))
        for span in tagged.spans:
            word = text[span.start : span.end].lower()
            is_wish = span.tags & _OUTSIDE and not span.tags & {FILLER, "sound"}
            if is_wish or self._is_comparative(span, word):
                raise self._puzzled(
                    replace(tagged, spans=tuple(s for s in tagged.spans if s is not span))
                )
        if re.search(r"\b(?:scene|scène|escena|szene)s?\b|场景|シーン", text, re.IGNORECASE):
            raise self._refused("names a sound and a scene; say it of that scene")

    def _is_comparative(self, span: Span, word: str) -> bool:
        if not span.tags & (DIALS | {"longer", "shorter"}) or "sound" in span.tags:
            return False
        first = word.split()[0]
        if self._vocabulary.code in ("en", "de") and first.endswith("er"):
            return True
        return " " in word and bool(self._vocabulary.tagged(first).spans)

    def _described(self, part: str, tagged: Tagged) -> bool:
        """Take what the remark itself says of a sound, if that accounts for all its words."""
        if any(not span.tags & _DESCRIBING for span in tagged.spans):
            return False
        if not tagged.values("sound") and tagged.has(*DIALS):  # "more reverb"
            return False
        if not self._unexplained(tagged):
            return self.sounds.describe(part)
        return self._walked(tagged)

    def _walked(self, tagged: Tagged) -> bool:
        reading = self.sounds.wording.read(tagged.text)
        spans = tuple(_span(m.start, m.end, "sound", (m.kind,)) for m in reading.mentions)
        tagged = replace(tagged, spans=(*tagged.spans, *spans))
        steps = {mention.kind for mention in reading.mentions} | {RUNNING}
        return not self._unexplained(tagged, steps) and self.sounds.walk(reading)

    def _is_idle(self, word: str) -> bool:
        language = self.sounds.language
        return word.lower() in language.determiners | language.prepositions

    def _unexplained(self, tagged: Tagged, known: Collection[str] = ()) -> bool:
        """Tell whether a word is neither understood nor part of a phrase that shapes a sound."""
        units = list(_WORD.finditer(tagged.text))
        if not self._vocabulary.spaced:
            units = list(re.finditer(r"[^\W_]", tagged.text))
        explained: set[int] = set()
        added = set(known)
        known = {*self.sounds.sounds(), *known}
        for length in range(1, _WINDOW + 1):
            for first in range(len(units) - length + 1):
                start, end = units[first].start(), units[first + length - 1].end()
                reading = self.sounds.other.read(tagged.text[start:end])
                is_shape = (
                    reading.carried != Shape()
                    or reading.room
                    or reading.ambience
                    or {m.kind for m in reading.mentions} & added
                )
                if is_shape and {m.kind for m in reading.mentions} <= known:
                    explained.update(range(first, first + length))
        return any(
            not _is_read(tagged, unit.start(), unit.end())
            and at not in explained
            and not self._is_idle(unit[0])
            for at, unit in enumerate(units)
        )


def _span(start: int, end: int, tag: str, value: object) -> Span:
    return Span(start, end, frozenset((tag,)), {tag: value})


def _is_read(tagged: Tagged, start: int, end: int) -> bool:
    return any(span.start < end and start < span.end for span in tagged.spans)


def _has_content(tagged: Tagged, tag: str) -> bool:
    return any(tag in span.tags and FILLER not in span.tags for span in tagged.spans)


def _signs(tagged: Tagged) -> list[tuple[Span, int]]:
    """Return the spans that ask for more (1) or less (-1) time; not those of the length itself."""
    (length,) = (span for span in tagged.spans if "length" in span.tags)
    signs: list[tuple[Span, int]] = []
    for span in tagged.spans:
        if "lasting" in span.tags and span.start > length.start:  # "two seconds long"
            continue
        if span.tags & {"plus", "longer"}:
            signs.append((span, 1))
        elif span.tags & {"minus", "shorter"}:
            signs.append((span, -1))
    return [sign for sign in signs if FILLER not in sign[0].tags] or signs


def _sign(tagged: Tagged) -> int | None:
    """Return 1 for more time, -1 for less, 0 where the words do not say; None for both."""
    signs = {sign for _, sign in _signs(tagged)}
    return None if len(signs) > 1 else signs.pop() if signs else 0


def _is_absolute(tagged: Tagged) -> bool:
    """Tell whether the length is to be reached: "shorter, 2 s", "cut to 2 s"."""
    (length,) = (span for span in tagged.spans if "length" in span.tags)
    before = [span for span in tagged.spans if span.end <= length.start]
    if before and "to_length" in before[-1].tags and not before[-1].tags & {"plus", "minus"}:
        return True
    return any(
        _APART.search(tagged.text[min(span.end, length.end) : max(span.start, length.start)])
        for span, _ in _signs(tagged)
    )

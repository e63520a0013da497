"""From shares of time to sub-events: captions, layers, tones, the cast."""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from audiostory_core.engines.foley.words.lexicon import shipped
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.clause_splitter import Bond
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.layers import LayerReader
from audiostory_core.planners.clauses.reading import Clause, Reading
from audiostory_core.planners.clauses.schedule import Schedule
from audiostory_core.planners.clauses.speech import Voice
from audiostory_core.planners.clauses.talk import BETWEEN_LINES_S, Talk
from audiostory_core.planners.clauses.timing import (
    ENDING_S,
    OPENING_S,
    OVER_SEAM_S,
    SEAM_S,
    SEAM_SHARE,
    Share,
    parts_of,
    samples_for,
)
from audiostory_core.story.plan import (
    MOST_LAYERS,
    VERSION,
    CastMember,
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    seconds_of,
)
from audiostory_core.text.scenery import is_scenery

_WORD = re.compile(r"[^\W_]+")
_TOLERATED = 0.04  # of the time of a scene's lines; that much faster is not heard
_MOST_REST = 2.0  # times the lines of a story; longer, and the author should know
_MOST_SHOWN = 8  # scenes in a note
_FARTHEST_S = 0.9  # between two lines that follow each other


def draw_storyboard(
    reading: Reading, schedule: Schedule, language: str, longest_clip_s: float
) -> StoryPlan:
    """Make the plan of a story from what was read and how its time is shared."""
    samples = samples_for(schedule.shares, schedule.total_s)
    writer = _SceneWriter(reading, schedule.talk)
    lacking: list[str] = []
    sub_events: list[SubEvent] = []
    for share, count in zip(schedule.shares, samples, strict=True):
        caption, tone, layers = writer.write(share)
        if len(layers) > MOST_LAYERS:
            raise BadInput(
                "duration",
                schedule.total_s,
                f"puts {len(layers):,} sounds and lines into one scene; the most is {MOST_LAYERS:,}",
                "Give the story more time, or make several stories of it.",
            )
        parts = parts_of(count, longest_clip_s, share.spoken)
        again = tuple(layer for layer in layers if _carries_on(layer, reading.language))
        if share.spoken and not again:
            again = writer.background
        if share.spoken > seconds_of(parts[0]) + _TOLERATED * share.spoken:
            lacking.append(f"{len(sub_events) + 1} (about {share.spoken:.0f} s)")
        if share.is_talk:
            layers = _with_starts(layers, writer.said_s, seconds_of(parts[0]), share)
        sub_events += [
            SubEvent(
                caption=caption,
                duration_s=seconds_of(part),
                tone=tone,
                layers=again if number else layers,
                continues=number > 0,
            )
            for number, part in enumerate(parts)
        ]
    return StoryPlan(
        version=VERSION,
        instruction=reading.source or reading.text,
        language=language,
        duration_s=schedule.total_s,
        reasoning=_reasoning(writer, schedule, language, len(sub_events)),
        sub_events=tuple(sub_events),
        cast=tuple(writer.cast.values()),
        directions=reading.directed,
        notes=(*_note_on_length(schedule, lacking), *schedule.notes),
    )


def _note_on_length(schedule: Schedule, lacking: Sequence[str]) -> Iterator[str]:
    """Yield what the lines need, if the story or a scene is too short for them."""
    if not lacking:
        said_s = math.fsum(schedule.talk.seconds)
        if all(schedule.talk.is_all) and schedule.total_s > _MOST_REST * said_s + ENDING_S:
            yield (
                f"The lines take about {said_s:.0f} s to say; the rest of {schedule.total_s:g} s has "
                "no sound of its own. Name sounds for it, or give the story less time."
            )
        return
    shown = ", ".join(lacking[:_MOST_SHOWN]) + (" and others" if lacking[_MOST_SHOWN:] else "")
    needed_s = math.ceil(max(math.fsum(s.spoken for s in schedule.shares), schedule.total_s))
    of_story = (
        f"about {needed_s:,} s are needed to say all lines, and the story has "
        f"{schedule.total_s:g} s"
    )
    scenes = "scene" if len(lacking) == 1 else "scenes"
    yield (
        f"Too many words: {of_story}; too short for its lines: {scenes} {shown}. They are spoken "
        "faster. Give the story more time, or fewer words."
    )


def _with_starts(
    layers: tuple[Layer, ...], said_s: Sequence[float], scene_s: float, share: Share
) -> tuple[Layer, ...]:
    """Return the lines of a scene at times of their own, where in turn they would lie too far apart.

    The time that they leave is after them.
    """
    lines = [layer for layer in layers if isinstance(layer, SpeechLayer)]
    if any(line.pause_before_s for line in lines) or not lines:
        return layers
    lead_s = OPENING_S
    if share.first:
        lead_s = OVER_SEAM_S if share.goes_on else min(SEAM_S, SEAM_SHARE * scene_s)
    spare_s = scene_s - lead_s - math.fsum(said_s)
    is_close = len(lines) == 1 or spare_s / (len(lines) + 1) <= _FARTHEST_S
    if spare_s < 0 or (is_close and not share.goes_on):
        return layers
    gap_s = min(BETWEEN_LINES_S, spare_s / len(lines))
    starts = accumulate((said + gap_s for said in said_s), initial=lead_s)
    return tuple(
        layer.model_copy(update={"start_s": round(next(starts), 2)})
        if isinstance(layer, SpeechLayer)
        else layer
        for layer in layers
    )


def _carries_on(layer: Layer, language: Language) -> bool:
    """Say whether a layer is heard on in the next part of a long sub-event.

    Words are spoken once, and what is counted happens once.
    """
    if layer.kind == "speech":
        return False
    if layer.kind is not SoundKind.SFX:
        return True
    words = layer.text.lower().split()
    return not any(word in language.counts or word.isdigit() for word in words)


class _SceneWriter:
    """Words shares one after the other; remembers the setting, the cast and the subject."""

    def __init__(self, reading: Reading, talk: Talk) -> None:
        self._reading = reading
        self._talk = talk
        self._layers = LayerReader(reading.language)
        self._setting: SoundLayer | None = None
        self._names: dict[str, str] = {}  # of the cast, by their small letters
        self.cast: dict[str, CastMember] = {}
        self.settings: list[str] = []
        self.said_s: list[float] = []  # of the lines of the share that was written last
        self.background: tuple[SoundLayer, ...] = (  # of a place in which nobody speaks
            SoundLayer(kind=SoundKind.AMBIENCE, text=reading.language.silence_word),
        )

    def write(self, share: Share) -> tuple[str, str, tuple[Layer, ...]]:
        """Return caption, tone and layers of the next share."""
        reading = self._reading
        clauses = reading.clauses[share.first : share.last + 1]
        start, end = clauses[0].piece.start, clauses[-1].piece.end
        caption = reading.caption(start, end)
        if clauses[0].is_silent and reading.directions and not reading.kept(start, end):
            caption = reading.language.silence_word
        layers: list[Layer] = []
        self.said_s = []
        for clause in clauses:
            for layer in self._of_clause(clause):
                if layer.kind is not SoundKind.AMBIENCE or layer not in layers:
                    layers.append(layer)
        beds = tuple(
            layer
            for layer in layers
            if isinstance(layer, SoundLayer) and layer.kind is SoundKind.AMBIENCE
        )
        self.background = beds or self.background
        return caption, _tone(caption, reading.language), tuple(layers)

    def _of_clause(self, clause: Clause) -> Iterator[Layer]:
        reading, piece = self._reading, clause.piece
        if clause.is_silent:
            yield SoundLayer(kind=SoundKind.AMBIENCE, text=reading.language.silence_word)
            return
        if piece.bond >= Bond.SENTENCE:
            self._layers.new_sentence()
        if piece.opens_scene:
            self._setting = None
            self._layers.new_scene()
        if piece.setting:
            self._enter(reading.caption(piece.setting.start, piece.setting.end, heard=True))
        if self._setting:
            yield self._setting
        start = piece.start
        if piece.setting and piece.setting.opening[1] > start:
            start = min(piece.setting.opening[1], piece.end)
        block = reading.blocks[piece.block] if reading.blocks else None
        if block and block.voice:
            yield from self._lines(clause)
            return
        label = block.label if block else None
        at = start
        for line in clause.spoken:
            yield from self._sounds(at, line.start, label, attributed=True)
            yield from self._line(line.start, line.end, clause)
            at = line.end
        yield from self._sounds(at, piece.end, label, attributed=bool(clause.spoken))

    def _enter(self, place: str) -> None:
        place = place.lstrip("# ")
        is_heard = not self._only_sets_scene(place)
        self._setting = SoundLayer(kind=SoundKind.AMBIENCE, text=place) if is_heard else None
        self.settings.append(place)
        self._layers.new_scene()

    def _sounds(
        self, start: int, end: int, label: str | None, *, attributed: bool
    ) -> list[SoundLayer]:
        words = self._reading.heard(start, end)
        layers = self._layers.read(words, label, attributed=attributed)
        return layers if label else [x for x in layers if not self._only_sets_scene(x.text)]

    def _only_sets_scene(self, words: str) -> bool:
        """Say whether words say when, where or in what mood, and no sound is known to go with it."""
        code = self._reading.language.code
        return is_scenery(words, code) and shipped().read(words, code).is_scenery

    def _lines(self, clause: Clause) -> Iterator[Layer]:
        for line in clause.spoken:
            yield from self._line(line.start, line.end, clause)

    def _line(self, start: int, end: int, clause: Clause) -> Iterator[Layer]:
        line = next(line for line in clause.spoken if line.start == start)
        words = self._reading.kept(start, end)
        if not words:
            return
        speaker = self._known(line.voice) if line.voice.speaker else None
        pause_s = line.pause_s or None
        self.said_s.append(self._talk.said_s[start])
        yield SpeechLayer(
            words=words, speaker=speaker, manner=line.voice.manner, pause_before_s=pause_s
        )

    def _known(self, voice: Voice) -> str:
        """Return the name in the cast of who speaks, however the text spells it."""
        assert voice.speaker is not None
        bare = " ".join(_WORD.findall(voice.speaker.casefold()))
        name = self._names.setdefault(bare, voice.speaker)
        known = self.cast.get(name)
        if known is None or not known.description:
            self.cast[name] = CastMember(name=name, description=voice.description)
        return name


def _tone(caption: str, language: Language) -> str:
    lowered = caption.lower()
    words = _WORD.findall(lowered)
    scores = {
        tone: sum(word in marks for word in words)
        if language.spaced
        else sum(lowered.count(mark) for mark in marks)
        for tone, marks in language.tones.items()
    }
    best = max(scores, key=lambda tone: scores[tone], default="neutral")
    return best if scores.get(best) else "neutral"


def _reasoning(writer: _SceneWriter, schedule: Schedule, language: str, count: int) -> str:
    clauses = sum(share.last - share.first + 1 for share in schedule.shares)
    timed = sum(share.is_timed for share in schedule.shares)
    sentences = [
        f"Read as {language!r}: {_counted(clauses, 'event')} told in {_counted(count, 'sub-event')}."
    ]
    if writer.settings:
        sentences.append(f"Setting: {_listed(writer.settings)}.")
    if writer.cast:
        sentences.append(f"Heard to speak: {_listed(list(writer.cast))}.")
    sentences.append(f"The total of {schedule.total_s:g} s was {schedule.source}.")
    if timed:
        sentences.append(
            f"The text tells the time of {_counted(timed, 'event')}; others share the rest."
        )
    else:
        sentences.append(
            "Time is shared by what each event tells and how long its words take to say."
        )
    return " ".join(sentences)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 60 else name[:59] + "…" for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

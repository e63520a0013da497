"""Turns the script of one scene into sound: levels, places, moves and mixes what it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from audiostory_core.engines.foley.progress import advance, checkpoint, expect
from audiostory_core.engines.foley.scene import levels, work
from audiostory_core.engines.foley.scene.beds import (
    INTENSITY_DB,
    Bed,
    BedRenderer,
    blocks_of,
    natural_db,
    trimmed,
)
from audiostory_core.engines.foley.scene.buses import Bus
from audiostory_core.engines.foley.scene.carryover import Carryover, seed_of
from audiostory_core.engines.foley.scene.dialogue import Dialogue, Line, Speaks
from audiostory_core.engines.foley.scene.script import ROOM_TONE, Cue, Pause, Script, Turn
from audiostory_core.engines.foley.scene.space import (
    WHOLE,
    RoomName,
    Single,
    Stretch,
    place_in_space,
    reverberate,
)
from audiostory_core.engines.foley.scene.timeline import (
    GAP,
    LEAD,
    Item,
    Slot,
    in_sequence,
    schedule,
)
from audiostory_core.engines.foley.sound import Kind, Mention, Role, Shape, Sound
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SAMPLE_RATE, CastMember, SpeechLayer

PEAK = 0.97  # of a clip, with a little left for resampling and coding
LEAST_LASTING = dsp.seconds(1.5)  # of a sound that fills its slot
LEAST_PAUSE = dsp.seconds(0.8)
PAUSE_SHARE = 6  # a silence that takes a turn has this part of the scene
JOIN = dsp.seconds(0.5)  # how far a lasting sound runs on under what follows
ENTRANCE_S = 0.05  # of a lasting sound that was not there before
DROWNS_DB = 15.0  # how far a bed lies above another that it makes inaudible …
TONE_DROWNS_DB = 8.0  # … and above the room tone
SEAM_LEAD_S = 2.0  # before the first event where a seam lies over the opening: -1.2 dB of 3 s
INAUDIBLE = 1e-6  # -120 dBFS
END_S = 0.4  # fade at the very end of a story
DUCK_DB, DEEPEST_DUCK_DB = 6.0, 18.0  # what beds and music lose under speech …
CLEAR_DB = 12.0  # … so that it lies so far above them
DUCK_S = 0.25  # how long they take to get there
VEHICLE_MPS, WALKER_MPS = 14.0, 1.8  # speed of what passes by
SPEECH_SHAPE = Shape(distance=0.08)
COMPANION = Shape(distance=0.35)  # what stays beside the sounds that a scene names

_VEHICLES = frozenset({"vehicle", "signal"})
_STEADY = frozenset({"weather", "crowd", "fire"})  # families of beds without gaps
_INDOORS = frozenset({"small", "room", "hall", "cave"})


@dataclass(frozen=True)
class SceneOrder:
    """One scene to be made."""

    script: Script
    state: Carryover
    seed: int
    samples: int  # tail included
    tail: int  # samples at the end that only ring on; 0: the story ends here
    language: str
    cast: tuple[CastMember, ...] = ()
    stem: Stem = Stem.COMPOSITE
    say: Mapping[str, str] = field(default_factory=dict)  # readings of words in its lines

    @property
    def ending(self) -> int:
        """Samples before the tail in which nothing happens and all fades out."""
        is_last = self.tail == 0 or self.stem is Stem.DIALOGUE  # no line fades under the next scene
        return dsp.seconds(END_S) if is_last else 0


@dataclass
class Made:
    """A scene in sound, and what was left to be desired."""

    waveform: Single  # [2, samples]
    warnings: list[str] = field(default_factory=list)


class SceneRenderer:
    """Makes scenes; equal orders give bit-identical sound.

    Args:
        kinds: every kind of sound by name.
        speech: speaks the lines; closed by its owner.
    """

    def __init__(self, kinds: Mapping[str, Kind], speech: Speaks) -> None:
        self._kinds = kinds
        self._speech = speech
        self._beds = BedRenderer(kinds)

    def render(self, order: SceneOrder) -> Made:
        """Make the scene that the order describes.

        Raises:
            EngineFailed: if a line cannot be spoken.
        """
        performance = _Performance(order, self._kinds, self._speech)
        has_beds = order.stem in (Stem.COMPOSITE, Stem.EFFECTS)
        beds = self._audible(order.state.beds) if has_beds else []
        blocks = sum(len(blocks_of(bed, order.samples)) for bed in beds)
        expect(performance.total_work + work.BED_BLOCK * blocks)
        performance.play_turns()
        performance.play_music()
        events, under = performance.heard()
        advance(work.of_mixing(order.samples) / 2)
        for bed in beds:
            heard = _muffled(bed, self._kinds[bed.kind], order.state.room)
            if not order.state.beside:
                heard = _nearer(heard, self._kinds[bed.kind], order.script)
            made = self._beds.render(heard, order.samples, performance.stretch)
            under += trimmed(made, bed.trim, order.samples - order.tail)
        if order.stem is Stem.COMPOSITE:
            under *= performance.duck(events, under)
        peak = performance.peak
        waveform = _below_full_scale(levels.under_one_ceiling(events, under, peak))
        if order.ending:
            end = order.samples - order.tail
            ending = min(order.ending, end)
            fade = np.cos(np.linspace(0, np.pi / 2, ending, dtype=np.float32))
            waveform[:, end - ending : end] *= fade
            waveform[:, end:] = 0
        if order.stem is Stem.DIALOGUE:
            waveform[np.abs(waveform) < INAUDIBLE] = 0  # rounding of the room's echo
        return Made(waveform, performance.warnings)

    def _audible(self, beds: Sequence[Bed]) -> list[Bed]:
        """Leave out beds that a steady one drowns: they would cost as much as if they were heard."""
        levels_db = [natural_db(bed, self._kinds[bed.kind]) + bed.trim.gain_db for bed in beds]
        steady = [
            level_db
            for bed, level_db in zip(beds, levels_db, strict=True)
            if self._kinds[bed.kind].family in _STEADY
            and bed.shape.motion is None
            and bed.trim.is_steady
        ]
        loudest_db = max(steady, default=-np.inf)
        return [
            bed
            for bed, level_db in zip(beds, levels_db, strict=True)
            if level_db > loudest_db - (TONE_DROWNS_DB if bed.kind == ROOM_TONE else DROWNS_DB)
        ]


@dataclass
class _Take:
    """A cue and, if it has a length of its own, its sound."""

    cue: Cue
    ordinal: int
    dry: Single | None


_Group = list[_Take] | Line | Pause  # what shares a slot


class _Performance:
    """One scene while it is being made."""

    def __init__(self, order: SceneOrder, kinds: Mapping[str, Kind], speech: Speaks) -> None:
        self._order = order
        self._state = order.state
        self._kinds = kinds
        self._events = Bus(order.samples, levels.SCENE_PEAK)
        self._sends: dict[tuple[RoomName, float], Single] = {}
        self._spoken: list[Slot] = []
        self._ordinal = 0
        self._length = max(order.samples - order.tail - order.ending, order.samples // 2)
        self._dialogue = Dialogue(
            speech, order.state, order.cast, order.language, self._length, order.say
        )
        self._music = Bus(order.samples)

    @property
    def warnings(self) -> list[str]:
        """What was left to be desired."""
        return self._dialogue.warnings

    @property
    def peak(self) -> float:
        """The highest peak of what happens: higher where layers ask for more than is usual."""
        raised_db = max(self._events.loudest_db, self._music.loudest_db)
        return min(levels.SCENE_PEAK * 10 ** (raised_db / 20), PEAK)

    @property
    def stretch(self) -> Stretch:
        """The part of a split scene's motions that this part of it covers."""
        state = self._state
        here = self._order.samples - self._order.tail
        if state.whole <= here:
            return WHOLE
        return Stretch(state.done / state.whole, min(1.0, (state.done + here) / state.whole))

    @property
    def total_work(self) -> float:
        """What it will cost to play and to mix everything but the beds."""
        music = [[turn] for turn in self._order.script.music]
        return work.of_mixing(self._order.samples) + sum(
            work.of_preparing(group)
            + work.of_hurrying(group)
            + work.of_playing(group, self._slot(groups))
            for groups in (_grouped(self._turns()), music)
            for group in groups
        )

    def play_turns(self) -> None:
        """Play everything that takes turns."""
        turns = _grouped(self._turns())
        groups = [self._prepared(group) for group in turns]
        lead = LEAD
        if self._state.fades_in:
            lead = max(lead, min(dsp.seconds(SEAM_LEAD_S), self._length // 5))
        self._hurry(groups, lead)
        advance(sum(work.of_hurrying(group) for group in turns))
        for at, (group, slot) in enumerate(self._slots(groups, lead)):
            if isinstance(group, Line):
                self._say(group, slot)
            elif not isinstance(group, Pause):
                self._play(group, slot, self._events, is_last=group is _last_in_turn(groups))
            advance(work.of_playing(turns[at], self._slot(turns)))
        if any(first.end > second.start for first, second in pairwise(self._spoken)):
            self._dialogue.warnings.append("lines overlap: the scene is too short for its speech")

    def play_music(self) -> None:
        """Play the music layers, one after the other, through the whole scene."""
        turns = [[turn] for turn in self._order.script.music]
        groups = [self._prepared(group) for group in turns]
        for at, (group, slot) in enumerate(self._slots(groups, 0)):
            if isinstance(group, list):
                self._play(group, slot, self._music, is_last=group is _last_in_turn(groups))
            advance(work.of_playing(turns[at], self._slot(turns)))

    def _slots(self, groups: Sequence[_Group], lead: int) -> list[tuple[_Group, Slot]]:
        """Return when each group happens: at the time that its layer says, else in its turn."""
        items = [_item(group, self._length) for group in groups if _start_s(group) is None]
        in_turn = iter(schedule(items, self._length, lead))
        slots = [self._fixed(group) or next(in_turn) for group in groups]
        lines = [at for at, group in enumerate(groups) if isinstance(group, Line)]
        if any(_start_s(groups[at]) is not None for at in lines):
            spoken = in_sequence([slots[at] for at in lines], self._length)
            slots = [
                dict(zip(lines, spoken, strict=True)).get(at, slot) for at, slot in enumerate(slots)
            ]
        return list(zip(groups, slots, strict=True))

    def _fixed(self, group: _Group) -> Slot | None:
        start_s = _start_s(group)
        if start_s is None:
            return None
        start = dsp.seconds(start_s)
        item = _item(group, self._length)
        return Slot(start, max(self._length - start, 0) if item.is_elastic else item.samples)

    def duck(self, events: Single, under: Single) -> Single:
        """Return the gain of what lies under the speech, [N], or [1] where nobody speaks."""
        if not self._spoken:
            return np.ones(1, np.float32)
        samples, ramp = self._order.samples, dsp.seconds(DUCK_S)
        at = np.linspace(0, samples, max(2, samples // dsp.seconds(0.01)))
        gain_db = np.zeros(at.size)
        for slot in self._spoken:
            edges = (slot.start - ramp, slot.start, slot.end, slot.end + ramp)
            depth = np.interp(at, edges, (0, 1, 1, 0))
            gain_db = np.minimum(gain_db, -_duck_db(events, under, slot) * depth)
        gain = np.interp(np.arange(samples), at, 10 ** (gain_db / 20))
        return gain.astype(np.float32)

    def heard(self) -> tuple[Single, Single]:
        """Return all that happens, in its rooms, and the music, [2, N] each, at their levels."""
        for (room, gain_db), send in self._sends.items():
            canvas = self._events.at(gain_db)
            canvas += reverberate(send, room)
            checkpoint()
        is_hushed = self._is_hushed
        is_spoken_over = Stem.DIALOGUE in self._state.beside
        events = self._events.leveled(is_hushed=is_hushed, is_spoken_over=is_spoken_over)
        return events, self._music.leveled(is_hushed=is_hushed)

    @property
    def _is_hushed(self) -> bool:
        """Whether silence is the scene's character rather than one of its turns."""
        script = self._order.script
        pauses = any(isinstance(turn, Pause) for turn in (*script.turns, *script.music))
        return bool(script.silences) and not pauses

    def _turns(self) -> Sequence[Turn]:
        script, state = self._order.script, self._state
        if script.is_retelling:
            return [*self._beside(state.subjects, script.carried), *script.turns]
        if not state.companions:
            return script.turns
        moving = [cue for cue in script.cues if cue.mention.shape.motion]
        shape = COMPANION if script.joins_before or not moving else moving[0].mention.shape
        first, *others = script.turns
        return [first, *self._beside(state.companions, shape), *others]

    def _beside(self, names: Sequence[str], shape: Shape) -> list[Cue]:
        """Return cues that sound together, and with the turn they are put behind."""
        return [Cue(Mention(name, "", 0, 0, shape), self._kinds[name], True) for name in names]

    def _prepared(self, group: list[Turn]) -> _Group:
        first = group[0]
        prepared: _Group
        if isinstance(first, Pause):
            prepared = first
        elif isinstance(first, SpeechLayer):
            prepared = self._dialogue.line(first)
        else:
            prepared = [self._take(cue) for cue in group if isinstance(cue, Cue)]
        advance(work.of_preparing(group))
        return prepared

    def _take(self, cue: Cue) -> _Take:
        self._ordinal += 1
        take = _Take(cue, self._ordinal, None)
        if cue.kind.role is Role.ONESHOT:
            dry, trim = self._dry(take, self._order.samples), cue.mention.trim
            is_faded = trim.fade_in_s or trim.fade_out_s
            take.dry = dsp.fade(dry, trim.fade_in_s, trim.fade_out_s) if is_faded else dry
        return take

    def _dry(self, take: _Take, samples: int) -> Single:
        state, kind, shape = self._state, take.cue.kind, take.cue.mention.shape
        sound = Sound(
            samples=samples,
            constants=_generator(seed_of(state.world, "constants", kind.name)),
            texture=_generator(seed_of(self._order.seed, take.ordinal, kind.name)),
            start=dict(state.elapsed).get(kind.name, 0),
            shape=shape,
            tonic=state.tonic,
            minor=state.minor,
            tempo_bpm=state.tempo_bpm,
        )
        natural_db = kind.level_db + INTENSITY_DB * shape.intensity
        is_lasting = kind.role is Role.SUSTAINED
        crest_db = levels.MAX_LASTING_CREST_DB if is_lasting else levels.MAX_CREST_DB
        dry = levels.leveled(kind.render(sound), levels.evened(natural_db), crest_db)
        return dry.astype(np.float32)

    def _play(self, takes: list[_Take], slot: Slot, bus: Bus, *, is_last: bool) -> None:
        if slot.start >= self._order.samples - self._order.tail:
            named = ", ".join(take.cue.mention.text for take in takes)
            self._dialogue.warnings.append(f"starts after the end of its scene: {named}")
            return
        oneshots = [take for take in takes if take.dry is not None]
        is_filled = len(oneshots) < len(takes)
        for take in takes:
            if take.dry is None:
                self._put(take.cue, self._lasting(take, slot, is_last), slot.start, bus)
        for at, take in enumerate(oneshots, start=1):
            assert take.dry is not None
            spare = max(0, slot.samples - take.dry.shape[-1])
            later = spare * at // (len(oneshots) + 1) if is_filled else 0
            self._put(take.cue, take.dry, slot.start + later, bus)

    def _lasting(self, take: _Take, slot: Slot, is_last: bool) -> Single:
        trim = take.cue.mention.trim
        end = self._order.samples - (self._order.tail if trim.fade_out_s else 0)
        is_last = is_last or trim.start_s is not None
        samples = min(end if is_last else slot.end + JOIN, end) - slot.start
        is_new = dict(self._state.elapsed).get(take.cue.kind.name, 0) == 0
        goes_on = slot.start + samples == self._order.samples
        return dsp.fade(
            self._dry(take, samples),
            max(trim.fade_in_s, ENTRANCE_S if is_new else 0.0),
            max(trim.fade_out_s, 0.0 if goes_on else JOIN / SAMPLE_RATE),
        )

    def _put(self, cue: Cue, dry: Single, start: int, bus: Bus) -> None:
        shape = cue.mention.shape
        position = shape.position
        if position is None:
            position = self._state.position_of(cue.kind.name)
        speed_mps = VEHICLE_MPS if cue.kind.family in _VEHICLES else WALKER_MPS
        stretch = WHOLE if cue.kind.role is Role.ONESHOT else self.stretch
        placed = place_in_space(dry, shape, position, speed_mps, stretch)
        gain_db = cue.mention.trim.gain_db
        _add(bus.at(gain_db), placed.direct, start)
        self._send(placed.send, shape.room or self._state.room, start, gain_db)

    def _send(self, send: Single, room: RoomName, start: int, gain_db: float) -> None:
        if (room, gain_db) not in self._sends:
            self._sends[room, gain_db] = np.zeros(self._order.samples, np.float32)
        _add(self._sends[room, gain_db], send, start)

    def _say(self, line: Line, slot: Slot) -> None:
        waveform = self._dialogue.complete(line)
        waveform = levels.leveled(waveform, levels.evened(_rms_db(waveform)))
        placed = place_in_space(waveform, SPEECH_SHAPE, self._dialogue.position_of(line))
        start = slot.start + min(line.pause, max(0, self._length - waveform.size))
        gain_db = line.layer.gain_db or 0.0
        _add(self._events.at(gain_db), placed.direct, start)
        self._send(placed.send, self._state.room, start, gain_db)
        self._spoken.append(Slot(start, waveform.size))

    def _slot(self, groups: Sequence[Sequence[Turn]]) -> int:
        """Return about how many samples each of the groups has that fill theirs."""
        return self._length // max(1, sum(work.fills_slot(group) for group in groups))

    def _hurry(self, groups: Sequence[_Group], lead: int) -> None:
        """Have the lines spoken faster where the turns do not fit one after the other."""
        lines = [group for group in groups if isinstance(group, Line)]
        others = [
            group for group in groups if not isinstance(group, Line) and _start_s(group) is None
        ]
        taken = sum(_item(group, self._length).samples for group in others)
        taken += sum(line.pause for line in lines)
        self._dialogue.hurry(
            lines, self._length - lead - GAP * (len(lines) + len(others) - 1) - taken
        )


def _grouped(turns: Sequence[Turn]) -> list[list[Turn]]:
    groups: list[list[Turn]] = []
    for turn in turns:
        before = groups[-1][0] if groups else None
        is_beside = isinstance(before, Cue) and before.start_s is None
        if isinstance(turn, Cue) and turn.is_joined and is_beside:
            groups[-1].append(turn)
        else:
            groups.append([turn])
    return groups


def _item(group: _Group, longest: int) -> Item:
    if isinstance(group, Pause):
        return Item(min(max(LEAST_PAUSE, longest // PAUSE_SHARE), longest))
    if isinstance(group, Line):
        return Item(min(group.pause + group.utterance.waveform.size, longest))
    own = [take.dry.shape[-1] for take in group if take.dry is not None]
    is_elastic = len(own) < len(group)
    least = max([*own, LEAST_LASTING]) if is_elastic else max(own)
    return Item(min(least, longest), is_elastic)


def _start_s(group: _Group) -> float | None:
    """Return when a group starts that takes no turn."""
    if isinstance(group, Line):
        return group.layer.start_s
    return group[0].cue.start_s if isinstance(group, list) else None


def _last_in_turn(groups: Sequence[_Group]) -> _Group | None:
    in_turn = [group for group in groups if _start_s(group) is None]
    return in_turn[-1] if in_turn else None


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def _add(canvas: Single, waveform: Single, at: int) -> None:
    last = min(at + waveform.shape[-1], canvas.shape[-1])
    canvas[..., at:last] += waveform[..., : last - at]


def _muffled(bed: Bed, kind: Kind, room: RoomName) -> Bed:
    """Return the weather as it is heard inside, when the scene does not speak of it."""
    if room in _INDOORS and kind.family == "weather" and bed.gain_db < 0:
        return replace(bed, shape=replace(bed.shape, distance=max(0.5, bed.shape.distance)))
    return bed


def _nearer(bed: Bed, kind: Kind, script: Script) -> Bed:
    """Return a bed as it is heard where a scene is about nothing else."""
    if script.turns or script.music or script.silences or script.carried.motion:
        return bed
    if bed.kind in script.places or all(bed.kind != mention.kind for mention in script.beds):
        return bed
    return replace(bed, gain_db=bed.gain_db + levels.subject_lift_db(natural_db(bed, kind)))


def _duck_db(events: Single, under: Single, slot: Slot) -> float:
    """Return what a line needs to stand clear of what lies under it."""
    spoken, beneath = (
        levels.gated_lufs(heard[:, slot.start : slot.end]) for heard in (events, under)
    )
    if spoken is None or beneath is None:
        return DUCK_DB
    return min(max(DUCK_DB, beneath + CLEAR_DB - spoken), DEEPEST_DUCK_DB)


def _rms_db(waveform: Array) -> float:
    return float(20 * np.log10(max(dsp.loudest_rms(waveform), 1e-9)))


def _below_full_scale(mixed: Single) -> Single:
    peak = float(np.max(np.abs(mixed), initial=0.0))
    return mixed * np.float32(PEAK / peak) if peak > PEAK else mixed

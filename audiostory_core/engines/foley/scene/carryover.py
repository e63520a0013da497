"""What a scene takes over from the scenes before it, and how that is written down.

The condition is small and of bounded size: a scene's state is made from the state before it and
two sub-events of the plan, whatever the length of the story.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from audiostory_core.engines.foley.scene.beds import Bed
from audiostory_core.engines.foley.scene.script import ROOM_TONE, Cue, Script
from audiostory_core.engines.foley.scene.space import RoomName, end_of_motion
from audiostory_core.engines.foley.sound import Kind, Mention, Role, Shape, Trim
from audiostory_core.story.plan import SpeechLayer, StoryPlan

MAX_BEDS = 4  # beside the room tone
MAX_VOICES = 16
MAX_POSITIONS = 24
MAX_LASTING = 8
MAX_SUBJECTS = 3
LONGEST_NAME = 60  # characters of a speaker's name that are compared
RECEDE_DB = -6.0  # a bed that is not named again steps back …
WANE_DB = -3.0  # … and a little more in every scene after
GONE_DB = -18.0  # what would be fainter is gone
IMPLIED_DB = -3.0  # of a bed that comes with a place and is not named itself
LOST_TONE_DB = 8.0  # of the room tone where nothing that was requested can be made

_WEATHER = frozenset({"weather", "water"})  # families that a new place does not end
_DARK_TONES = ("tense", "sad", "dark", "eerie", "ominous", "melanchol", "fear", "grie", "somber")
_PLAIN, _PLAIN_TRIM = asdict(Shape()), asdict(Trim())


@dataclass(frozen=True)
class Carryover:
    """The state of the story's sound at the start of a scene.

    Attributes:
        world: seed of everything that stays the same through the story.
        beds: with start and gain for this scene; the room tone comes last.
        voices: speakers in order of first appearance.
        positions: (kind, -1 left … 1 right) of sources heard so far.
        elapsed: (kind, samples heard before this scene) of lasting sounds; not 0 in the later
            parts of a split scene.
        subjects: kinds of what is happening, for scenes that only say more of it.
        companions: kinds of the scene before that sound together with what this one names.
        done: samples of a split scene before this part of it.
        whole: samples of that scene in all its parts.
        beside: stems of the scene that are heard with the clip and are none of it.
        denied: kinds that are said not to be heard, until one of them is named again.
        banned: kinds that are not to be heard in the whole story.
    """

    world: int
    tonic: int  # MIDI note
    minor: bool
    tempo_bpm: float
    beds: tuple[Bed, ...] = ()
    room: RoomName = "outdoor"
    voices: tuple[str, ...] = ()
    positions: tuple[tuple[str, float], ...] = ()
    elapsed: tuple[tuple[str, int], ...] = ()
    subjects: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    fades_in: bool = False  # another scene's end lies over the opening
    done: int = 0
    whole: int = 1
    beside: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    def voice_of(self, speaker: str) -> int:
        """Return the speaker's place among the voices of the story."""
        name = speaker[:LONGEST_NAME]
        if name in self.voices:
            return self.voices.index(name)
        return MAX_VOICES + seed_of(name) % 64

    def position_of(self, kind: str) -> float:
        """Return where a kind of source stands, -1 left … 1 right."""
        return dict(self.positions).get(kind, _spread(self.world, seed_of(kind) % 64))


def seed_of(*parts: str | int) -> int:
    """Return 63 bits that depend on the parts alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def opening(instruction: str, banned: Sequence[str] = ()) -> Carryover:
    """Return the state before the first scene of a story.

    Args:
        instruction: of the story.
        banned: kinds that are not to be heard in it.
    """
    world = seed_of("world", instruction)
    return Carryover(
        world=world,
        tonic=55 + world % 12,
        minor=_is_minor(world),
        tempo_bpm=float(76 + world // 36 % 33),
        banned=tuple(banned),
    )


def carry_over(
    plan: StoryPlan,
    index: int,
    before: Carryover | None,
    script: Script,
    kinds: Mapping[str, Kind],
    banned: Sequence[str] = (),
) -> Carryover:
    """Return the state for sub-event `index`, whose script is given, from the state before it.

    What the whole story is without, `banned`, is part of the state from its opening on.
    """
    event = plan.sub_events[index]
    if before is None or index == 0:
        state = opening(plan.instruction, banned)
        return enter(state, script, kinds, 0, _whole(plan, index), event.tone)
    before = replace(before, fades_in=True)
    heard = plan.sub_events[index - 1].samples
    if event.continues:
        return resume(before, script, kinds, heard)
    return enter(before, script, kinds, heard, _whole(plan, index), event.tone)


def enter(
    before: Carryover,
    script: Script,
    kinds: Mapping[str, Kind],
    heard: int,
    whole: int,
    tone: str,
) -> Carryover:
    """Return the state of a new scene that begins `heard` samples after the one before it.

    Args:
        before: state of the scene before it, or `opening`.
        script: of the new scene.
        kinds: by name.
        heard: length of the scene before, in samples.
        whole: length of the new scene with all that continues it, in samples.
        tone: of the new scene; a dark one is in minor.
    """
    before = _denying(before, script)
    script = script.without(before.denied, before.banned)
    room = script.room or before.room
    known = {bed.kind for bed in before.beds}
    is_elsewhere = room != before.room or not script.places <= known
    companions = _companions(before, script, kinds)
    dark = any(word in tone.casefold() for word in _DARK_TONES)
    return replace(
        before,
        beds=_beds(before, script, kinds, heard, room, is_elsewhere),
        room=room,
        minor=dark or _is_minor(before.world),
        voices=_voices(before, script),
        positions=_positions(before, script),
        elapsed=_elapsed(before, script, companions, heard),
        subjects=_subjects(before, script, companions),
        companions=companions,
        done=0,
        whole=whole,
    )


def _denying(before: Carryover, script: Script) -> Carryover:
    """Return the state before a scene without what the scene, or one before it, denies."""
    named = {mention.kind for mention in script.beds if mention.kind not in script.places}
    named |= {cue.kind.name for cue in script.cues}
    denied = {*before.denied, *script.denied} - (named - script.denied)
    absent = denied - named
    if not (absent or before.denied or before.banned):
        return before
    absent |= {*before.banned}
    return replace(
        before,
        denied=tuple(sorted(denied)),
        beds=tuple(bed for bed in before.beds if bed.kind not in absent),
        subjects=tuple(kind for kind in before.subjects if kind not in absent),
    )


def resume(before: Carryover, script: Script, kinds: Mapping[str, Kind], heard: int) -> Carryover:
    """Return the state of a part of a split scene that carries on `heard` samples later."""
    script = script.without(before.denied, before.banned)
    running = dict(before.elapsed)
    lasting = (*_lasting(script), *before.companions)
    trims = {mention.kind: mention.trim for mention in script.beds}
    elapsed = {kind: running.get(kind, -heard) + heard for kind in lasting}
    return replace(
        before,
        beds=tuple(
            replace(bed, start=bed.start + heard, trim=trims.get(bed.kind, _going_on(bed.trim)))
            for bed in before.beds
        ),
        voices=_voices(before, script),
        positions=_positions(before, script),
        elapsed=tuple(elapsed.items()),
        subjects=_subjects(before, script, before.companions),
        done=before.done + heard,
    )


def encode(state: Carryover) -> bytes:
    """Return canonical JSON: equal states give equal bytes."""
    written = asdict(state)
    for bed in written["beds"]:
        shape = {name: value for name, value in bed["shape"].items() if value != _PLAIN[name]}
        bed["shape"] = shape
        trim = {name: value for name, value in bed["trim"].items() if value != _PLAIN_TRIM[name]}
        bed["trim"] = trim
        if not trim:  # as beds were written before layers had a shape
            del bed["trim"]
    for name in ("beside", "denied", "banned"):  # as states were written before there were such
        if not written[name]:
            del written[name]
    return json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode(written: bytes) -> Carryover:
    """Return the state that `encode` wrote."""
    state: dict[str, Any] = json.loads(written)
    state["beds"] = tuple(
        Bed(**{**bed, "shape": Shape(**bed["shape"]), "trim": Trim(**bed.get("trim", {}))})
        for bed in state["beds"]
    )
    for name in (
        "voices",
        "positions",
        "elapsed",
        "subjects",
        "companions",
        "beside",
        "denied",
        "banned",
    ):
        listed = state.get(name, ())
        state[name] = tuple(tuple(at) if isinstance(at, list) else at for at in listed)
    return Carryover(**state)


def _is_minor(world: int) -> bool:
    return world // 12 % 3 == 0


def _whole(plan: StoryPlan, index: int) -> int:
    samples = plan.sub_events[index].samples
    for event in plan.sub_events[index + 1 :]:
        if not event.continues:
            break
        samples += event.samples
    return samples


def _beds(
    before: Carryover,
    script: Script,
    kinds: Mapping[str, Kind],
    heard: int,
    room: RoomName,
    is_elsewhere: bool,
) -> tuple[Bed, ...]:
    running = {bed.kind: _stepped(bed, heard) for bed in before.beds}
    named = {
        mention.kind: _named(before, mention, running, mention.kind in script.places, is_elsewhere)
        for mention in script.beds
        if mention.kind != ROOM_TONE
    }
    carried: list[Bed] = []
    if not (script.is_silence or script.is_bare):
        carried = [
            bed
            for kind, bed in running.items()
            if kind not in named
            and kind != ROOM_TONE
            and bed.gain_db >= GONE_DB
            and (not is_elsewhere or kinds[kind].family in _WEATHER)
            and _motion_of(before, kind) not in ("receding", "fading_out")
            and not _fades_out(before, kind)
        ]
    tone = running.get(ROOM_TONE)
    if tone is None or room != before.room:
        tone = Bed(ROOM_TONE, seed_of(before.world, ROOM_TONE, room))
    kept = [*named.values(), *carried][:MAX_BEDS]
    is_lost = (script.is_empty or (script.is_still and not script.absences)) and not kept
    return (*kept, replace(tone, gain_db=LOST_TONE_DB if is_lost else 0.0))


def _stepped(bed: Bed, heard: int) -> Bed:
    """Step a bed forward in time and back in space."""
    still = replace(bed.shape, motion=None, distance=end_of_motion(bed.shape))
    gain_db = bed.gain_db + (RECEDE_DB if bed.gain_db > RECEDE_DB else WANE_DB)
    return replace(
        bed, start=bed.start + heard, shape=still, gain_db=gain_db, trim=_going_on(bed.trim)
    )


def _going_on(trim: Trim) -> Trim:
    return replace(trim, start_s=None, fade_in_s=0.0, fade_out_s=0.0)


def _named(
    before: Carryover,
    mention: Mention,
    running: Mapping[str, Bed],
    is_implied: bool,
    is_elsewhere: bool,
) -> Bed:
    gain_db = IMPLIED_DB if is_implied else 0.0
    bed = running.get(mention.kind)
    if bed is None:
        seed = seed_of(before.world, mention.kind)
        return Bed(mention.kind, seed, gain_db=gain_db, shape=mention.shape, trim=mention.trim)
    is_placed = mention.shape != Shape() or mention.trim.is_placed or is_elsewhere
    shape = mention.shape if is_placed else bed.shape
    return replace(bed, gain_db=gain_db, shape=shape, trim=mention.trim)


def _motion_of(before: Carryover, kind: str) -> str | None:
    return next((bed.shape.motion for bed in before.beds if bed.kind == kind), None)


def _fades_out(before: Carryover, kind: str) -> bool:
    return any(bed.trim.fade_out_s > 0 for bed in before.beds if bed.kind == kind)


def _voices(before: Carryover, script: Script) -> tuple[str, ...]:
    names = [
        turn.speaker[:LONGEST_NAME]
        for turn in script.turns
        if isinstance(turn, SpeechLayer) and turn.speaker
    ]
    return tuple(dict.fromkeys((*before.voices, *names)))[:MAX_VOICES]


def _positions(before: Carryover, script: Script) -> tuple[tuple[str, float], ...]:
    known = dict(before.positions)
    for cue in script.cues:
        if cue.mention.shape.position is not None:
            known[cue.kind.name] = cue.mention.shape.position
        known.setdefault(cue.kind.name, _spread(before.world, len(known)))
    return tuple(known.items())[:MAX_POSITIONS]


def _spread(world: int, at: int) -> float:
    """Return the at-th of a sequence of positions that keeps filling its widest gap."""
    turn = (world % 1000 / 1000 + 0.6180339887 * at) % 1.0
    return round(1.2 * turn - 0.6, 3)


def _elapsed(
    before: Carryover, script: Script, companions: tuple[str, ...], heard: int
) -> tuple[tuple[str, int], ...]:
    """Return for how long each lasting sound has been heard; what is not new does not restart."""
    lasting = before.subjects if script.is_retelling else (*_lasting(script), *companions)
    running = {kind: at + heard for kind, at in before.elapsed if kind in before.subjects}
    return tuple((kind, running.get(kind, 0)) for kind in lasting)


def _companions(before: Carryover, script: Script, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """Return which sounds of the scene before stay beside those that this one names.

    "A truck leaves — with sirens blaring — and the truck drives away": the truck is heard under
    the sirens, and the sirens go where the truck goes.
    """
    cues = [turn for turn in script.turns if isinstance(turn, Cue)]
    named = [cue.kind.name for cue in cues]
    goes_on = any(cue.kind.name in before.subjects and cue.mention.shape.motion for cue in cues)
    if not cues or not (script.joins_before or goes_on):
        return ()
    return tuple(
        kind
        for kind in before.subjects
        if kind not in named and kinds[kind].role is not Role.ONESHOT
    )


def _lasting(script: Script) -> list[str]:
    lasting = [cue.kind.name for cue in script.cues if cue.kind.role is not Role.ONESHOT]
    return list(dict.fromkeys(lasting))[:MAX_LASTING]


def _subjects(before: Carryover, script: Script, companions: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the last words of the scene are about, else what the scene before was about."""
    subjects: list[str] = []
    for cue in reversed([turn for turn in script.turns if isinstance(turn, Cue)]):
        subjects.append(cue.kind.name)
        if not cue.is_joined:
            break
    together = dict.fromkeys((*reversed(subjects), *companions))
    return tuple(together)[:MAX_SUBJECTS] or before.subjects

"""What a clip of one stem reads of its scene, and what it takes over from the scenes before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from audiostory_core.engines.foley.scene.carryover import Carryover
from audiostory_core.engines.foley.scene.script import ROOM_TONE, Script
from audiostory_core.stem import Stem
from audiostory_core.story.plan import Layer, StoryPlan, SubEvent
from audiostory_core.story.stems import StemView, stem_of, stem_view

_QUOTED = re.compile('"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|『[^』]*』')
Read = Callable[[str, Sequence[Layer]], Script]


def script_of(plan: StoryPlan, event: SubEvent, stem: Stem, read: Read) -> Script:
    """Return what a stem has of a scene, in the room that the whole scene is heard in.

    What its caption quotes names no room: the caption may still quote a line that is another now.
    """
    if _is_whole(plan, event):
        whole = read(event.caption, event.layers)
        return whole if stem is Stem.EFFECTS else Script(room=whole.room)
    whole = read(_QUOTED.sub(" ", event.caption), event.layers)
    view = stem_view(event, stem)
    return replace(script_alone(view, stem, _beside(event, stem), read), room=whole.room)


def script_alone(view: StemView, stem: Stem, beside: Sequence[str], read: Read) -> Script:
    """Return what a request of a stem asks for.

    Args:
        view: caption and layers of the request; without both it asks for nothing.
        stem: of the request.
        beside: stems of the scene that are heard with it; silence beside speech is a pause in what
            happens, and not in what goes on.
        read: reads the caption and the layers.
    """
    if not view.layers and not view.caption:
        return Script()
    script = read(view.caption, view.layers)
    if stem is not Stem.EFFECTS:
        return replace(script, beds=(), places=frozenset())
    return replace(script, silences=()) if Stem.DIALOGUE in beside else script


def project(state: Carryover, plan: StoryPlan, event: SubEvent, stem: Stem) -> Carryover:
    """Return what a stem uses of a state, so that it stays the same where only others change."""
    if stem is Stem.DIALOGUE:
        return replace(
            state,
            minor=False,
            beds=(),
            positions=(),
            elapsed=(),
            subjects=(),
            companions=(),
            done=0,
            whole=1,
            denied=(),
            banned=(),
        )
    if stem is Stem.MUSIC:
        return replace(state, beds=(), voices=())
    if _is_whole(plan, event):
        return replace(state, voices=(), beside=())
    beside = _beside(event, stem)
    beds = state.beds
    if not stem_view(event, stem).layers:  # nothing is asked of it, so nothing is lost
        beds = tuple(replace(bed, gain_db=0.0) if bed.kind == ROOM_TONE else bed for bed in beds)
    return replace(state, voices=(), beds=beds, beside=beside)


def _is_whole(plan: StoryPlan, event: SubEvent) -> bool:
    """Tell whether a scene is not taken apart; see `stems_of`."""
    return plan.version == 1 or not event.layers


def _beside(event: SubEvent, stem: Stem) -> tuple[str, ...]:
    return tuple(sorted({str(stem_of(layer)) for layer in event.layers} - {stem}))

"""How loud stems are, changed as an edit says: in a scene, or in the whole story."""

from collections.abc import Iterable

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import Edit, Rebalance
from audiostory_core.story.mix import Ducking, MixSettings
from audiostory_core.story.plan import SubEvent

DUCKING = tuple(Ducking.model_fields)


def check_balance(edit: Rebalance, number: int) -> None:
    """Refuse an edit that changes nothing, or ducking of one scene.

    Raises:
        BadInput: naming the field.
    """
    ducking = [name for name in DUCKING if getattr(edit, name) is not None]
    if edit.sub_event is not None and ducking:
        field = f"edits.{number}.{ducking[0]}"
        value = getattr(edit, ducking[0])
        raise BadInput(field, value, "is of the whole story", "Leave out sub_event, or this.")
    if not edit.gain_db and not ducking:
        remedy = "Give gain_db by stem, or one of depth_db, attack_s, release_s."
        raise BadInput(f"edits.{number}", "balance", "changes nothing", remedy)


def rebalanced(event: SubEvent, edit: Rebalance) -> SubEvent:
    """Return a sub-event with other gains of its stems; a gain of 0 is none of its own."""
    gains = {**event.stem_gain_db, **edit.gain_db}
    kept = {stem: gain_db for stem, gain_db in gains.items() if gain_db}
    return event.model_copy(update={"stem_gain_db": kept})


def remixed(mix: MixSettings | None, edits: Iterable[Edit]) -> MixSettings | None:
    """Return the settings of a story's mix after edits; the same if none is about them."""
    for edit in edits:
        if not isinstance(edit, Rebalance) or edit.sub_event is not None:
            continue
        before = mix or MixSettings()
        ducking = {name: value for name in DUCKING if (value := getattr(edit, name)) is not None}
        gains = {**before.gain_db, **edit.gain_db}
        mix = MixSettings(gain_db=gains, ducking=before.ducking.model_copy(update=ducking))
    return mix

"""When things happen in a scene: slots for what has a length of its own and what fills time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from audiostory_core.story.plan import SAMPLE_RATE

LEAD = round(0.15 * SAMPLE_RATE)  # before the first event
GAP = round(0.25 * SAMPLE_RATE)  # least pause between two events


@dataclass(frozen=True)
class Item:
    """Something that takes a turn in the scene."""

    samples: int  # its own length, or the least that does it justice
    is_elastic: bool = False  # fills what time there is


@dataclass(frozen=True)
class Slot:
    """When an item happens; both in samples of the scene."""

    start: int
    samples: int

    @property
    def end(self) -> int:
        """First sample after the slot."""
        return self.start + self.samples


def schedule(items: Sequence[Item], samples: int, lead: int = LEAD) -> list[Slot]:
    """Give every item a slot, in order, within a scene of `samples`.

    Elastic items share the time that the others leave. Where nothing is elastic, the pauses share
    it. Where the items do not fit one after the other they overlap, each in its full length; one
    longer than the scene starts at 0.

    Args:
        items: in order.
        samples: length of the scene.
        lead: samples before the first item, unless that is elastic.
    """
    if not items:
        return []
    lengths = [item.samples for item in items]
    lead = 0 if items[0].is_elastic else lead
    spare = samples - lead - sum(lengths) - GAP * (len(items) - 1)
    if spare < 0:
        return _overlapping(lengths, samples)
    elastic = sum(item.is_elastic for item in items)
    if elastic:
        filled = [item.samples + spare // elastic * item.is_elastic for item in items]
        return _sequence(filled, lead, GAP)
    pause = spare // (len(items) + 1)
    return _sequence(lengths, lead + min(pause, LEAD), GAP + pause)


def in_sequence(slots: Sequence[Slot], samples: int) -> list[Slot]:
    """Move slots so that none begins before the one before it ends.

    Where that leads beyond the scene, of `samples`, they begin earlier; where they do not fit at
    all, they overlap at its start.
    """
    starts: list[int] = []
    end = 0
    for slot in slots:
        starts.append(max(slot.start, end))
        end = starts[-1] + slot.samples
    latest = samples
    for at in reversed(range(len(slots))):
        starts[at] = max(0, min(starts[at], latest - slots[at].samples))
        latest = starts[at]
    return [Slot(start, slot.samples) for start, slot in zip(starts, slots, strict=True)]


def _sequence(lengths: Sequence[int], lead: int, gap: int) -> list[Slot]:
    starts = accumulate((length + gap for length in lengths[:-1]), initial=lead)
    return [Slot(start, length) for start, length in zip(starts, lengths, strict=True)]


def _overlapping(lengths: Sequence[int], samples: int) -> list[Slot]:
    slots = _sequence(lengths, 0, GAP)
    last_start = max(0, samples - lengths[-1])
    squeeze = min(1.0, last_start / max(slots[-1].start, 1))
    return [
        Slot(max(0, min(round(slot.start * squeeze), samples - slot.samples)), slot.samples)
        for slot in slots
    ]

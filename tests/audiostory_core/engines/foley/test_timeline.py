from itertools import pairwise

import pytest

from audiostory_core.engines.foley.scene.timeline import GAP, LEAD, Item, schedule

SECOND = 44_100


def test_schedule_of_nothing_is_empty():
    assert schedule([], SECOND) == []


def test_schedule_gives_elastic_items_the_time_that_others_leave():
    knock, siren = Item(SECOND), Item(SECOND, is_elastic=True)

    slots = schedule([knock, siren, knock], 20 * SECOND)

    assert slots[0].start == LEAD
    assert slots[0].samples == slots[2].samples == SECOND
    assert slots[1].samples > 16 * SECOND
    assert 19.9 * SECOND < slots[2].end <= 20 * SECOND


def test_schedule_shares_time_between_elastic_items():
    first, second = schedule([Item(SECOND, True), Item(SECOND, True)], 20 * SECOND)

    assert first.start == 0
    assert first.samples == second.samples


def test_schedule_spreads_short_items_in_order():
    slots = schedule([Item(SECOND)] * 4, 20 * SECOND)

    assert all(two.start - one.end > 2 * SECOND for one, two in pairwise(slots))
    assert slots[-1].end < 20 * SECOND


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0, 5.2])
def test_schedule_overlaps_what_does_not_fit_and_cuts_nothing(seconds):
    samples = round(seconds * SECOND)
    items = [Item(min(SECOND, samples))] * 5

    slots = schedule(items, samples)

    assert [slot.samples for slot in slots] == [item.samples for item in items]
    assert all(one.start <= two.start for one, two in pairwise(slots))
    assert slots[-1].end <= samples


def test_schedule_keeps_pauses():
    slots = schedule([Item(SECOND)] * 2, 2 * SECOND + LEAD + GAP)

    assert slots[1].start - slots[0].end == GAP

"""Processes killed or stopped at random instants: nothing finished is lost or made again."""

import random

from tests.acceptance.killing import Chaos
from tests.postgres import ON_BOTH_DATABASES

pytestmark = ON_BOTH_DATABASES

COUNTED_KILLS = 10


async def test_no_kill_at_any_instant_loses_or_repeats_a_finished_clip(studio, tmp_path):
    chaos = Chaos(studio, tmp_path, random.Random(2))
    seed = 0
    while chaos.figures.counted < COUNTED_KILLS:
        seed += 1
        await chaos.play(seed)

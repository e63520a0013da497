import json

import numpy as np
import pytest
from pydantic import ValidationError

from audiostory_core.audio.balance import (
    RAMP_BLOCK,
    Balance,
    Ducking,
    GainPoint,
    Interval,
    gain_points,
    merged,
)
from audiostory_core.errors import BadInput
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SAMPLE_RATE

LENGTH = 12 * SAMPLE_RATE
ATTACK, RELEASE = round(0.25 * SAMPLE_RATE), round(0.6 * SAMPLE_RATE)
POINTS: tuple[GainPoint, ...] = ((40_000, -3.0), (140_000, 4.5), (200_000, 4.5), (200_000, -20.0))
SPOKEN: tuple[Interval, ...] = (
    (30_000, 52_000),
    (52_400, 53_000),
    (60_000, 90_000),
    (180_000, 250_000),
    (400_000, 400_001),
)
BUSY = Balance(gains={Stem.MUSIC: POINTS}, ducking=Ducking(), spoken=SPOKEN)


def gain_of(balance: Balance, stem: Stem, start: int, stop: int) -> np.ndarray:
    return np.broadcast_to(balance.gain(stem, start, stop), (stop - start,))


def decibels(gain: np.ndarray) -> np.ndarray:
    return 20 * np.log10(gain.astype(np.float64))


def moved(balance: Balance, by: int) -> Balance:
    """Return the same balance, heard later by some samples."""
    return Balance(
        gains={s: tuple((at + by, db) for at, db in p) for s, p in balance.gains.items()},
        ducking=balance.ducking,
        spoken=tuple((start + by, stop + by) for start, stop in balance.spoken),
    )


def random_balance(rng: np.random.Generator) -> Balance:
    places = np.sort(rng.integers(0, LENGTH, 2 * rng.integers(0, 12)))
    points = sorted(int(at) for at in rng.integers(0, LENGTH, rng.integers(0, 6)))
    return Balance(
        gains={Stem.EFFECTS: tuple((at, float(rng.integers(-4, 2))) for at in points)},
        ducking=Ducking(depth_db=6.0, attack_s=0.1, release_s=1.7),
        spoken=merged((int(a), int(b)) for a, b in places.reshape(-1, 2)),
    )


def test_balance_without_anything_is_a_scalar_one() -> None:
    gain = Balance().gain(Stem.MUSIC, 0, LENGTH)

    assert np.ndim(gain) == 0
    assert gain == 1.0


def test_balance_of_a_stem_that_is_not_ducked_ignores_speech() -> None:
    assert BUSY.gain(Stem.DIALOGUE, 0, LENGTH) == 1.0


def test_balance_is_a_scalar_where_nothing_moves() -> None:
    quiet = BUSY.gain(Stem.MUSIC, 320_000, 380_000)
    spoken = Balance(ducking=Ducking(), spoken=SPOKEN).gain(Stem.EFFECTS, 190_000, 240_000)

    assert np.ndim(quiet) == np.ndim(spoken) == 0
    assert decibels(quiet) == pytest.approx(-20.0, abs=1e-5)
    assert decibels(spoken) == pytest.approx(-9.0, abs=1e-5)


def test_balance_is_a_straight_line_in_db_between_its_points() -> None:
    level = decibels(gain_of(Balance(gains={Stem.MUSIC: POINTS}), Stem.MUSIC, 0, LENGTH))

    wanted = np.interp(np.arange(200_000), [40_000, 140_000], [-3.0, 4.5])
    np.testing.assert_allclose(level[:200_000], wanted, atol=1e-5)
    np.testing.assert_allclose(level[200_000:], -20.0, atol=1e-5)


def test_ducking_is_at_full_depth_where_a_word_begins_and_back_after_the_release() -> None:
    balance = Balance(ducking=Ducking(), spoken=((100_000, 150_000),))
    level = decibels(gain_of(balance, Stem.MUSIC, 0, LENGTH))

    assert not level[: 100_000 - ATTACK].any()
    np.testing.assert_allclose(
        level[100_000 - ATTACK : 100_000], -9 * np.arange(ATTACK) / ATTACK, atol=1e-5
    )
    np.testing.assert_allclose(level[100_000:150_000], -9.0, atol=1e-5)
    release = -9 + 9 * np.arange(RELEASE) / RELEASE
    np.testing.assert_allclose(level[150_000 : 150_000 + RELEASE], release, atol=1e-5)
    assert not level[150_000 + RELEASE :].any()


def test_ducking_between_two_near_words_follows_whichever_is_deeper() -> None:
    gap = (ATTACK + RELEASE) // 3
    balance = Balance(ducking=Ducking(), spoken=((100_000, 110_000), (110_000 + gap, 150_000)))
    level = decibels(gain_of(balance, Stem.EFFECTS, 110_000, 110_000 + gap))

    at = np.arange(gap)
    wanted = np.minimum(-9 * (1 - at / RELEASE), -9 * (1 - (gap - at) / ATTACK))
    np.testing.assert_allclose(level, wanted, atol=1e-5)
    assert level.max() < -4


def test_gain_of_any_range_is_a_slice_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    for balance, stem in [(BUSY, Stem.MUSIC)] + [
        (random_balance(rng), Stem.EFFECTS) for _ in range(8)
    ]:
        whole = gain_of(balance, stem, 0, LENGTH)
        assert whole.dtype == np.float32
        ranges = [sorted(map(int, rng.integers(0, LENGTH, 2))) for _ in range(60)]
        near = [(at, at + 3) for at in map(int, rng.integers(0, LENGTH - 3, 60))]
        edges = [(40_000, 40_000 + RAMP_BLOCK), (40_000 + RAMP_BLOCK - 1, 40_000 + RAMP_BLOCK + 1)]
        for start, stop in [*ranges, *near, *edges, (0, 0)]:
            assert np.array_equal(gain_of(balance, stem, start, stop), whole[start:stop])


def test_ramp_that_steps_back_to_where_it_began_is_heard() -> None:
    points = ((1000, 0.0), (2000, -6.0), (2000, 0.0))
    level = decibels(gain_of(Balance(gains={Stem.MUSIC: points}), Stem.MUSIC, 0, 3000))

    np.testing.assert_allclose(level[1000:2000], -6 * np.arange(1000) / 1000, atol=1e-5)
    assert not level[2000:].any()


def test_gain_before_the_story_is_that_of_its_beginning() -> None:
    assert decibels(BUSY.gain(Stem.MUSIC, -4410, 0)) == pytest.approx(-3.0, abs=1e-5)


def test_gain_points_ramp_where_the_gain_changes() -> None:
    levels = [(0, 0, 0.0), (1000, 100, 0.0), (2000, 100, -6.0), (3000, 0, 3.0)]

    assert gain_points(levels) == ((0, 0.0), (2000, 0.0), (2100, -6.0), (3000, -6.0), (3000, 3.0))
    assert gain_points([]) == ()


def test_merged_covers_what_was_there() -> None:
    assert merged([(5, 9), (0, 2), (9, 12), (6, 7), (20, 20), (2, 3)]) == ((0, 3), (5, 12))


def test_around_is_the_same_wherever_the_same_is_heard() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        balance = random_balance(rng)
        start, stop = sorted(map(int, rng.integers(0, LENGTH, 2)))
        by = int(rng.integers(1, 1_000_000))

        later = moved(balance, by).around(start + by, stop + by, [Stem.EFFECTS])

        assert json.dumps(later) == json.dumps(balance.around(start, stop, [Stem.EFFECTS]))


def test_ranges_of_equal_surroundings_have_equal_gains() -> None:
    rng = np.random.default_rng(3)
    balance = Balance(
        gains={Stem.MUSIC: gain_points((k * 20_000, 700, [0.0, -3.0][k % 2]) for k in range(40))},
        ducking=Ducking(attack_s=0.05, release_s=0.1),
        spoken=tuple((k * 15_000 + 500, k * 15_000 + 9000) for k in range(50)),
    )
    by_surroundings: dict[str, list[np.ndarray]] = {}
    for at in map(int, rng.integers(0, 180, 2000) * 4000):
        key = json.dumps(balance.around(at, at + 3000, [Stem.MUSIC]))
        by_surroundings.setdefault(key, []).append(gain_of(balance, Stem.MUSIC, at, at + 3000))

    distinct = [gains[0].tobytes() for gains in by_surroundings.values()]
    assert all(np.array_equal(g, gains[0]) for gains in by_surroundings.values() for g in gains)
    assert len(set(distinct)) == len(distinct) < 40


def test_around_knows_nothing_of_what_cannot_be_heard() -> None:
    start, stop = 260_000, 300_000
    known = BUSY.around(start, stop, [Stem.MUSIC])
    far = (POINTS[0], (140_000, 1.0), (200_000, 1.0), (200_000, -20.0))

    elsewhere = Balance(
        gains={Stem.MUSIC: far, Stem.EFFECTS: ((0, 6.0),)},
        ducking=Ducking(),
        spoken=((1000, 30_000), (200_000, 250_000), (400_000, 410_000)),
    )

    assert elsewhere.around(start, stop, [Stem.MUSIC]) == known
    assert known["spoken"] == [[250_000 - start, 250_000 - start]]
    assert elsewhere.around(start, stop, [Stem.MUSIC, Stem.EFFECTS]) != known


@pytest.mark.parametrize(
    ("change", "stem"),
    [
        ({"spoken": (*SPOKEN[:3], (180_000, 249_999))}, Stem.MUSIC),
        ({"spoken": (*SPOKEN[:4], (300_000, 301_000))}, Stem.MUSIC),
        ({"ducking": Ducking(depth_db=9.5)}, Stem.MUSIC),
        ({"gains": {Stem.MUSIC: ((0, -19.0),)}}, Stem.MUSIC),
        ({"gains": {Stem.MUSIC: ((260_000, -20.0), (400_000, 0.0))}}, Stem.MUSIC),
    ],
)
def test_around_differs_where_something_else_is_heard(change, stem) -> None:
    start, stop = 240_000, 300_000
    changed = BUSY.model_copy(update=change)

    assert changed.around(start, stop, [stem]) != BUSY.around(start, stop, [stem])
    assert not np.array_equal(gain_of(changed, stem, start, stop), gain_of(BUSY, stem, start, stop))


def test_around_of_dialogue_knows_no_ducking() -> None:
    nothing = {"gains": {}, "ducking": None, "spoken": []}

    assert BUSY.around(0, LENGTH, [Stem.DIALOGUE]) == nothing
    assert BUSY.around(0, LENGTH, []) == nothing


def test_balance_is_read_as_it_was_written() -> None:
    for balance in (Balance(), BUSY):
        assert Balance.from_json(json.loads(json.dumps(balance.as_json()))) == balance


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "balance"),
        ([], "balance"),
        ({"gain": {}}, "balance.gain"),
        ({"gains": {"drums": []}}, "balance.gains.drums"),
        ({"gains": {"music": [[0, "1"]]}}, "balance.gains.music.0.1"),
        ({"gains": {"music": [[0, float("nan")]]}}, "balance.gains.music.0.1"),
        ({"gains": {"music": [[-1, 0.0]]}}, "balance.gains.music.0.0"),
        ({"gains": {"music": [[0, 25.0]]}}, "balance.gains.music.0.1"),
        ({"gains": {"music": [[7, 0.0], [6, 0.0]]}}, "balance"),
        ({"ducking": {"depth_db": 41}}, "balance.ducking.depth_db"),
        ({"ducking": {"attack_s": 0}}, "balance.ducking.attack_s"),
        ({"ducking": {"depth": 6}}, "balance.ducking.depth"),
        ({"spoken": [[0, 5], [5, 6]]}, "balance"),
        ({"spoken": [[5, 5]]}, "balance"),
        ({"spoken": [[True, 5]]}, "balance.spoken.0.0"),
        ({"spoken": [[0.5, 5]]}, "balance.spoken.0.0"),
    ],
)
def test_balance_refuses_what_it_did_not_write(value, field) -> None:
    with pytest.raises(BadInput) as caught:
        Balance.from_json(value)

    assert caught.value.field.startswith(field)


def test_ducking_says_its_units_and_ranges() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 40"):
        Ducking(depth_db=60)

    fields = Ducking.model_json_schema()["properties"]
    assert fields["attack_s"]["title"] == "Ducking attack (s)"
    assert (fields["release_s"]["minimum"], fields["release_s"]["maximum"]) == (0.01, 10)

import numpy as np
import pytest

from audiostory_core.engines.foley.synthesis.texture import SOUNDS, drawn_once

drawings = 0


@drawn_once
def draw(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    global drawings
    drawings += 1
    return [rng.standard_normal(5) for _ in range(count)]


def test_equal_constants_are_drawn_once_and_leave_the_generator_alike() -> None:
    first, second, other = (np.random.default_rng(seed) for seed in (1, 1, 2))
    before = drawings
    drawn = draw(first, 2)
    again = draw(second, 2)
    assert drawings == before + 1
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert first.bit_generator.state == second.bit_generator.state
    assert not np.array_equal(draw(other, 2)[0], drawn[0])


def test_draws_of_more_sounds_than_are_kept_stay_right() -> None:
    fresh = {seed: np.random.default_rng(seed).standard_normal(5) for seed in range(2 * SOUNDS)}
    for seed in (*fresh, *fresh):
        assert np.array_equal(draw(np.random.default_rng(seed), 1)[0], fresh[seed])


def test_what_is_drawn_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        draw(np.random.default_rng(3), 1)[0][0] = 0.0

import numpy as np
import pytest
from scipy.signal import oaconvolve

from audiostory_core.engines.foley.scene.space import ROOMS, Stretch, place_in_space, reverberate
from audiostory_core.engines.foley.sound import Shape
from audiostory_core.engines.foley.synthesis import dsp
from tests.support.foley_fakes import SECOND, brightness_hz
from tests.support.sounds import level_db


@pytest.fixture
def noise():
    return dsp.white(np.random.default_rng(1), 8 * SECOND)


def _first_and_last(waveform):
    third = waveform.shape[1] // 3
    return waveform[:, :third], waveform[:, -third:]


def test_approaching_rises_and_brightens(noise):
    placed = place_in_space(noise, Shape(motion="approaching"), 0.0)

    first, last = _first_and_last(placed.direct)
    assert level_db(last) - level_db(first) > 6.0
    assert brightness_hz(last) > 1.5 * brightness_hz(first)


@pytest.mark.parametrize("motion", ["receding", "fading_out"])
def test_what_goes_away_falls_by_6_db_and_more(noise, motion):
    placed = place_in_space(noise, Shape(motion=motion), 0.0)

    first, last = _first_and_last(placed.direct)
    assert level_db(first) - level_db(last) > 6.0


def test_distance_takes_level_and_highs(noise):
    near = place_in_space(noise, Shape(), 0.0).direct
    far = place_in_space(noise, Shape(distance=1.0), 0.0).direct

    assert level_db(near) - level_db(far) > 15.0
    assert brightness_hz(far) < 0.25 * brightness_hz(near)


def test_far_sounds_are_wetter_than_near_ones(noise):
    def wetness_db(distance):
        placed = place_in_space(noise, Shape(distance=distance), 0.0)
        return level_db(reverberate(placed.send, "hall")) - level_db(placed.direct)

    assert wetness_db(0.8) > wetness_db(0.0) + 6.0


def test_passing_peaks_in_the_middle_and_falls_in_pitch():
    tone = np.sin(2 * np.pi * 1000 * dsp.times(8 * SECOND))

    heard = place_in_space(tone, Shape(motion="passing"), 0.5, speed_mps=14.0).direct

    first, middle, last = np.split(heard, [3 * SECOND, 5 * SECOND], axis=1)
    assert level_db(middle) > max(level_db(first), level_db(last)) + 6.0
    assert brightness_hz(first) > 1020
    assert brightness_hz(last) < 980


def test_passing_goes_from_one_side_to_the_other(noise):
    heard = place_in_space(noise, Shape(motion="passing"), 0.5, speed_mps=14.0).direct

    first, last = _first_and_last(heard)
    assert level_db(first[:1]) > level_db(first[1:]) + 6.0
    assert level_db(last[1:]) > level_db(last[:1]) + 6.0


@pytest.mark.parametrize("position", [-1.0, -0.4, 0.0, 0.7])
def test_position_keeps_the_power(noise, position):
    heard = place_in_space(noise, Shape(), position).direct

    assert level_db(heard) == pytest.approx(level_db(noise[None, :]), abs=0.05)


def test_position_on_the_left_is_louder_and_earlier_on_the_left(noise):
    left, right = place_in_space(noise[:SECOND], Shape(), -0.6).direct

    lag = np.argmax(np.correlate(right[1000:3000], left[1000:2900], "valid"))
    assert level_db(left[None, :]) > level_db(right[None, :]) + 6.0
    assert lag == round(0.6 * 0.0004 * SECOND)


def test_parts_of_a_motion_join(noise):
    shape = Shape(motion="receding")
    first = place_in_space(noise, shape, 0.0, stretch=Stretch(0.0, 0.5)).direct
    last = place_in_space(noise, shape, 0.0, stretch=Stretch(0.5, 1.0)).direct

    end, start = first[:, -SECOND // 2 :], last[:, : SECOND // 2]
    assert level_db(end) == pytest.approx(level_db(start), abs=1.5)
    assert level_db(first[:, :SECOND]) - level_db(last[:, -SECOND:]) > 12.0


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_answer_without_correlation_between_the_ears(room):
    response = ROOMS[room].impulse_response

    assert np.sum(response**2, axis=1) == pytest.approx([1.0, 1.0], rel=1e-3)
    assert abs(np.corrcoef(response)[0, 1]) < 0.2


def test_larger_rooms_ring_longer():
    def ringing_s(room):
        energy = np.cumsum(ROOMS[room].impulse_response[0][::-1] ** 2)[::-1]
        return np.argmax(energy < 1e-3 * energy[0]) / SECOND

    assert ringing_s("small") < ringing_s("room") < ringing_s("hall") < ringing_s("cave")


@pytest.mark.parametrize("shape", [Shape(), Shape(distance=0.5), Shape(motion="approaching")])
def test_room_hears_the_middle_of_a_stereo_sound(noise, shape):
    stereo = np.stack([noise, noise[::-1]])
    placed = place_in_space(stereo, shape, 0.4)
    mono = place_in_space(0.5 * (stereo[0] + stereo[1]), shape, 0.4)

    assert placed.send.shape == noise.shape
    assert placed.send.dtype == np.float32
    assert np.allclose(placed.send, mono.send, atol=1e-5)


@pytest.mark.parametrize("room", ["outdoor", "room", "small"])
@pytest.mark.parametrize(
    ("sounds", "seconds"),
    [
        ([(0.0, 18.0)], 18),
        ([(0.5, 3.8)], 15),
        ([(9.1, 9.7)], 18),
        ([(1.0, 2.0), (17.0, 18.0)], 40),
        ([(0.0, 3.0)], 3),
        ([], 15),
    ],
)
def test_rooms_answer_to_the_bit_what_scipy_convolves(room, sounds, seconds):
    send = np.zeros(seconds * SECOND, np.float32)
    for start_s, stop_s in sounds:
        stretch = send[round(start_s * SECOND) : round(stop_s * SECOND)]
        stretch[:] = 0.1 * np.random.default_rng(2).standard_normal(stretch.size)

    answer = reverberate(send, room)

    wet = oaconvolve(send[None, :], ROOMS[room].impulse_response, axes=-1)[:, : send.size]
    expected = wet * np.float32(10 ** (ROOMS[room].wet_db / 20))
    assert answer.tobytes() == expected.tobytes()

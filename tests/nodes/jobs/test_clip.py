import numpy as np
import pytest

from nodes.jobs.clip import make_playable


@pytest.fixture
def waveform():
    return np.linspace(-0.9, 0.9, 200, dtype=np.float32).reshape(2, 100)


def test_whole_clip_of_numbers_stays_as_it_is(waveform):
    assert np.array_equal(make_playable(waveform, 100), waveform)


def test_too_long_a_clip_is_cut(waveform):
    assert np.array_equal(make_playable(waveform, 60), waveform[:, :60])


def test_too_short_a_clip_ends_in_silence(waveform):
    playable = make_playable(waveform, 130)

    assert np.array_equal(playable[:, :100], waveform)
    assert playable.shape == (2, 130)
    assert not playable[:, 100:].any()


def test_what_is_no_number_can_be_heard_and_the_clip_is_kept_for_the_check(waveform):
    waveform[0, :3] = np.nan, np.inf, -np.inf

    playable = make_playable(waveform, 100)

    assert playable[0, :3].tolist() == [0.0, 1.0, -1.0]
    assert np.array_equal(playable[:, 3:], waveform[:, 3:])
    assert np.isnan(waveform[0, 0])

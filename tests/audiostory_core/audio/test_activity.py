from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from audiostory_core.audio.activity import FRAME, HANGOVER, speech_activity
from audiostory_core.audio.pcm import Waveform
from audiostory_core.engines.foley.speech.speech import Speech
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.signals import noise

LENGTH = 5 * SAMPLE_RATE
LINES = [
    ("Hello there, I am awake and I will be there in ten minutes.", "en", None),
    ("Stop!", "en", "shouting"),
    ("She must not hear us. Quiet, please.", "en", "whispering"),
    ("今天天气很好，我们去公园吧。", "zh", None),
]


@pytest.fixture(scope="module")
def speech() -> Iterator[Speech]:
    speaking = Speech()
    yield speaking
    speaking.close()


def words(*places: tuple[int, int, float]) -> Waveform:
    waveform = np.zeros((2, LENGTH), np.float32)
    for start, stop, level in places:
        waveform[:, start:stop] = noise(start, stop - start, level)
    return waveform


def test_words_are_heard_to_a_frame() -> None:
    heard = speech_activity(words((30_000, 60_000, 0.1), (100_100, 150_000, 0.05)))

    assert len(heard) == 2
    for (start, stop), (begin, end) in zip(
        heard, ((30_000, 60_000), (100_100, 150_000)), strict=True
    ):
        assert begin - FRAME < start <= begin
        assert end <= stop < end + FRAME


def test_short_pauses_are_within_speech_and_long_ones_are_not() -> None:
    short, long = HANGOVER - 2 * FRAME, HANGOVER + 2 * FRAME

    assert len(speech_activity(words((20_000, 40_000, 0.1), (40_000 + short, 70_000, 0.1)))) == 1
    assert len(speech_activity(words((20_000, 40_000, 0.1), (40_000 + long, 70_000, 0.1)))) == 2


def test_speech_to_the_end_ends_with_the_clip() -> None:
    samples = LENGTH - 7

    assert speech_activity(words((150_000, LENGTH, 0.1))[:, :samples])[-1][1] == samples


def test_nobody_speaks_in_silence_or_in_hiss() -> None:
    for waveform in (words(), noise(1, LENGTH, 0.0005), np.zeros((2, 0), np.float32)):
        assert speech_activity(waveform) == ()


def test_noise_far_below_speech_is_not_speech() -> None:
    waveform = words((50_000, 90_000, 0.2)) + noise(3, LENGTH, 0.003)

    ((start, stop),) = speech_activity(waveform)

    assert abs(start - 50_000) <= FRAME
    assert abs(stop - 90_000) <= FRAME


def test_click_is_no_word_and_hides_none() -> None:
    waveform = words((50_000, 90_000, 0.03))
    waveform[:, 150_000:150_050] = 0.99

    ((start, stop),) = speech_activity(waveform)

    assert (start, stop) == (50_000 // FRAME * FRAME, -(-90_000 // FRAME) * FRAME)


@pytest.mark.parametrize(("line", "language", "manner"), LINES)
def test_spoken_lines_are_heard_whole(speech: Speech, line, language, manner) -> None:
    voice = speech.voice_for(None, "", 0)
    waveform = speech.speak(line, language, voice, manner, None).waveform
    at = [SAMPLE_RATE, 3 * SAMPLE_RATE + waveform.size]
    clip = np.zeros((2, at[1] + waveform.size + SAMPLE_RATE), np.float32)
    for start in at:
        clip[:, start : start + waveform.size] = waveform

    heard = speech_activity(clip)

    spoken = np.zeros(clip.shape[1], bool)
    for start, stop in heard:
        spoken[start:stop] = True
    energy = np.square(clip[0], dtype=np.float64)
    assert energy[spoken].sum() > 0.995 * energy.sum()
    first, second = ([start for start, _ in heard if at[0] <= start + FRAME < at[1]], at[1])
    assert abs(heard[0][0] - at[0]) < 0.1 * SAMPLE_RATE
    assert first
    assert not spoken[: SAMPLE_RATE - FRAME].any()
    assert not spoken[at[0] + waveform.size + FRAME : second - FRAME].any()
    assert not spoken[second + waveform.size + FRAME :].any()
    assert all(start - stop >= HANGOVER for (_, stop), (start, _) in pairwise(heard))

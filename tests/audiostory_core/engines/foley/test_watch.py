"""A clip can be followed while it is made, and given up at any moment."""

import itertools
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.progress import advance, checkpoint, expect, followed
from audiostory_core.engines.foley.scene.beds import HOP, OVERLAP
from audiostory_core.engines.foley.sound import Role, Sound
from audiostory_core.engines.foley.speech.espeak_client import EspeakClient
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.protocol import UNWATCHED, Engine, ProgressListener
from audiostory_core.errors import Cancelled, StudioError
from tests.support.fakes import ToneEngine
from tests.support.foley_fakes import KINDS, SECOND, ToneVoice, lexicon, line, request, sound

CLIP_S = 33.0
KIND_S = 12.0
SLOWEST = {  # of each family: the kind that takes longest to make
    "animal": "pigeons",
    "body": "snore",
    "crowd": "applause",
    "fire": "fire",
    "machine": "fireworks",
    "music": "choir",
    "object": "rope",
    "signal": "siren",
    "step": "running",
    "tool": "sweeper",
    "vehicle": "spaceship",
    "water": "underwater",
    "weather": "snowstorm",
}
LONG_LINE = "The rain had not stopped for days, and the captain walked along the quay. " * 130
ASKED = {"text": "Who is there?", "voices": ["en-us"], "variant": "", "rate_wpm": 165}
ASKED |= {"pitch": 50, "pitch_range": 50, "wants_phonemes": False}


@dataclass
class Noted:
    """Notes every step, and loses interest at the one numbered `last`, counted from 0."""

    last: int | None = None
    steps: list[tuple[int, float]] = field(default_factory=list)

    def step(self, index: int, done: float) -> None:
        self.steps.append((index, done))
        if self.last is not None and len(self.steps) > self.last:
            raise Cancelled


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


@pytest.fixture
def small():
    return Foley(KINDS, lexicon(), ToneVoice())


def _full_scene(seconds=CLIP_S):
    return request(
        "x",
        *(sound(text, "ambience") for text in ("rain", "a murmuring crowd", "waves")),
        sound("a passing truck"),
        sound("three knocks"),
        line("Who is there?", "ANNA"),
        sound("tense music", "music"),
        seconds=seconds,
        tail_s=1.0,
    )


def _small_scene():
    return request(
        "three knocks at the station", sound("siren with a truck"), line("Who?"), seconds=4.0
    )


def test_cancelled_is_no_error_to_explain():
    assert not issubclass(Cancelled, StudioError)


def test_foley_and_the_tone_engine_are_engines_that_can_be_watched(small):
    engines: list[Engine] = [small, ToneEngine()]
    watch: ProgressListener = Noted()

    for engine in engines:
        assert len(engine.synthesize([_small_scene()], watch)) == 1


def test_progress_runs_from_nothing_to_all_and_never_back(foley):
    watch = Noted()
    foley.synthesize([_full_scene()], watch)

    shares = [done for _, done in watch.steps]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert all(one <= two for one, two in itertools.pairwise(shares))
    assert max(two - one for one, two in itertools.pairwise(shares)) < 0.25


def test_progress_is_told_clip_by_clip(small):
    watch = Noted()
    small.synthesize([_small_scene(), _small_scene()], watch)

    indices = [index for index, _ in watch.steps]
    assert indices == sorted(indices)
    assert set(indices) == {0, 1}
    assert [watch.steps[indices.index(1) + at][1] for at in (-1, 0)] == [1.0, 0.0]


def test_watched_clip_is_bit_identical_to_an_unwatched_one(foley):
    (alone,) = foley.synthesize([_full_scene(6.0)])
    (watched,) = foley.synthesize([_full_scene(6.0)], Noted())

    np.testing.assert_array_equal(alone.waveform, watched.waveform)


def test_clip_given_up_at_any_step_leaves_the_next_one_bit_identical(small):
    (whole,) = small.synthesize([_small_scene()])
    counting = Noted()
    small.synthesize([_small_scene()], counting)
    assert len(counting.steps) > 20

    for last in range(0, len(counting.steps), 3):
        watch = Noted(last)
        with pytest.raises(Cancelled):
            small.synthesize([_small_scene()], watch)
        assert len(watch.steps) == last + 1
        if last % 15 == 0:
            (again,) = small.synthesize([_small_scene()])
            np.testing.assert_array_equal(again.waveform, whole.waveform)


def test_clip_with_real_sounds_and_speech_is_given_up_anywhere(foley):
    asked = _full_scene(4.0)
    (whole,) = foley.synthesize([asked])
    counting = Noted()
    foley.synthesize([asked], counting)

    for last in np.linspace(0, 0.8 * len(counting.steps), 12).astype(int).tolist():
        with pytest.raises(Cancelled):
            foley.synthesize([asked], Noted(last))
    (again,) = foley.synthesize([asked])
    np.testing.assert_array_equal(again.waveform, whole.waveform)


def test_batch_is_given_up_as_a_whole(small):
    watch = Noted()
    small.synthesize([_small_scene()], watch)
    into_the_second = Noted(len(watch.steps) + 2)

    with pytest.raises(Cancelled):
        small.synthesize([_small_scene()] * 3, into_the_second)
    assert {index for index, _ in into_the_second.steps} == {0, 1}


def test_no_long_sound_is_made_in_one_go():
    """Steps are counted, not timed: as a rule one for every three seconds of sound.

    Of each family its slowest kind; `python bench/foley.py --steps` times them all.
    """
    too_few = {}
    for family, name in SLOWEST.items():
        kind = load_kinds()[name]
        assert kind.family == family
        samples = HOP + OVERLAP if kind.role is Role.BED else dsp.seconds(KIND_S)
        constants, texture = (np.random.Generator(np.random.PCG64([1, at])) for at in (0, 1))
        watch = Noted()
        with followed(watch, 0):
            made = kind.render(Sound(samples, constants, texture))
        between = len(watch.steps) - 2
        if between < min(2, made.shape[-1] // (3 * SECOND)):
            too_few[name] = between

    assert made.shape[-1] > 3 * SECOND
    assert too_few == {}


def test_long_waveform_is_filtered_faded_and_drawn_in_parts_without_a_trace():
    samples = 2 * dsp.AT_ONCE + 12_345
    rng, same = (np.random.Generator(np.random.PCG64(3)) for _ in range(2))
    watch = Noted()
    with followed(watch, 0):
        noise = dsp.white(rng, samples)
        low = dsp.lowpass(np.stack([noise, -noise]).astype(np.float32), 700.0)
    assert len(watch.steps) == 2 + 3 + 3

    np.testing.assert_array_equal(noise, same.standard_normal(samples))
    pieces = [dsp.lowpass(noise[: dsp.AT_ONCE].astype(np.float32), 700.0), low[0, dsp.AT_ONCE :]]
    np.testing.assert_array_equal(low[0], np.concatenate(pieces))
    np.testing.assert_array_equal(low[0], -low[1])


def test_long_line_is_told_of_in_small_steps(foley):
    """A line of 5,000 characters is minutes of speech, all of it made before it is squeezed."""
    watch = Noted()
    foley.synthesize([request("x", line(LONG_LINE[:5_000]), seconds=6.0)], watch)

    assert len(watch.steps) > 300


def test_line_given_up_while_it_is_spoken_leaves_the_speaker_usable():
    others = _children()
    with EspeakClient() as client:
        _, before = client.ask(ASKED)
        (first,) = _children() - others
        with pytest.raises(Cancelled), followed(Noted(last=3), 0):
            client.ask(ASKED | {"text": LONG_LINE})
        assert first not in _children()
        _, after = client.ask(ASKED)
        np.testing.assert_array_equal(before, after)


def test_answer_that_never_comes_is_not_waited_for_when_nobody_wants_it():
    script, others = "import time; time.sleep(600)", _children()
    with (
        EspeakClient(command=(sys.executable, "-c", script)) as client,
        pytest.raises(Cancelled),
        followed(Noted(last=4), 0),
    ):
        client.ask(ASKED | {"text": "x" * 200_000})  # more than the pipe holds
    assert _children() == others


def test_whoever_waits_for_another_thread_to_be_spoken_to_can_leave():
    script = "import time; time.sleep(600)"
    client = EspeakClient(command=(sys.executable, "-c", script))
    is_asked, has_left = threading.Event(), threading.Event()

    class UntilLeft:
        def step(self, index: int, done: float) -> None:
            is_asked.set()
            if has_left.is_set():
                raise Cancelled

    def occupy():
        with pytest.raises(Cancelled), followed(UntilLeft(), 0):
            client.ask(ASKED)

    occupying = threading.Thread(target=occupy)
    occupying.start()
    is_asked.wait()
    while not client._lock.locked():
        time.sleep(0.001)
    with pytest.raises(Cancelled), followed(Noted(last=2), 0):
        client.ask(ASKED)
    has_left.set()
    occupying.join()
    client.close()


def test_checkpoint_outside_a_clip_is_passed():
    expect(1.0)
    checkpoint()
    advance(1.0)
    UNWATCHED.step(0, 0.5)


def test_clips_of_two_threads_are_followed_apart():
    at_once = threading.Barrier(2)
    watches = [Noted(), Noted()]

    def make(index: int) -> None:
        with followed(watches[index], index):
            expect(4.0)
            for _ in range(4):
                at_once.wait()
                advance(1.0)

    threads = [threading.Thread(target=make, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    shares = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert [watch.steps for watch in watches] == [[(at, s) for s in shares] for at in (0, 1)]


def test_tone_engine_stops_within_its_pause():
    engine = ToneEngine(pause_s=60.0)
    with pytest.raises(Cancelled):
        engine.synthesize([request("rain")], Noted(last=3))

    engine.pause_s = 0.0
    watch = Noted()
    assert len(engine.synthesize([request("rain"), request("wind")], watch)) == 2
    assert Counter(index for index, done in watch.steps if done == 1.0) == {0: 1, 1: 1}


def _children() -> set[int]:
    """Return the processes that were started by this thread and have not been waited for."""
    listed = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    return {int(process) for process in listed.split()}

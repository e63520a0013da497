import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audiostory_core.engines import foley
from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.kinds import crowds, objects, steps, voices
from audiostory_core.engines.foley.sound import Role
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import bounces
from audiostory_core.engines.foley.words.lexicon import LANGUAGES, Lexicon
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import (
    ENVELOPE_HOP,
    envelope_of,
    features,
    onsets,
    spectrum_of,
)
from tests.support.sounds import mono, render

KINDS = {kind.name: kind for kind in (*objects.KINDS, *steps.KINDS, *voices.KINDS, *crowds.KINDS)}
BEDS = sorted(name for name, kind in KINDS.items() if kind.role is Role.BED)
WORDS = Path(foley.__path__[0]) / "lexicon" / "people.toml"


def rhythm_hz(waveform: Array, slowest_hz: float, fastest_hz: float) -> float:
    """Return the rate at which the envelope repeats itself best."""
    envelope = np.sqrt(envelope_of(mono(waveform)))
    envelope = envelope - envelope.mean()
    likeness = np.correlate(envelope, envelope, "full")[envelope.size - 1 :]
    rate_hz = SAMPLE_RATE / ENVELOPE_HOP
    shortest, longest = int(rate_hz / fastest_hz), int(rate_hz / slowest_hz)
    return float(rate_hz / (shortest + likeness[shortest : longest + 1].argmax()))


def pitch_hz(waveform: Array, lowest_hz: float = 60.0, highest_hz: float = 1500.0) -> float:
    """Return the median fundamental of the voiced frames."""
    size, found = 4096, []
    for first in range(0, waveform.size - size, size // 2):
        frame = waveform[first : first + size]
        if np.sqrt(np.mean(frame**2)) < 0.5 * np.std(waveform):
            continue
        spectrum = np.abs(np.fft.rfft(frame * np.hanning(size), 2 * size)) ** 2
        likeness = np.fft.irfft(spectrum)
        shortest, longest = int(SAMPLE_RATE / highest_hz), int(SAMPLE_RATE / lowest_hz)
        best = shortest + int(likeness[shortest:longest].argmax())
        if likeness[best] > 0.5 * likeness[0]:
            found.append(SAMPLE_RATE / best)
    return float(np.median(found))


def share_above(waveform: Array, hertz: float) -> float:
    at, power = spectrum_of(mono(waveform))
    return float(power[at >= hertz].sum() / power.sum())


@pytest.mark.parametrize("name", ["knock", "clap", "snap", "thud"])
@pytest.mark.parametrize("count", range(1, 7))
def test_counted_kind_strikes_exactly_as_often(name: str, count: int) -> None:
    for seed in range(4):
        waveform = np.pad(render(name, 8.0, seed, count=count), (4410, 4410))
        assert len(onsets(waveform)) == count


def test_knock_without_count_is_three_knocks_a_third_of_a_second_apart() -> None:
    for seed in range(6):
        at_s = onsets(np.pad(render("knock", seed=seed), 4410)) * ENVELOPE_HOP / SAMPLE_RATE
        assert len(at_s) == 3
        assert all(0.2 < gap < 0.45 for gap in np.diff(at_s))


def test_knocks_move_together_where_time_is_short() -> None:
    assert len(onsets(np.pad(render("knock", 1.0, count=5), 4410))) == 5


@pytest.mark.parametrize("count", [1, 4, 7])
def test_footsteps_honour_their_count(count: int) -> None:
    # A heel and its toe are 0.1 s apart: an onset within 0.2 s belongs to the same step.
    found = onsets(np.pad(render("footsteps", 8.0, count=count), 4410)) * ENVELOPE_HOP / SAMPLE_RATE
    apart = [first for first, second in pairwise([-1.0, *found]) if second - first > 0.2]
    assert len(apart) == count


@pytest.mark.parametrize(
    "name", ["footsteps", "footsteps_leaves", "footsteps_snow", "footsteps_gravel", "heels"]
)
@pytest.mark.parametrize("pace", [0.7, 1.0, 1.4])
def test_footsteps_keep_their_pace(name: str, pace: float) -> None:
    rate_hz = rhythm_hz(render(name, 10.0, pace=pace), 1.0, 2.9)
    assert rate_hz == pytest.approx(1.8 * pace, rel=0.06)


def test_running_is_faster_than_walking() -> None:
    assert rhythm_hz(render("running", 10.0), 1.2, 4.5) == pytest.approx(3.0, rel=0.06)


def test_marching_feet_fall_together_and_surround_the_listener() -> None:
    waveform = render("marching", 6.0)
    assert rhythm_hz(waveform, 1.2, 3.0) == pytest.approx(1.95, rel=0.05)
    assert np.corrcoef(waveform)[0, 1] < 0.97


@pytest.mark.parametrize("pace", [0.4, 1.0, 2.5])
def test_heartbeat_stays_human(pace: float) -> None:
    for seed in range(5):
        waveform = render("heartbeat", 12.0, seed, pace=pace)
        assert 50 <= 60 * rhythm_hz(waveform, 0.6, 1.9) <= 110
        assert share_above(waveform, 200.0) < 0.05


def test_bounces_come_sooner_and_softer() -> None:
    touches_s, speeds = bounces(0.7, 0.75)
    assert np.allclose(np.diff(touches_s)[1:] / np.diff(touches_s)[:-1], 0.75)
    assert (np.diff(speeds) < 0).all()


def test_ball_bounces_ever_faster() -> None:
    for seed in range(5):
        found = onsets(np.pad(render("ball", 6.0, seed), 4410))
        gaps = np.diff(found)[:4]
        assert len(gaps) >= 3
        assert (np.diff(gaps) < 0).all()


def test_dribble_is_regular() -> None:
    assert rhythm_hz(render("dribble", 8.0), 1.2, 3.0) == pytest.approx(1.9, rel=0.06)


@pytest.mark.parametrize(
    ("name", "hertz", "least"),
    [("glass", 2000, 0.6), ("coins", 4000, 0.8), ("keys", 4000, 0.8), ("cutlery", 1800, 0.7)],
)
def test_glass_and_thin_metal_are_bright(name: str, hertz: float, least: float) -> None:
    for seed in range(5):
        assert share_above(render(name, seed=seed), hertz) > least


def test_door_that_closes_is_dull_and_one_that_creaks_is_long() -> None:
    for seed in range(5):
        assert share_above(render("door_close", seed=seed), 1000.0) < 0.3
        assert render("door_creak", seed=seed).size > 1.2 * SAMPLE_RATE


def test_large_things_sound_lower_than_small_ones() -> None:
    for name in ("knock", "door_close", "ball", "coins", "stamp"):
        assert share_above(render(name, size=-1.0), 400.0) >= share_above(
            render(name, size=1.0), 400.0
        )
        assert features(render(name, size=-1.0))[32] > features(render(name, size=1.0))[32]


def test_applause_thickens_with_intensity() -> None:
    def peakiness(intensity: float) -> float:
        middle = mono(render("applause", 6.0, intensity=intensity))[SAMPLE_RATE:]
        return float(np.mean(middle**4) / np.mean(middle**2) ** 2)

    assert peakiness(-1.0) > 1.15 * peakiness(0.0) > 1.15**2 * peakiness(1.0)


@pytest.mark.parametrize("name", ["talking", "shouting"])
def test_voices_are_harmonic_and_women_are_higher_than_men(name: str) -> None:
    lift = 1.0 if name == "talking" else 2.6
    for seed in range(4):
        man = pitch_hz(render(name, 5.0, seed, size=0.4))
        woman = pitch_hz(render(name, 5.0, seed, size=-0.4))
        child = pitch_hz(render("talking", 5.0, seed, size=-1.0))
        assert 70 < man < 170 * lift
        assert man < woman < 320 * lift
        assert 240 < child < 450


def test_talking_has_syllables_and_pauses() -> None:
    envelope = envelope_of(render("talking", 10.0))
    assert 0.05 < np.mean(envelope < 0.05 * envelope.max()) < 0.5
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    hertz = np.fft.rfftfreq(envelope.size, ENVELOPE_HOP / SAMPLE_RATE)
    syllabic = spectrum[(hertz > 2) & (hertz < 8)].mean()
    assert syllabic > 2.5 * spectrum[(hertz > 15) & (hertz < 40)].mean()


def test_whispering_has_no_pitch_and_little_bass() -> None:
    whisper = render("whispering", 5.0)
    assert share_above(whisper, 500.0) > 0.9
    assert share_above(render("talking", 5.0, size=0.5), 500.0) < 0.9


def test_announcement_is_confined_to_the_band_of_a_horn() -> None:
    waveform = render("announcement", 6.0)
    assert share_above(waveform, 5000.0) < 0.01
    assert share_above(waveform, 250.0) > 0.95


def test_laughter_falls_in_syllables() -> None:
    assert 3.5 < rhythm_hz(render("laugh", 4.0, size=-0.4), 2.5, 8.0) < 6.5


@pytest.mark.parametrize("name", BEDS)
def test_bed_is_steady_to_its_edges(name: str) -> None:
    state = SAMPLE_RATE // 4
    heads, tails, whole = [], [], []
    for block in range(8):
        waveform = render(name, 3.0, block=block)
        heads.append(np.mean(waveform[:, :state] ** 2))
        tails.append(np.mean(waveform[:, -state:] ** 2))
        whole.append(np.mean(waveform**2))
    for power in (np.mean(heads), np.mean(tails)):
        assert abs(10 * np.log10(power / np.mean(whole))) < 3.0


@pytest.mark.parametrize("name", BEDS)
def test_blocks_of_a_bed_share_their_people_but_never_repeat(name: str) -> None:
    first, second = render(name, 5.0, block=0), render(name, 5.0, block=1)
    assert not np.allclose(first, second)
    bands = [
        10 * np.log10(np.add.reduceat(spectrum_of(mono(one))[1], [2, 10, 40, 150, 400]))
        for one in (first, second)
    ]
    assert np.abs(bands[0] - bands[1]).max() < 4.0


def words() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(WORDS.read_text(encoding="utf-8"))


def test_word_list_covers_every_kind_in_every_language() -> None:
    listed = words()
    assert listed.keys() >= KINDS.keys()
    assert listed.keys() <= load_kinds().keys()
    for kind in KINDS:
        assert tuple(listed[kind]) == LANGUAGES
        for language, phrases in listed[kind].items():
            assert len(set(phrases)) == len(phrases) >= 5, (kind, language)


def read(text: str, language: str) -> list[str]:
    return [mention.kind for mention in Lexicon(words()).read(text, language).mentions]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Footsteps approach a wooden door, three knocks", ["footsteps", "knock"]),
        ("en", "then the door creaks open and someone runs away", ["door_creak", "running"]),
        ("en", "both knock over a vase", ["glass"]),
        ("en", "pages turning, one cough", ["page_turn", "cough"]),
        ("en", "a quarrel that ends in laughter", ["quarrel", "laugh"]),
        ("en", "A stadium roars beyond the river", ["cheering"]),
        ("en", "Soldiers run out shouting orders", ["running", "shouting"]),
        ("en", "A baker drags up a shutter", ["shutter"]),
        ("en", "the coach giving basketball lessons", ["talking", "dribble"]),
        ("es", "un paseo: pasos sobre hojas secas", ["footsteps_leaves"]),
        ("es", "la puerta se cierra y el público aplaude", ["door_close", "applause"]),
        ("fr", "l'averse qui fait fuir tout le monde", ["running"]),
        ("fr", "on frappe à la porte, un bébé pleure", ["knock", "baby_cry"]),
        (
            "de",
            "Jemand klopft, dann knarrt eine Diele: Glas zerbricht",
            ["knock", "door_creak", "glass"],
        ),
        ("zh", "人群嘈杂，广播响起，车门打开", ["crowd", "announcement", "door_open"]),
        ("ja", "ドアをノックする音、足音、拍手", ["knock", "footsteps", "applause"]),
    ],
)
def test_words_find_their_kinds(language: str, text: str, expected: list[str]) -> None:
    assert read(text, language) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "a vortigaunt parade in the middle of March"),
        ("en", "the key to success is a chain of events"),
        ("en", "a pair of scissors, the stock market and the zip code"),
        ("fr", "il ne sait pas, ce n'est pas bon marché"),
        ("de", "das ist eine Menge Geld"),
        ("es", "la caída de la noche"),
        ("zh", "他微笑着，很吃惊"),
        ("ja", "真剣な顔で段ボールを見る"),
    ],
)
def test_words_leave_false_friends_alone(language: str, text: str) -> None:
    assert read(text, language) == []


@pytest.mark.parametrize(
    ("text", "expected"), [("the wind whistles", "wind"), ("an engine running", "car")]
)
def test_words_give_to_others_what_is_theirs(text: str, expected: str) -> None:
    assert read(text, "en") == [expected]

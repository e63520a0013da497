"""Music: in key, in time, as many notes as asked, each instrument in its own way."""

import math
from itertools import pairwise

import numpy as np
import pytest

from audiostory_core.engines.foley.kinds.music import KINDS
from audiostory_core.engines.foley.synthesis.dsp import seconds
from audiostory_core.engines.foley.synthesis.instruments import hertz_of
from audiostory_core.engines.foley.synthesis.score import MAJOR, MINOR, Score
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import onsets
from tests.support.sounds import render

BY_NAME = {kind.name: kind for kind in KINDS}
STRUCK = ("piano", "plucked", "harp", "music_box", "marimba", "bells_chimes", "bass")
HELD = ("violin", "cello", "strings", "accordion", "flute", "organ", "brass", "saxophone", "choir")


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load()


def envelope_db(waveform: np.ndarray, hop_s: float = 0.01) -> np.ndarray:
    hop = seconds(hop_s)
    frames = waveform[: waveform.size // hop * hop].reshape(-1, hop)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)


def attacks_s(waveform: np.ndarray, rise_db: float = 6.0) -> list[float]:
    return [float(frame) * 0.01 for frame in onsets(waveform, rise_db)]


def strongest_hz(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Return the strongest partial of a range, interpolated between bins."""
    power = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size), 4 * waveform.size))
    hertz = np.fft.rfftfreq(4 * waveform.size, 1 / SAMPLE_RATE)
    inside = (hertz > low_hz) & (hertz < high_hz)
    return float(hertz[inside][np.argmax(power[inside])])


def semitones_above(hertz: float, tonic: int) -> float:
    return 12 * math.log2(hertz / hertz_of(tonic))


@pytest.mark.parametrize("name", BY_NAME)
def test_music_fills_its_slot_continues_where_it_left_off_and_is_the_storys_own(name: str) -> None:
    whole = render(name, 9.0)
    levels = envelope_db(whole, 1.0)
    assert levels.min() > levels.max() - 25
    cut = seconds(5.3)
    later = render(name, 9.0 - 5.3, start=cut)
    assert np.max(np.abs(whole[cut : cut + later.size] - later)) < 2e-3 * np.max(np.abs(whole))
    other = render(name, 9.0 - 5.3, start=cut, score={"tonic": 64, "tempo_bpm": 100.0})
    assert not np.allclose(later, other)


@pytest.mark.parametrize("name", ["piano", "plucked", "music_box", "marimba", "violin", "flute"])
@pytest.mark.parametrize(("tonic", "minor"), [(60, False), (57, True), (66, False)])
def test_melodies_stay_in_key(name: str, tonic: int, minor: bool) -> None:
    waveform = render(name, 8.0, score={"tonic": tonic, "minor": minor})
    starts = [*attacks_s(waveform), 8.0] if name in STRUCK else [0.6 * k for k in range(13)]
    scale = MINOR if minor else MAJOR
    checked = 0
    for start, end in pairwise(starts):
        piece = waveform[seconds(start) : seconds(min(end, start + 0.35))]
        if piece.size < seconds(0.2):
            continue
        degree = semitones_above(strongest_hz(piece, 100.0, 2500.0), tonic) % 12
        distance = min(min(abs(degree - s), 12 - abs(degree - s)) for s in scale)
        assert distance < 0.25
        checked += 1
    assert checked >= 5


@pytest.mark.parametrize("name", ["piano", "plucked", "violin", "accordion", "music_box"])
def test_a_single_note_is_one_note_on_the_tonic(name: str) -> None:
    waveform = render(name, 8.0, count=1)
    levels = envelope_db(waveform, 0.05)
    assert len(attacks_s(waveform)) == 1
    rises = np.diff(levels[4:])  # nothing starts again after the attack
    assert rises[levels[5:] > levels.max() - 40].max() < 3.0
    degree = semitones_above(strongest_hz(waveform[: seconds(1.0)], 60.0, 4000.0), 60) % 12
    # A bright string's octave and twelfth may outdo its fundamental.
    assert min(abs(degree - third) for third in (0, 12, 7.02)) < 0.2


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_counted_notes_are_counted(count: int) -> None:
    for name in ("piano", "plucked", "drums", "marimba", "bells_chimes"):
        waveform = render(name, 6.0, count=count)
        assert len(attacks_s(waveform)) == count


def test_drums_keep_the_tempo() -> None:
    for tempo_bpm, pace in ((92.0, 1.0), (120.0, 1.0), (80.0, 1.5)):
        waveform = render("drums", 8.0, score={"tempo_bpm": tempo_bpm}, pace=pace)
        sixteenth_s = 15.0 / (tempo_bpm * pace)
        found = attacks_s(waveform)
        assert len(found) >= 12
        off = [abs(at / sixteenth_s - round(at / sixteenth_s)) * sixteenth_s for at in found]
        assert max(off) < 0.025


def test_struck_notes_fade_and_held_notes_last() -> None:
    for name in STRUCK:
        levels = envelope_db(render(name, 3.0, count=1), 0.1)
        assert levels[0:4].max() - levels[10:14].max() > 5
    for name in HELD:
        levels = envelope_db(render(name, 3.0, count=1), 0.2)
        assert np.ptp(levels[2:12]) < 4


def test_violins_vibrate_and_accordions_beat() -> None:
    def swing_db(name: str) -> float:
        steady = render(name, 3.0, count=1)[seconds(0.8) : seconds(2.6)]
        return float(np.std(envelope_db(steady, 0.02)))

    assert swing_db("accordion") > 1.0 > swing_db("organ")


def test_pace_and_intensity_are_heard() -> None:
    slow = render("marimba", 8.0, pace=0.6)
    fast = render("marimba", 8.0, pace=1.6)
    assert len(attacks_s(fast)) > 1.8 * len(attacks_s(slow))

    def brightness_hz(intensity: float) -> float:
        power = np.abs(np.fft.rfft(render("brass", 6.0, intensity=intensity))) ** 2
        hertz = np.fft.rfftfreq(seconds(6.0), 1 / SAMPLE_RATE)
        return float(np.sum(power * hertz) / np.sum(power))

    assert brightness_hz(1.0) > 1.05 * brightness_hz(-1.0)


def test_scores_share_harmony_and_end_phrases_at_rest() -> None:
    for theme in range(40):
        score = Score(tonic=60, minor=bool(theme % 2), theme=theme)
        scale = MINOR if score.minor else MAJOR
        for bar in range(16):
            notes = score.melody(bar)
            assert math.isclose(sum(note.beats for note in notes), 4.0)
            assert all((note.midi - 60) % 12 in scale for note in notes)
            assert all(-9 <= note.midi - 60 <= 19 for note in notes)
            strong = notes[0].midi % 12
            assert strong in {midi % 12 for midi in score.chord(bar)}
        assert score.chord(0)[0] == 60
        assert score.melody(0) == Score(60, score.minor, theme).melody(0)


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("a complex ukulele piece", "en", "plucked"),
        ("a lullaby", "en", "music_box"),
        ("a street violinist plays under an arch", "en", "violin"),
        ("an orchestra swells", "en", "strings"),
        ("a tense drone", "en", "drone"),
        ("drums enter", "en", "drums"),
        ("a single piano note", "en", "piano"),
        ("un acordeón", "es", "accordion"),
        ("una canción de cuna", "es", "music_box"),
        ("un accordéon", "fr", "accordion"),
        ("une boîte à musique", "fr", "music_box"),
        ("ein Akkordeon", "de", "accordion"),
        ("das Schlagzeug setzt ein", "de", "drums"),
        ("手风琴", "zh", "accordion"),
        ("演奏复杂尤克里里曲目", "zh", "plucked"),
        ("オルゴール", "ja", "music_box"),
        ("ピアノの音", "ja", "piano"),
    ],
)
def test_music_is_found_in_six_languages(
    lexicon: Lexicon, text: str, language: str, kind: str
) -> None:
    found = [mention.kind for mention in lexicon.read(text, language).mentions]
    assert found == [kind]

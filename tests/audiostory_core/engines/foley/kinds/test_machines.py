"""Physics of the procedural sounds of vehicles, signals, machines and tools."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest
from scipy import signal

from audiostory_core.engines.foley.kinds import machines, signals, vehicles
from audiostory_core.engines.foley.synthesis.dsp import bandpass, lowpass
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import (
    centroid_hz,
    envelope_of,
    onsets,
    spectrum_of,
)
from tests.support.sounds import render

KINDS = {kind.name: kind for module in (vehicles, signals, machines) for kind in module.KINDS}
SEEDS = range(10)


def pitch_track(mono: np.ndarray, low_hz: float, high_hz: float, hop_s: float = 0.05) -> np.ndarray:
    """Return the strongest frequency of each hop within a band."""
    hop = round(hop_s * SAMPLE_RATE)
    hertz, _, spectra = signal.stft(
        mono, SAMPLE_RATE, nperseg=4096, noverlap=4096 - hop, nfft=16384
    )
    inside = (hertz >= low_hz) & (hertz <= high_hz)
    return hertz[inside][np.abs(spectra[inside]).argmax(axis=0)][2:-2]


def pulse_rate_hz(envelope: np.ndarray, rate_hz: float, low_hz: float, high_hz: float) -> float:
    """Return the strongest rhythm of an envelope within a band."""
    centered = envelope - envelope.mean()
    spectrum = np.abs(np.fft.rfft(centered * np.hanning(len(centered)), 8 * len(centered)))
    hertz = np.fft.rfftfreq(8 * len(centered), 1 / rate_hz)
    inside = (hertz >= low_hz) & (hertz <= high_hz)
    return float(hertz[inside][spectrum[inside].argmax()])


def band_power(mono: np.ndarray, low_hz: float, high_hz: float) -> float:
    hertz, power = spectrum_of(mono)
    return float(power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum())


@pytest.mark.parametrize("name", ["traffic", "refrigerator", "fan", "machine", "washing_machine"])
def test_a_bed_is_steady_across_its_block(name):
    level = envelope_of(np.atleast_2d(render(name, 12.0, 2))[0])
    edges = np.concatenate([level[:300], level[-300:]])

    assert abs(20 * np.log10(np.sqrt(np.mean(edges**2)) / np.sqrt(np.mean(level**2)))) < 3.0


@pytest.mark.parametrize("name", ["refrigerator", "clock", "lamp_mechanism"])
def test_adjacent_blocks_of_a_bed_join_without_a_step(name):
    cut = 3 * SAMPLE_RATE + 1234
    whole = render(name, 6.0, 5)
    left = render(name, cut / SAMPLE_RATE, 5)
    right = render(name, (len(whole) - cut) / SAMPLE_RATE, 5, start=cut)
    joined = np.concatenate([left, right])

    # What noise there is lies far below the tones and strokes, which must agree.
    tonal, expected = lowpass(joined, 400), lowpass(whole, 400)
    assert np.std(tonal - expected) < 0.1 * np.std(expected)
    seam = slice(cut - 20, cut + 20)
    assert np.abs(np.diff(tonal[seam])).max() < 4 * np.diff(tonal).std()


@pytest.mark.parametrize("seed", range(4))
def test_siren_fundamental_sweeps_about_an_octave_and_a_half(seed):
    fundamental = lowpass(render("siren", 9.0, seed), 500, 3)
    track = pitch_track(fundamental, 350, 1900)

    assert track.max() / track.min() > 2.2
    assert 400 < track.min() < 700
    assert 1100 < track.max() < 1700
    assert 0.15 < pulse_rate_hz(np.log(track), 20.0, 0.1, 1.0) < 0.35


def test_siren_yelps_when_it_is_fast():
    hertz = pitch_track(lowpass(render("siren", 4.0, 1, pace=1.6), 500, 3), 350, 1900, 0.01)

    assert 2.0 < pulse_rate_hz(hertz, 100.0, 0.5, 8.0) < 4.0


def test_two_tone_siren_alternates_between_two_pitches_a_fourth_apart():
    track = pitch_track(render("two_tone_siren", 6.0, 2), 350, 700)
    low, high = np.percentile(track, [20, 80])

    assert 1.25 < high / low < 1.4
    assert np.mean((np.abs(track - low) < 15) | (np.abs(track - high) < 15)) > 0.85


@pytest.mark.parametrize("seed", range(4))
def test_clock_ticks_are_regular(seed):
    gaps_s = np.diff(onsets(render("clock", 9.0, seed))) / 100

    assert len(gaps_s) >= 7
    assert 0.45 < gaps_s.mean() < 1.1
    assert gaps_s.std() < 0.012


def test_church_clock_and_hammer_counts_are_exact():
    for seed in range(3):
        for count in (1, 2, 5):
            for name in ("church_bell", "bell", "hammer"):
                waveform = render(name, 12.0, seed, count=count)
                assert len(onsets(waveform, rise_db=5.0)) == count, (name, seed, count)


def test_three_hammer_hits_are_three_onsets():
    for seed in SEEDS:
        assert len(onsets(render("hammer", 4.0, seed, count=3))) == 3


@pytest.mark.parametrize(
    "name", ["gunshot", "car_horn", "laser", "beep", "camera", "train_whistle", "referee_whistle"]
)
def test_counted_signals_come_as_often_as_asked(name):
    for seed in range(3):
        apart_s = 0.1 if name == "laser" else 0.2
        assert len(onsets(render(name, 9.0, seed, count=3), apart_s=apart_s)) == 3, seed


def test_a_count_that_hardly_fits_is_kept():
    assert len(onsets(render("hammer", 1.0, 1, count=5))) == 5


def test_phone_rings_for_two_seconds_with_a_bell_at_twenty_hertz():
    waveform = render("phone", 10.0, 1, count=2)
    loud = envelope_of(waveform) > 0.15 * envelope_of(waveform).max()
    strokes = np.sqrt(lowpass(bandpass(waveform, 2000, 8000)[:SAMPLE_RATE] ** 2, 120).clip(0))

    assert 3.5 < loud.sum() / 100 < 5.0
    assert 36 < pulse_rate_hz(strokes, SAMPLE_RATE, 15, 60) < 48  # two gongs in turn


def test_church_bell_is_inharmonic_with_a_minor_third():
    waveform = render("church_bell", 8.0, 4, count=1)
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    hertz = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    peaks, _ = signal.find_peaks(power, height=power.max() * 0.02, distance=60)
    hum = hertz[peaks[0]]
    ratios = hertz[peaks] / hum

    for partial in (2.0, 2.366, 4.0):
        assert np.abs(ratios - partial).min() < 0.06, partial


def test_bell_partials_decay_the_sooner_the_higher():
    waveform = render("church_bell", 8.0, 2, count=1)

    early, late = waveform[:SAMPLE_RATE], waveform[3 * SAMPLE_RATE : 4 * SAMPLE_RATE]
    assert centroid_hz(late) < 0.75 * centroid_hz(early)


@pytest.mark.parametrize("seed", range(3))
def test_reversing_beep_is_a_kilohertz_once_a_second(seed):
    waveform = render("reversing_beep", 8.0, seed)
    hertz, power = spectrum_of(waveform)

    assert 900 < hertz[power.argmax()] < 1300
    assert 0.85 < pulse_rate_hz(envelope_of(waveform), 100.0, 0.3, 5.0) < 1.15


@pytest.mark.parametrize("seed", range(3))
def test_helicopter_blades_pass_twelve_to_eighteen_times_a_second(seed):
    slaps = envelope_of(lowpass(render("helicopter", 6.0, seed), 300))

    assert 12 < pulse_rate_hz(slaps, 100.0, 5.0, 30.0) < 18


def test_explosion_is_mostly_low_and_darkens():
    for seed in range(3):
        waveform = render("explosion", 6.0, seed, count=1)
        assert band_power(waveform, 0, 250) > 0.6
        assert centroid_hz(waveform[2 * SAMPLE_RATE :]) < centroid_hz(waveform[:SAMPLE_RATE])


@pytest.mark.parametrize("seed", range(4))
def test_foghorn_fundamental_is_below_250_hz_and_falls(seed):
    waveform = render("foghorn", 5.0, seed, count=1)
    track = pitch_track(lowpass(waveform, 150, 4), 60, 250)

    assert track.max() < 250
    assert np.median(track[-14:-8]) < 0.9 * np.median(track[10:20])


@pytest.mark.parametrize("seed", range(3))
def test_kettle_rises_in_level_and_ends_whistling(seed):
    waveform = render("kettle", 10.0, seed)
    level = envelope_of(waveform)
    last = waveform[-2 * SAMPLE_RATE :]
    hertz, power = spectrum_of(last)

    assert 20 * np.log10(level[-200:].mean() / level[:200].mean()) > 12
    assert 1800 < hertz[power.argmax()] < 3200
    assert centroid_hz(last) > 1.3 * centroid_hz(waveform[: 3 * SAMPLE_RATE])


@pytest.mark.parametrize(
    ("name", "cylinders", "low_rpm", "high_rpm"),
    [("car", 4, 1200, 4500), ("truck", 6, 600, 2400), ("bus", 6, 500, 1500)],
)
def test_engines_fire_at_the_rate_of_their_cylinders(name, cylinders, low_rpm, high_rpm):
    hertz, power = signal.welch(render(name, 6.0, 1), SAMPLE_RATE, nperseg=16384)
    firing = np.array((low_rpm, high_rpm)) / 120 * cylinders
    low = (hertz > 15) & (hertz < 260)
    peaks, _ = signal.find_peaks(power[low], height=power[low].max() * 0.05)

    assert ((hertz[low][peaks] > firing[0]) & (hertz[low][peaks] < firing[1])).any()


def test_a_truck_is_lower_than_a_motorcycle():
    assert centroid_hz(lowpass(render("truck", 4.0, 1), 900)) < centroid_hz(
        lowpass(render("motorcycle", 4.0, 1), 900)
    )


def test_a_lawn_mower_has_one_cylinder_that_fires_every_other_turn():
    pops = envelope_of(bandpass(render("lawn_mower", 6.0, 1), 60, 400))

    assert 2500 < 120 * pulse_rate_hz(pops, 100.0, 10.0, 40.0) < 3400


def test_a_car_that_drives_away_rolls_faster_and_shifts_up():
    waveform = render("car", 10.0, 2, motion="receding")
    tires = envelope_of(bandpass(waveform, 500, 1500))
    engine = pitch_track(lowpass(waveform, 100, 2), 15, 160, 0.1)

    assert tires[-200:].mean() > 2 * tires[:60].mean()
    assert (np.diff(engine) < -15).sum() >= 1


def test_a_steam_train_that_pulls_out_chuffs_faster_and_faster():
    puffs = envelope_of(bandpass(render("steam_train", 16.0, 1, pace=0.5), 300, 3000))
    first = pulse_rate_hz(puffs[:500], 100.0, 0.6, 9.0)
    last = pulse_rate_hz(puffs[-400:], 100.0, 0.6, 9.0)

    assert last > 1.7 * first


def test_a_train_runs_over_joints_in_pairs():
    thuds = onsets(bandpass(render("train", 8.0, 1), 100, 3000), rise_db=5.0, apart_s=0.05)
    gaps_s = np.diff(thuds) / 100

    assert gaps_s.min() < 0.22
    assert gaps_s.max() > 0.3
    assert len(thuds) >= 12


def test_a_bus_sighs_when_it_has_stopped():
    waveform = render("bus", 8.0, 1)
    high = envelope_of(bandpass(waveform, 2500, 9000))

    assert high.max() > 6 * np.median(high)
    assert 2.0 < high.argmax() / 100 < 4.5


def test_traffic_is_wide_and_its_cars_pass_from_side_to_side():
    waveform = render("traffic", 12.0, 3)
    left, right = (envelope_of(bandpass(channel, 450, 1500)) for channel in waveform)
    balance_db = 20 * np.log10(
        np.convolve(left, np.ones(50), "valid") / np.convolve(right, np.ones(50), "valid")
    )

    assert waveform.shape[0] == 2
    assert np.ptp(balance_db) > 3


def test_refrigerator_hums_at_the_mains():
    hertz, power = signal.welch(render("refrigerator", 8.0, 1), SAMPLE_RATE, nperseg=32768)
    loudest = hertz[power.argmax()]

    assert min(abs(loudest - 100), abs(loudest - 120)) < 3


def test_drill_slows_down_and_starts_again():
    whine = envelope_of(render("drill", 10.0, 1))

    assert (whine < 0.15 * whine.max()).any()
    assert len(onsets(render("drill", 10.0, 1), rise_db=9.0, apart_s=0.5)) >= 2


def test_laser_falls_in_pitch():
    track = pitch_track(render("laser", 1.0, 1, count=1), 100, 5000, 0.01)

    assert track[0] > 2.5 * track[10]


def test_a_smaller_bell_is_higher():
    assert centroid_hz(render("bell", 4.0, 1, size=-1.0)) > 1.5 * centroid_hz(
        render("bell", 4.0, 1, size=1.0)
    )


def test_the_word_list_names_every_kind_in_six_languages():
    path = files("audiostory_core.engines.foley") / "lexicon" / "machines.toml"
    words = tomllib.loads(path.read_text(encoding="utf-8"))

    for name in KINDS:
        phrases = words[name]
        assert set(phrases) == {"en", "es", "fr", "de", "zh", "ja"}, name
        for language, listed in phrases.items():
            assert len(listed) >= 3, (name, language)

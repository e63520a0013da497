import tomllib
from importlib.resources import files

import numpy as np
import pytest

from audiostory_core.engines.foley.kinds import animals, weather
from audiostory_core.engines.foley.sound import Role
from audiostory_core.engines.foley.words.lexicon import LANGUAGES, Lexicon
from audiostory_core.story.plan import SAMPLE_RATE
from tests.support.sound_features import (
    ENVELOPE_HOP,
    centroid_hz,
    envelope_of,
    flatness,
    onsets,
    spectrum_of,
)
from tests.support.sounds import level_db, mono, render

KINDS = {kind.name: kind for kind in (*weather.KINDS, *animals.KINDS)}
BEDS = sorted(name for name, kind in KINDS.items() if kind.role is Role.BED)
HALVES = ((0.1, 0.3), (0.5, 0.7))  # of a neigh
COUNTED = ["dog", "cat", "cow", "duck", "pig", "crow", "wolf", "sheep", "horse", "mouse"]


def share_between(waveform, low_hz, high_hz):
    hertz, power = spectrum_of(waveform)
    return power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum()


def peak_hz(waveform):
    hertz, power = spectrum_of(waveform)
    return hertz[power.argmax()]


def modulation(waveform, low_hz, high_hz):
    """Return the share of the envelope's variance between two modulation frequencies."""
    envelope = envelope_of(waveform)
    power = np.abs(np.fft.rfft(envelope - envelope.mean())) ** 2
    hertz = np.fft.rfftfreq(envelope.size, ENVELOPE_HOP / SAMPLE_RATE)
    return power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum()


@pytest.mark.parametrize("name", BEDS)
def test_bed_block_is_as_loud_and_as_bright_as_another_block(name):
    first, second = (
        mono(render(name, duration_s=10.0, seed=5, start=block * 10 * SAMPLE_RATE, block=block))
        for block in (0, 7)
    )

    assert level_db(first) == pytest.approx(level_db(second), abs=4.0)
    assert np.log2(centroid_hz(first) / centroid_hz(second)) == pytest.approx(0.0, abs=0.4)


@pytest.mark.parametrize("name", ["rain", "wind", "brook", "fire", "waterfall", "bees", "cicadas"])
def test_bed_has_no_fade_or_gap_at_the_edges_of_a_block(name):
    waveform = mono(render(name, duration_s=6.0, seed=2, start=40 * SAMPLE_RATE))
    state = round(0.25 * SAMPLE_RATE)

    middle = level_db(waveform)
    assert level_db(waveform[:state]) > middle - 8.0
    assert level_db(waveform[-state:]) > middle - 8.0


@pytest.mark.parametrize("name", ["dripping", "crickets", "hooves", "songbird", "frogs"])
def test_events_keep_their_places_across_blocks(name):
    whole = envelope_of(mono(render(name, duration_s=8.0, seed=6)))
    late = envelope_of(mono(render(name, duration_s=4.0, seed=6, start=4 * SAMPLE_RATE, block=9)))

    assert np.corrcoef(whole[-late.size :], late)[0, 1] > 0.9


@pytest.mark.parametrize("name", ["rain", "wind", "waves", "river", "fire", "waterfall", "leaves"])
def test_wide_bed_is_decorrelated_between_the_ears(name):
    left, right = render(name, duration_s=4.0)

    assert abs(np.corrcoef(left, right)[0, 1]) < 0.3


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_count_gives_exactly_so_many_events(name, count):
    waveform = render(name, duration_s=25.0, seed=count, count=count)

    assert groups(waveform) == count


def groups(waveform):
    """Return the number of stretches of sound with at least 70 ms of near silence between."""
    envelope = envelope_of(waveform)
    loud = np.flatnonzero(envelope > 0.02 * envelope.max())
    return 1 + int(np.sum(np.diff(loud) > 6))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_splash_slaps_the_water_as_often_as_asked(count):
    envelope = envelope_of(render("splash", duration_s=12.0, seed=count, count=count))

    loud = np.flatnonzero(envelope > 0.5 * envelope.max())
    assert 1 + np.sum(np.diff(loud) > 60) == count


@pytest.mark.parametrize("seed", range(5))
def test_dog_barks_twice_by_habit_and_each_bark_is_short(seed):
    waveform = render("dog", seed=seed)

    assert len(onsets(waveform)) == 2
    assert 0.3 < waveform.size / SAMPLE_RATE < 1.2


def test_dripping_counts_its_drops_from_the_start_of_the_bed():
    assert len(onsets(mono(render("dripping", duration_s=8.0, count=3)), apart_s=0.3)) == 3
    assert not mono(render("dripping", duration_s=8.0, count=3, start=30 * SAMPLE_RATE)).any()


@pytest.mark.parametrize("seed", range(3))
def test_rain_is_spectrally_flat_and_wind_is_not(seed):
    assert flatness(mono(render("rain", seed=seed)), 500, 12_000) > 0.75
    assert flatness(mono(render("wind", seed=seed)), 100, 12_000) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_tin_roof_rings_where_open_rain_hisses(seed):
    rain, tin = mono(render("rain", seed=seed)), mono(render("rain_on_tin", seed=seed))

    assert flatness(tin, 500, 12_000) < 0.6 * flatness(rain, 500, 12_000)
    assert share_between(tin, 300, 7000) > 0.75


@pytest.mark.parametrize("name", ["drizzle", "hail", "fire"])
def test_drops_stones_and_crackles_are_impulsive(name):
    waveform = mono(render(name, seed=1))

    kurtosis = np.mean(waveform**4) / np.mean(waveform**2) ** 2
    assert kurtosis > 6.0
    assert np.mean(mono(render("rain")) ** 4) / np.mean(mono(render("rain")) ** 2) ** 2 < 5.0


@pytest.mark.parametrize("seed", range(4))
def test_thunder_is_deep_and_starts_with_its_crack(seed):
    waveform = render("thunder", duration_s=12.0, seed=seed)

    assert share_between(waveform, 0, 200) > 0.6
    assert waveform.size > 3 * SAMPLE_RATE
    half = waveform.size // 2
    assert level_db(waveform[:half]) > level_db(waveform[half:]) + 6.0


@pytest.mark.parametrize("seed", range(3))
def test_waves_swell_slowly(seed):
    assert modulation(mono(render("waves", duration_s=40.0, seed=seed)), 0.05, 0.35) > 0.6
    assert modulation(mono(render("river", duration_s=40.0, seed=seed)), 0.05, 0.35) < 0.3


def test_brook_bubbles_lie_at_hundreds_of_hertz_and_a_river_is_darker():
    brook, river = mono(render("brook")), mono(render("river"))

    assert share_between(brook, 250, 4500) > 0.8
    assert centroid_hz(river) < centroid_hz(brook)


def test_underwater_lets_no_highs_through():
    assert share_between(mono(render("underwater")), 1500, 20_000) < 0.01


def test_earthquake_is_below_a_hundred_hertz():
    assert share_between(mono(render("earthquake")), 0, 100) > 0.7


def test_snowstorm_howls_above_a_hissing_floor():
    waveform = mono(render("snowstorm"))

    assert 350 < peak_hz(waveform) < 1500
    assert share_between(waveform, 5000, 20_000) > 0.01


def test_splash_falls_away_after_its_slap():
    waveform = render("splash", count=1)

    assert level_db(waveform[: SAMPLE_RATE // 5]) > level_db(waveform[SAMPLE_RATE // 2 :]) + 9.0


def test_dripping_is_a_few_separate_plinks():
    drops = onsets(mono(render("dripping", duration_s=12.0)), apart_s=0.3)

    assert 6 <= len(drops) <= 18
    assert 700 < peak_hz(mono(render("dripping", duration_s=12.0))) < 3000


@pytest.mark.parametrize("seed", range(4))
def test_owl_hoots_near_350_hz(seed):
    assert 280 < peak_hz(render("owl", seed=seed)) < 440


@pytest.mark.parametrize("seed", range(4))
def test_crickets_peak_between_3500_and_6000_hz_and_chirp(seed):
    waveform = mono(render("crickets", duration_s=8.0, seed=seed))

    assert 3500 < peak_hz(waveform) < 6000
    assert share_between(waveform, 3500, 6000) > 0.9


def test_a_single_cricket_chirps_in_triplets():
    waveform = mono(render("crickets", duration_s=6.0, count=1, pace=0.8))
    power = np.abs(np.fft.rfft(waveform**2)) ** 2
    hertz = np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)

    band = (hertz > 15) & (hertz < 45)
    assert 22 < hertz[band][power[band].argmax()] < 32


def test_birds_sing_between_2_and_8_khz_in_stereo():
    left, right = render("birds", duration_s=8.0)

    assert share_between(left + right, 1500, 9000) > 0.95
    assert not np.allclose(left, right)


@pytest.mark.parametrize(
    ("name", "low_hz", "high_hz"),
    [("cow", 80, 900), ("wolf", 350, 900), ("pigeons", 220, 550), ("mouse", 3000, 8500)],
)
def test_call_has_its_main_partial_where_the_animal_has(name, low_hz, high_hz):
    assert low_hz < peak_hz(mono(render(name, duration_s=6.0))) < high_hz


def test_horse_neigh_falls_in_pitch():
    waveform = render("horse", count=1)
    early, late = (waveform[int(a * waveform.size) : int(b * waveform.size)] for a, b in HALVES)

    assert share_between(late, 350, 850) > 2 * share_between(early, 350, 850)


def test_hooves_beat_faster_in_gallop_than_in_walk():
    walk, gallop = (
        len(onsets(mono(render("hooves", duration_s=8.0, pace=pace)), apart_s=0.04))
        for pace in (0.7, 1.5)
    )

    assert gallop > 1.5 * walk


def test_purr_pulses_some_25_times_a_second():
    waveform = mono(render("cat_purr", duration_s=6.0))
    power = np.abs(np.fft.rfft(waveform**2)) ** 2
    hertz = np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)

    band = (hertz > 8) & (hertz < 100)
    assert 20 < hertz[band][power[band].argmax()] < 31


@pytest.mark.parametrize("name", ["dog", "cat", "cow", "wolf", "crow", "lion"])
def test_a_large_animal_sounds_lower_than_a_small_one(name):
    small, large = (centroid_hz(render(name, size=size)) for size in (-0.8, 0.8))

    assert small > 1.15 * large


@pytest.mark.parametrize("name", ["rain", "brook", "fire", "hail", "dripping", "rain_on_tin"])
def test_intensity_makes_more_events_and_more_sound(name):
    gentle, violent = (mono(render(name, duration_s=8.0, intensity=i)) for i in (-0.8, 0.8))

    assert level_db(violent) > level_db(gentle) + 1.0


@pytest.mark.parametrize("name", ["wind", "waves", "avalanche"])
def test_intensity_brightens(name):
    gentle, violent = (mono(render(name, duration_s=10.0, intensity=i)) for i in (-0.8, 0.8))

    assert centroid_hz(violent) > 1.15 * centroid_hz(gentle)


def words():
    folder = files("audiostory_core.engines.foley") / "lexicon"
    return (
        tomllib.loads((folder / file).read_text(encoding="utf-8"))
        for file in ("nature.toml", "inflections.toml")
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_is_read_as_its_kind(language):
    phrases, irregular = words()
    lexicon = Lexicon(phrases, irregular=irregular)
    gap = "乙" if language in ("zh", "ja") else " xyz "

    misread = {}
    for kind, listed in phrases.items():
        wanted = [] if kind == "silent" else [kind]
        for phrase in listed[language]:
            text = phrase.replace("=", "").replace("…", gap)
            heard = [mention.kind for mention in lexicon.read(text, language).mentions]
            if heard != wanted:
                misread[phrase] = heard

    assert misread == {}


def test_every_kind_has_words_in_every_language():
    phrases, _ = words()

    assert phrases.keys() - {"silent"} == KINDS.keys()
    assert all(len(phrases[kind][language]) >= 5 for kind in KINDS for language in LANGUAGES)


@pytest.mark.parametrize(
    ("language", "text", "kinds"),
    [
        ("en", "Heavy rain on tin roofs while a dog is barking", ["rain_on_tin", "dog"]),
        ("en", "She waves goodbye on the winding road", []),
        ("en", "A hot dog stand near the fire department", []),
        ("en", "Wolves howled; the campfire crackled", ["wolf", "fire"]),
        ("es", "Los perros ladraban y llovía; el gallo cantó", ["dog", "rain", "rooster"]),
        ("fr", "Le tonnerre gronde et les mouettes crient", ["thunder", "seagulls"]),
        ("fr", "Arrêt au feu rouge", []),
        ("de", "Die Wellen brechen, Möwen kreischen", ["waves", "seagulls"]),
        ("zh", "远处传来雷声，小狗汪汪叫，溪水潺潺", ["thunder", "dog", "brook"]),
        ("ja", "雨音の中でカエルが鳴き、犬が吠える", ["rain", "frogs", "dog"]),
    ],
)
def test_sentence_names_the_sounds_of_nature(language, text, kinds):
    phrases, irregular = words()
    heard = [m.kind for m in Lexicon(phrases, irregular=irregular).read(text, language).mentions]

    assert heard == kinds

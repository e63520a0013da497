"""Sounds made to be noticed: sirens, alarms, horns, whistles, bells, phones, beeps."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    decay,
    fade,
    highpass,
    lowpass,
    place,
    seconds,
    times,
)
from audiostory_core.engines.foley.synthesis.matter import counted, ring, scale_of
from audiostory_core.engines.foley.synthesis.sources import (
    click,
    hiss,
    jitter,
    play,
    resonant,
    scatter,
    slow,
    turns,
    wavetable,
)
from audiostory_core.story.plan import SAMPLE_RATE

SAW = wavetable([1 / k for k in range(1, 14)])
SINE = wavetable((1.0,))

# Partials of a church bell as multiples of the prime, with their decay relative to the prime's
# and their gain: hum, prime, tierce, quint, nominal, and above. Each is a slow-beating doublet.
BELL_PARTIALS = np.array(
    (
        (0.5, 2.0, 0.55),
        (1.0, 1.0, 0.5),
        (1.183, 0.9, 0.8),
        (1.506, 0.5, 0.3),
        (2.0, 0.6, 1.0),
        (2.514, 0.3, 0.35),
        (2.662, 0.28, 0.3),
        (3.011, 0.25, 0.5),
        (4.166, 0.15, 0.35),
        (5.433, 0.1, 0.25),
        (6.796, 0.07, 0.15),
    )
)


def _siren(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    low_hz, high_hz = rng.uniform(480, 580), rng.uniform(1350, 1600)
    yelping = sound.shape.pace > 1.3
    period_s = rng.uniform(0.3, 0.4) if yelping else rng.uniform(3.6, 4.8) / sound.shape.pace
    first = rng.uniform(0.0, 0.3)

    def sweep(t: Array) -> Array:
        x = (t / period_s + first) % 1.0
        up = (1 - np.exp(-3 * x / 0.45)) / (1 - np.exp(-3))
        down = (np.exp(-2 * (x - 0.45) / 0.55) - np.exp(-2)) / (1 - np.exp(-2))
        return low_hz * (high_hz / low_hz) ** np.where(x < 0.45, up, down)

    # A fast yelp needs finer steps than slow curves have.
    t = times(samples, sound.start)
    hertz = sweep(t) if yelping else slow(samples, sound.start, sweep)
    hertz = hertz * scale_of(sound, 0.4)
    tone = play(SAW, turns(hertz, rng.random()))
    horn = resonant(tone, ((1250, 2.0, 1.2), (2600, 3.0, 0.8)), 0.35)
    loud = np.tanh((1.2 + 0.5 * sound.shape.intensity) * horn)
    return highpass(loud * (0.75 + 0.25 * hertz / high_hz), 150, 1)


def _two_tone_siren(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    low_hz = rng.uniform(410, 455) * scale_of(sound, 0.4)
    high_hz = low_hz * rng.uniform(1.28, 1.35)
    half_s = rng.uniform(0.55, 0.75) / sound.shape.pace
    high = (times(samples, sound.start) / half_s).astype(np.int64) % 2
    hertz = lowpass(np.where(high, high_hz, low_hz) - low_hz, 60) + low_hz
    horn = resonant(play(SAW, turns(hertz)), ((900, 2.0, 1.2), (1900, 3.0, 0.8)), 0.4)
    return highpass(np.tanh(1.4 * horn), 150, 1)


def _alarm(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    t = times(samples, sound.start) * sound.shape.pace
    size = scale_of(sound, 0.4)
    pattern = int(rng.integers(3))
    tune = rng.uniform(0.9, 1.1) * size
    if pattern == 0:
        x = t / 0.42 % 1.0
        hertz = 1100 * tune * 2.4**x
        gate = np.ones(samples)
    elif pattern == 1:
        hertz = np.where(t / 0.5 % 1.0 < 0.5, 960.0, 770.0) * tune
        gate = np.ones(samples)
    else:
        x = t / 1.0 % 1.0
        hertz = np.full(samples, 480.0 * tune)
        gate = lowpass((x < 0.62).astype(np.float64), 80)
    buzzer = play(wavetable((1, 0.15, 0.6, 0.1, 0.4, 0.1, 0.3)), turns(hertz))
    return gate * highpass(np.tanh(1.5 * resonant(buzzer, ((2900, 2.5, 1.5),), 0.6)), 150, 1)


def _alarm_clock(sound: Sound) -> Samples:
    rng = sound.constants
    pitch_hz = rng.uniform(1900, 2200) * scale_of(sound, 0.3)
    cycle_s = rng.uniform(0.95, 1.1) / sound.shape.pace
    t = times(sound.samples, sound.start)
    within = t % cycle_s / cycle_s * 8
    on = ((within < 4) & (within % 1.0 < 0.5)).astype(np.float64)
    tone = play(wavetable((1, 0, 0.35, 0, 0.2, 0, 0.1)), turns(np.full(sound.samples, pitch_hz)))
    return tone * lowpass(on, 250)


def _reversing_beep(sound: Sound) -> Samples:
    rng = sound.constants
    pitch_hz = rng.uniform(950, 1250) * scale_of(sound, 0.3)
    period_s = rng.uniform(0.9, 1.1) / sound.shape.pace
    on = (times(sound.samples, sound.start) % period_s < 0.5 * period_s).astype(np.float64)
    tone = play(wavetable((1, 0.1, 0.3, 0.05, 0.1)), turns(np.full(sound.samples, pitch_hz)))
    return tone * lowpass(on, 120)


def _beep(sound: Sound) -> Samples:
    rng = sound.constants
    pitch_hz = rng.uniform(750, 1600) * scale_of(sound)
    length = min(seconds(rng.uniform(0.12, 0.28)), sound.samples)
    tone = play(wavetable((1, 0.12, 0.08)), turns(np.full(length, pitch_hz)))
    blip = fade(tone, 0.004, 0.012)
    return counted(sound, 2, rng.uniform(0.4, 0.6), lambda _: blip, 0.0)


def _sonar(sound: Sound) -> Samples:
    rng = sound.constants
    pitch_hz = rng.uniform(900, 1350) * scale_of(sound)
    length = min(seconds(3.2), sound.samples)
    cycles = turns(pitch_hz * (1 - 0.02 * np.minimum(1, times(length) / 0.3)))
    ping = play(SINE, cycles) * decay(length, 1.8, 0.004)
    reverberation = bandpass(
        sound.texture.standard_normal(length), 0.96 * pitch_hz, 1.02 * pitch_hz
    )
    ping += 2.2 * reverberation * decay(length, 3.0, 0.12)
    habit = max(1, min(3, sound.samples // seconds(3.0)))
    return counted(sound, habit, rng.uniform(2.8, 3.4), lambda _: fade(ping, 0, 0.2), 0.0, 1.0)


def _blown(sound: Sound, length_s: float, count: int) -> int:
    """Return the samples of one of `count` blasts, short enough to leave gaps where time is."""
    return max(64, min(seconds(length_s), round(0.75 * sound.samples / count)))


def _car_horn(sound: Sound) -> Samples:
    rng = sound.constants
    low_hz = rng.uniform(370, 430) * scale_of(sound, 0.5)
    reed = wavetable(np.array((0.7, 1, 0.9, 0.8, 0.9, 0.7, 0.55, 0.5, 0.35, 0.3, 0.2, 0.15, 0.1)))

    count = sound.shape.count or int(rng.integers(1, 4))
    honk_s = 0.3 + 0.5 * max(sound.shape.intensity, 0)

    def honk(index: int) -> Array:
        last = index == count - 1
        length_s = honk_s * rng.uniform(0.8, 1.2) * (1.6 if last else 1.0)
        length = _blown(sound, length_s, count)
        hertz = low_hz * (1 - 0.04 * decay(length, 0.12))
        tone = play(reed, turns(hertz)) + play(reed, turns(1.24 * hertz, 0.3))
        return fade(resonant(tone, ((1900, 2.0, 0.8), (3100, 3.0, 0.5)), 0.5), 0.018, 0.04)

    return counted(sound, count, 1.5 * honk_s + 0.1, honk, 0.04, 0.5)


def _foghorn(sound: Sound) -> Samples:
    rng = sound.constants
    note_hz = rng.uniform(115, 165) * scale_of(sound, 0.5)
    fall = rng.uniform(0.72, 0.8)
    reed = wavetable([k**-0.55 for k in range(1, 31)])

    count = sound.shape.count or max(1, min(2, sound.samples // seconds(6.5)))

    def blast(_: int) -> Array:
        length = _blown(sound, rng.uniform(3.0, 4.2), count)
        along = np.linspace(0, 1, length)
        lower = 1 / (1 + np.exp(-(along - 0.68) / 0.012))
        hertz = note_hz * (1 - (1 - fall) * lower) * (1 - 0.06 * decay(length, 0.5))
        tone = play(reed, turns(hertz)) * (1 + 0.12 * jitter(sound.texture, length, 25))
        horn = resonant(tone, ((340, 1.6, 1.2), (720, 3.0, 0.5)), 0.25)
        air = hiss(sound.texture, length, 200, 1200) * 0.08
        return fade(lowpass(horn, 1400, 1) + air, 0.22, 0.5)

    return counted(sound, count, rng.uniform(5.5, 6.5), blast, 0.02, 4.0)


def _train_whistle(sound: Sound) -> Samples:
    rng = sound.constants
    root_hz = rng.uniform(290, 345) * scale_of(sound, 0.5)
    chord = root_hz * np.array((1.0, 1.19, 1.335, 1.59, 2.0)) * rng.uniform(0.993, 1.007, 5)
    pipe = wavetable((1, 0.45, 0.28, 0.12, 0.08, 0.04))

    count = sound.shape.count or 2

    def blow(index: int) -> Array:
        last = index == count - 1
        length = _blown(sound, rng.uniform(1.4, 1.8) * (1.6 if last else 1.0), count)
        pressure = np.clip(
            np.minimum(times(length) / 0.25, (length / SAMPLE_RATE - times(length)) / 0.4), 0, 1
        )
        hertz = (0.94 + 0.06 * pressure) * (1 + 0.002 * jitter(sound.texture, length, 8))
        phase = turns(hertz)
        tone = np.zeros(length)
        for note_hz in chord:
            tone += play(pipe, note_hz * phase + rng.random())
        steam = hiss(sound.texture, length, 900, 6000) * 0.5
        return fade(
            (tone * (1 + 0.06 * jitter(sound.texture, length, 30)) + steam) * pressure, 0.02, 0.05
        )

    return counted(sound, count, 2.3, blow, 0.03, 2.6)


def _referee_whistle(sound: Sound) -> Samples:
    rng = sound.constants
    pitch_hz = rng.uniform(2300, 2900) * scale_of(sound, 0.3)
    pea_hz = rng.uniform(32, 44)

    def blow(_: int) -> Array:
        length = _blown(sound, rng.uniform(0.4, 0.65), sound.shape.count or 1)
        pea = np.sin(2 * np.pi * turns(pea_hz * (1 + 0.1 * jitter(sound.texture, length, 12))))
        tone = np.sin(2 * np.pi * turns(pitch_hz * (1 + 0.025 * pea)))
        tone += 0.5 * np.sin(2 * np.pi * turns(1.13 * pitch_hz * (1 + 0.025 * pea)))
        breath = hiss(sound.texture, length, 2000, 8000) * 0.12
        return fade((tone + breath) * (0.65 + 0.35 * pea), 0.02, 0.06)

    return counted(sound, 1, 0.9, blow, 0.05, 0.65)


def _bell_tone(rng: np.random.Generator, samples: int, prime_hz: float, decay_s: float) -> Array:
    ratio, lasting, gain = BELL_PARTIALS.T
    ratio = ratio * (1 + 0.004 * rng.standard_normal(len(ratio)))
    doublet = np.concatenate([ratio, ratio * (1 + rng.uniform(4e-4, 2e-3, len(ratio)))])
    gains = np.concatenate([gain, gain * rng.uniform(0.2, 0.6, len(gain))])
    tone = ring(samples, prime_hz * doublet, decay_s * np.tile(lasting, 2), gains, np.zeros(22))
    place(tone, click(rng, 0.03, 1500, 6000), 0, 0.8)
    return fade(tone, 0.0008, 0.05)


def _church_bell(sound: Sound) -> Samples:
    rng = sound.constants
    prime_hz = rng.uniform(260, 400) * scale_of(sound, 0.6)
    every_s = rng.uniform(1.9, 2.5)
    tone = _bell_tone(rng, min(seconds(9.0), sound.samples), prime_hz, rng.uniform(5.0, 7.0))
    last_s = sound.samples / SAMPLE_RATE - 3.0
    habit = int(np.clip(1 + last_s // (every_s / sound.shape.pace), 1, 12))
    return counted(
        sound, habit, every_s, lambda _: tone * sound.texture.uniform(0.85, 1.0), 0.015, 1.2
    )


def _bell(sound: Sound) -> Samples:
    rng = sound.constants
    prime_hz = rng.uniform(800, 1150) * scale_of(sound)
    tone = _bell_tone(rng, min(seconds(3.5), sound.samples), prime_hz, rng.uniform(1.6, 2.2))
    return counted(
        sound, 2, rng.uniform(0.8, 1.0), lambda _: tone * sound.texture.uniform(0.8, 1.0), 0.04, 0.7
    )


def _bicycle_bell(sound: Sound) -> Samples:
    rng = sound.constants
    base_hz = rng.uniform(2100, 2700) * scale_of(sound, 0.4)
    length = min(seconds(1.3), sound.samples)
    cup = ring(
        length,
        base_hz * np.array((1.0, 1.004, 2.51, 2.52, 4.4)),
        np.array((1.2, 1.1, 0.7, 0.6, 0.3)),
        np.array((1.0, 0.7, 0.8, 0.5, 0.4)),
        np.zeros(5),
    )

    def trill(_: int) -> Array:
        at = np.cumsum(sound.texture.uniform(0.9, 1.1, 9) / 24.0) * SAMPLE_RATE
        strength = np.linspace(1, 0.5, 9) * sound.texture.uniform(0.7, 1, 9)
        return fade(scatter(length, at, strength, cup), 0, 0.05)

    return counted(sound, 2, 0.62, trill, 0.05, 0.5)


def _doorbell(sound: Sound) -> Samples:
    rng = sound.constants
    ding_hz = rng.uniform(600, 720) * scale_of(sound, 0.4)
    length = min(seconds(2.8), sound.samples)
    chime = np.zeros(length)
    for late_s, hertz in ((0.0, ding_hz), (rng.uniform(0.5, 0.65), ding_hz / 1.26)):
        bar = ring(
            length,
            hertz * np.array((1.0, 1.001, 2.0, 2.76, 5.4)),
            np.array((2.6, 2.4, 0.8, 0.7, 0.2)),
            np.array((1.0, 0.5, 0.12, 0.3, 0.2)),
            np.zeros(5),
        )
        place(chime, fade(bar, 0.002, 0.1), seconds(late_s))
    return counted(sound, 1, 2.2, lambda _: chime, 0.02, 1.2)


def _phone(sound: Sound) -> Samples:
    rng = sound.constants
    gong_hz = rng.uniform(1050, 1300) * scale_of(sound, 0.4)
    strokes_hz = rng.uniform(19, 23)
    ring_s = rng.uniform(1.8, 2.1)
    length = min(seconds(ring_s + 0.8), sound.samples)
    partials = np.array((1.0, 2.02, 2.76, 3.9, 5.4))
    burst = np.zeros(length)
    at = np.arange(0, ring_s, 1 / strokes_hz) * SAMPLE_RATE
    for late, tuning in ((0.0, 1.0), (0.5, 1.19)):
        gong = ring(
            seconds(0.8),
            gong_hz * tuning * partials,
            np.array((0.75, 0.6, 0.5, 0.35, 0.2)),
            np.array((0.8, 0.5, 0.6, 0.4, 0.3)),
            np.zeros(5),
        )
        place(gong, click(rng, 0.006, 2000, 8000), 0, 0.5)
        late_at = at + late * SAMPLE_RATE / strokes_hz
        burst += scatter(length, late_at, sound.texture.uniform(0.8, 1.0, len(at)), gong)
    burst = fade(burst, 0, 0.1)
    every_s = ring_s + 4.0
    habit = int(np.clip(1 + (sound.samples / SAMPLE_RATE - ring_s) // every_s, 1, 4))
    return counted(sound, habit, every_s, lambda _: burst, 0.0, ring_s)


def _mobile_phone(sound: Sound) -> Samples:
    rng = sound.constants
    base_hz = rng.uniform(820, 1000) * scale_of(sound, 0.4)
    steps = base_hz * 2 ** (rng.choice((0, 4, 7, 12, 16, 19), 8) / 12)
    length = min(seconds(1.5), sound.samples)
    tune = np.zeros(length)
    note = seconds(0.11)
    table = wavetable((1, 0.3, 0.25, 0.05, 0.1))
    for index, hertz in enumerate(steps):
        tone = play(table, turns(np.full(seconds(0.3), hertz))) * decay(seconds(0.3), 0.35, 0.003)
        place(tune, tone, index * note)
    buzz = play(SAW, turns(np.full(length, 160.0))) * (times(length) < 0.9) * 0.12
    ringtone = fade(tune + lowpass(buzz, 900), 0.003, 0.1)
    habit = int(np.clip(1 + (sound.samples / SAMPLE_RATE - 1.5) // 2.4, 1, 4))
    return counted(sound, habit, 2.4, lambda _: ringtone, 0.0, 1.4)


KINDS: tuple[Kind, ...] = (
    Kind("siren", "signal", Role.SUSTAINED, _siren, -15.0),
    Kind("two_tone_siren", "signal", Role.SUSTAINED, _two_tone_siren, -15.0),
    Kind("alarm", "signal", Role.SUSTAINED, _alarm, -18.0),
    Kind("alarm_clock", "signal", Role.SUSTAINED, _alarm_clock, -22.0),
    Kind("reversing_beep", "signal", Role.SUSTAINED, _reversing_beep, -22.0),
    Kind("beep", "signal", Role.ONESHOT, _beep, -24.0),
    Kind("sonar", "signal", Role.ONESHOT, _sonar, -20.0),
    Kind("car_horn", "signal", Role.ONESHOT, _car_horn, -17.0),
    Kind("foghorn", "signal", Role.ONESHOT, _foghorn, -15.0),
    Kind("train_whistle", "signal", Role.ONESHOT, _train_whistle, -16.0),
    Kind("referee_whistle", "signal", Role.ONESHOT, _referee_whistle, -18.0),
    Kind("church_bell", "signal", Role.ONESHOT, _church_bell, -17.0),
    Kind("bell", "signal", Role.ONESHOT, _bell, -19.0),
    Kind("bicycle_bell", "signal", Role.ONESHOT, _bicycle_bell, -24.0),
    Kind("doorbell", "signal", Role.ONESHOT, _doorbell, -21.0),
    Kind("phone", "signal", Role.ONESHOT, _phone, -21.0),
    Kind("mobile_phone", "signal", Role.ONESHOT, _mobile_phone, -23.0),
)

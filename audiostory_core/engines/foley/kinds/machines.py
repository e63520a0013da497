"""Clocks, household and office machines, industry; with tools and blasts, all machine kinds."""

import numpy as np

from audiostory_core.engines.foley.kinds import blasts, tools
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
from audiostory_core.engines.foley.synthesis.motors import INLINE_FOUR, Motor, running
from audiostory_core.engines.foley.synthesis.sources import (
    click,
    crossings,
    hiss,
    jitter,
    play,
    scatter,
    struck,
    switched,
    ticking,
    turns,
    wavetable,
)
from audiostory_core.engines.foley.synthesis.texture import drift
from audiostory_core.engines.foley.synthesis.voicing import babble, speak, voice_of
from audiostory_core.story.plan import SAMPLE_RATE


def _clock(sound: Sound) -> Samples:
    rng = sound.constants
    size = scale_of(sound)
    period_s = rng.choice((0.5, 0.5, 0.6, 0.75, 1.0)) / sound.shape.pace
    wheel = size * np.array((1450, 2380, 3620, 5150, 7300)) * rng.uniform(0.8, 1.25)
    case = size * np.array((310, 520)) * rng.uniform(0.8, 1.25)
    canvas = np.zeros(sound.samples)
    for half, tuning, gain in ((0, 1.0, 1.0), (1, 0.84, 0.8)):
        beat = struck(rng, tuning * wheel, (0.045, 0.035, 0.03, 0.02, 0.015))
        place(beat, click(rng, 0.008, 1800, 9000), 0, 0.8)
        place(beat, struck(rng, tuning * case, (0.05, 0.04)), 0, 0.35)
        place(beat, click(rng, 0.006, 2500, 9000), seconds(0.011), 0.3)
        accents = gain * rng.uniform(0.92, 1.0, 12)
        canvas += ticking(sound, 2 * period_s, half * period_s, beat, accents)
    return canvas


def _lamp_mechanism(sound: Sound) -> Samples:
    rng = sound.constants
    size = scale_of(sound)
    period_s = rng.uniform(0.2, 0.27) / sound.shape.pace
    tooth = size * np.array((980, 1720, 2690, 4100)) * rng.uniform(0.85, 1.15)
    tick = struck(rng, tooth, (0.07, 0.05, 0.04, 0.03))
    place(tick, click(rng, 0.01, 1500, 7000), 0, 0.6)
    iron = size * np.array((145, 330, 720, 1310)) * rng.uniform(0.85, 1.15)
    clunk = struck(rng, iron, (0.22, 0.2, 0.14, 0.1))
    canvas = ticking(sound, period_s, 0.0, tick, rng.uniform(0.5, 1.0, 16))
    canvas += ticking(sound, 8 * period_s, 0.4 * period_s, clunk, rng.uniform(0.9, 1.1, 5))
    gears_hz = rng.uniform(52, 66) * size
    t = times(sound.samples, sound.start)
    gears = play(wavetable((0.3, 0.5, 0.2, 0.3, 0.1, 0.2)), gears_hz * t)
    grease = hiss(sound.texture, sound.samples, 500, 2200)
    return canvas + 0.02 * gears + 0.012 * grease


def _typewriter(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    size = scale_of(sound, 0.4)
    canvas = np.zeros(samples)
    bars = [_type_bar(rng, size) for _ in range(4)]
    bell = ring(
        seconds(1.1),
        size * rng.uniform(2100, 2600) * np.array((1.0, 2.7, 5.2)),
        np.array((1.0, 0.6, 0.3)),
        np.array((1.0, 0.5, 0.3)),
        np.zeros(3),
    )
    ratchet = click(rng, 0.01, 1200, 5000)
    at_s, line = 0.05, 0
    rate_hz = rng.uniform(7.5, 9.5) * sound.shape.pace
    while at_s < samples / SAMPLE_RATE:
        place(canvas, bars[int(rng.integers(4))], seconds(at_s), rng.uniform(0.6, 1.0))
        pause = rng.exponential(0.35) if rng.random() < 0.14 else 0.0
        at_s += rng.uniform(0.6, 1.4) / rate_hz + pause
        line += 1
        if line % 34 == 0:
            place(canvas, bell, seconds(at_s), 0.7)
            teeth = (at_s + 0.45 + np.arange(26) / 55.0) * SAMPLE_RATE
            canvas += scatter(samples, teeth, np.full(26, 0.45), ratchet)
            at_s += 1.05
            place(canvas, bars[0], seconds(at_s - 0.1), 1.3)
    return canvas


def _type_bar(rng: np.random.Generator, size: float) -> Array:
    bar = np.zeros(seconds(0.16))
    place(bar, click(rng, 0.012, 900, 3500), 0, 0.3)
    slap = size * np.array((420, 1130, 2250, 3900, 5600))
    place(bar, struck(rng, slap, (0.07, 0.07, 0.06, 0.04, 0.03), 0.06), seconds(0.025), 0.8)
    place(bar, click(rng, 0.016, 1000, 8000), seconds(0.025), 1.0)
    place(bar, click(rng, 0.014, 700, 2500), seconds(0.085), 0.25)
    return bar


def _keyboard(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    size = scale_of(sound, 0.4)
    keys = []
    for _ in range(5):
        key = np.zeros(seconds(0.16))
        place(key, click(rng, 0.011, 1800, 5500), 0, 0.7)
        bottom = size * np.array((620, 1350, 2450))
        place(key, struck(rng, bottom, (0.025, 0.02, 0.015), 0.08), seconds(0.012), 0.6)
        place(key, click(rng, 0.008, 2500, 7500), seconds(rng.uniform(0.07, 0.1)), 0.35)
        keys.append(key)
    canvas, at_s = np.zeros(samples), 0.05
    rate_hz = rng.uniform(6.5, 9.0) * sound.shape.pace
    while at_s < samples / SAMPLE_RATE:
        place(canvas, keys[int(rng.integers(5))], seconds(at_s), rng.uniform(0.5, 1.0))
        pause = rng.exponential(0.45) if rng.random() < 0.1 else 0.0
        at_s += rng.gamma(5.0, 0.2) / rate_hz + pause
    return canvas


def _refrigerator(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    mains_hz = (50.0, 60.0)[int(rng.integers(2))]
    gains = rng.uniform(0.1, 0.4, 14) * np.array(
        (0.6, 3.0, 0.5, 2.0, 0.4, 1.2, 0.3, 0.8, 0.2, 0.4, 0.1, 0.3, 0.1, 0.2)
    )
    t = times(samples, sound.start)
    hum = play(wavetable(gains, rng.uniform(0, 2 * np.pi, 14)), mains_hz * t)
    slip = play(wavetable((0.5, 0.35, 0.2)), (0.49 * mains_hz) * t)
    breathing = 1 + 0.08 * drift(rng, samples, sound.start, 0.4)
    coolant = hiss(sound.texture, samples, 250, 1500)
    return (hum + 0.4 * slip) * breathing + 0.05 * coolant


def _machine(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    size = scale_of(sound)
    t = times(samples, sound.start)
    cycle_s = rng.uniform(0.9, 1.4) / sound.shape.pace
    motor = play(
        wavetable(rng.uniform(0.2, 1.0, 12) / np.arange(1, 13) ** 0.7),
        rng.uniform(44, 58) * size * t,
    )
    iron = size * np.array((92, 180, 410, 780, 1450)) * rng.uniform(0.85, 1.15)
    press = struck(rng, iron, (0.3, 0.3, 0.25, 0.2, 0.12))
    place(press, click(rng, 0.05, 300, 4000), 0, 0.7)
    canvas = 7.0 * ticking(sound, cycle_s, 0.0, press, rng.uniform(0.9, 1.0, 7))
    rattle = struck(rng, 2.6 * iron, (0.1, 0.1, 0.08, 0.07, 0.05))
    canvas += 2.2 * ticking(sound, cycle_s / 4, 0.1, rattle, rng.uniform(0.3, 1.0, 4))
    valve = np.clip(1 - np.abs((t / cycle_s - 0.55) % 1.0) / 0.25, 0, 1) ** 1.5
    air = hiss(sound.texture, samples, 1500, 8000) * valve
    return canvas + 0.7 * motor + 0.45 * air + 0.2 * hiss(sound.texture, samples, 80, 500)


def _fan(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    t = times(samples, sound.start)
    turns_hz = rng.uniform(14, 19) * scale_of(sound, 0.5) * sound.shape.pace**0.5
    blades = 3 * turns_hz * t
    air = hiss(sound.texture, samples, 130, 1100) + 0.3 * hiss(sound.texture, samples, 1200, 5000)
    air *= 1 + 0.22 * np.sin(2 * np.pi * blades) + 0.12 * np.sin(2 * np.pi * blades / 3)
    hum = play(wavetable((1.0, 0.5, 0.2, 0.3, 0.1, 0.1)), 2 * blades)
    return air + 0.35 * hum


def _washing_machine(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    t = times(samples, sound.start)
    drum_s = rng.uniform(1.1, 1.4) / sound.shape.pace
    tumble = (0.5 + 0.5 * np.sin(2 * np.pi * (t / drum_s - 0.2))) ** 2
    slosh = hiss(sound.texture, samples, 250, 1300) * (0.2 + tumble)
    slosh += 0.25 * hiss(sound.texture, samples, 1300, 5000) * tumble
    hum_hz = rng.uniform(95, 115) * scale_of(sound)
    hum = play(wavetable((1, 0.5, 0.35, 0.2, 0.2, 0.15, 0.1, 0.1)), hum_hz * t)
    thud = click(rng, 0.22, 45, 320, 2)
    load = ticking(sound, drum_s, 0.3 * drum_s, thud, rng.uniform(0.5, 1.0, 6))
    return 0.6 * slosh + 0.45 * hum * (0.8 + 0.2 * tumble) + 2.2 * load


def _radio(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    voice = voice_of(rng, sound.shape.size)
    talk = speak(sound.texture, voice, babble(sound.texture, samples / SAMPLE_RATE, 5.2), samples)
    talk /= max(float(np.std(talk)), 1e-9)
    steps = samples // seconds(0.22) + 2
    notes = rng.uniform(250, 320) * 2 ** (sound.texture.choice((0, 2, 4, 7, 9, 12), steps) / 12)
    hertz = np.repeat(notes, seconds(0.22))[:samples]
    music = play(wavetable((1, 0.6, 0.4, 0.3, 0.2)), turns(hertz))
    tuning = np.clip(1 - times(samples) / min(1.4, 0.3 * samples / SAMPLE_RATE), 0, 1)
    searching = int(np.count_nonzero(tuning))
    whistle_hz = 300 + 2600 * np.abs(np.sin(5.5 * tuning[:searching]))
    whistle = np.sin(2 * np.pi * turns(whistle_hz))
    static = hiss(sound.texture, samples, 400, 4000)
    crackle = scatter(
        samples,
        sound.texture.uniform(0, samples, 2 + samples // 12_000),
        sound.texture.uniform(0.2, 1.5, 2 + samples // 12_000),
        click(rng, 0.012, 600, 4000),
    )
    station = (talk + 0.45 * music) * (1 - tuning) ** 2
    program = station + static * (0.09 + 0.8 * tuning)
    program[:searching] += 0.7 * whistle * tuning[:searching] ** 0.5
    return np.tanh(bandpass(0.6 * program + 0.6 * crackle, 420, 3000))


def _kettle(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    along = np.linspace(0, 1, samples)
    boiling = 0.08 + 0.92 * np.clip(along / 0.75, 0, 1) ** 2
    noise = hiss(sound.texture, samples, 300, 1600) * boiling
    bubbles = hiss(sound.texture, samples, 250, 700) * np.maximum(
        jitter(sound.texture, samples, 22), 0
    )
    canvas = 0.5 * noise + 0.5 * bubbles * boiling**2
    blow = np.clip((along - rng.uniform(0.42, 0.52)) / 0.4, 0, 1)
    top_hz = rng.uniform(2300, 3000) * scale_of(sound, 0.4)
    hertz = top_hz * (0.55 + 0.45 * blow**0.6) * (1 + 0.004 * jitter(sound.texture, samples, 9))
    phase = 2 * np.pi * turns(hertz)
    flutter = 1 + 0.15 * jitter(sound.texture, samples, 14)
    whistle = (np.sin(phase) + 0.25 * np.sin(2.02 * phase)) * blow**1.3 * flutter
    steam = hiss(sound.texture, samples, 2500, 9000) * blow
    return canvas * (1 - 0.5 * blow) + 2.4 * whistle + 0.3 * steam


def _toaster(sound: Sound) -> Samples:
    rng = sound.constants
    length = min(seconds(1.0), sound.samples)
    size = scale_of(sound)

    def pop(_: int) -> Array:
        canvas = np.zeros(length)
        latch = size * np.array((520, 1240, 2310, 3700)) * rng.uniform(0.9, 1.1)
        place(canvas, struck(rng, latch, (0.08, 0.09, 0.08, 0.05)), 0, 0.9)
        place(canvas, click(rng, 0.014, 900, 7000), 0, 0.9)
        spring_hz = size * rng.uniform(330, 430)
        t = times(length)
        wobble = 1 + 0.05 * np.sin(2 * np.pi * 23 * t) * np.exp(-t / 0.2)
        coil = play(wavetable((0.6, 0.3, 0.5, 0.4, 0.3, 0.4, 0.2, 0.2)), turns(spring_hz * wobble))
        place(canvas, coil * decay(length, 0.75, 0.004), seconds(0.02), 0.5)
        for late_s, gain in ((0.09, 0.8), (0.17, 0.4), (0.23, 0.2)):
            place(
                canvas,
                struck(rng, 0.8 * latch, (0.07, 0.06, 0.05, 0.03), 0.05),
                seconds(late_s),
                gain,
            )
        return fade(canvas, 0, 0.1)

    return counted(sound, 1, 1.2, pop, tail_s=0.5)


def _vacuum(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    length_s = samples / SAMPLE_RATE
    spin = switched(rng, samples, (length_s + 1, length_s + 2), (1, 1), (0.35, 0.5))
    moving = drift(rng, samples, sound.start, 0.7)
    motor_hz = rng.uniform(270, 340) * scale_of(sound, 0.5) * spin * (1 + 0.012 * moving)
    gains = rng.uniform(0.1, 0.5, 24) / np.arange(1, 25) ** 0.5
    gains[0] = 1.0
    whine = play(wavetable(gains, rng.uniform(0, 6, 24)), turns(motor_hz))
    air = hiss(sound.texture, samples, 350, 4500) * (1 + 0.2 * moving)
    return (0.6 * whine + 0.7 * air) * spin**2


def _printer(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    t = times(samples)
    pass_s = rng.uniform(0.85, 1.15) / sound.shape.pace
    x = t / pass_s % 1.0
    travel = np.clip(np.minimum(x / 0.12, (0.78 - x) / 0.12), 0, 1)
    returning = (np.floor(t / pass_s) % 2) * 0.14
    head_hz = (rng.uniform(130, 175) * (0.5 + 0.5 * travel) * (1 + returning)) * scale_of(sound)
    stepper = play(wavetable((0.3, 0.9, 0.5, 0.7, 0.4, 0.5, 0.3, 0.3, 0.2, 0.2)), turns(head_hz))
    jets = hiss(sound.texture, samples, 2500, 9000) * (
        0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 45 * t))
    )
    feed = ((x > 0.82) & (x < 0.96)).astype(np.float64)
    paper = play(wavetable((1, 0.5, 0.7, 0.3, 0.3)), turns(np.full(samples, 310.0))) * lowpass(
        feed, 60
    )
    clunk = struck(rng, (260, 610, 1320, 2400), (0.07, 0.06, 0.05, 0.03))
    ends = crossings(t / pass_s + 0.2)
    knocks = scatter(samples, ends, sound.texture.uniform(0.7, 1, len(ends)), clunk)
    return travel * (stepper + 0.3 * jets) + 0.6 * paper + 1.2 * knocks


def _elevator(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    along = np.linspace(0, 1, samples)
    speed = np.clip(np.minimum(along / 0.18, (0.82 - along) / 0.2), 0, 1)
    hum_hz = (55 + rng.uniform(90, 130) * speed) * scale_of(sound)
    hum = play(wavetable((1, 0.6, 0.4, 0.5, 0.2, 0.25, 0.15, 0.1)), turns(hum_hz)) * speed**0.5
    shaft = hiss(sound.texture, samples, 60, 350) * (0.15 + speed)
    canvas = hum + 0.5 * shaft
    ding = ring(
        min(seconds(1.6), samples),
        rng.uniform(1150, 1400) * np.array((1.0, 2.01, 2.76)),
        np.array((1.5, 0.9, 0.5)),
        np.array((1.0, 0.4, 0.3)),
        np.zeros(3),
    )
    place(canvas, fade(ding, 0.002, 0.05), round(0.84 * samples), 2.2)
    doors = hiss(sound.texture, max(round(0.1 * samples), 64), 150, 1200)
    place(canvas, fade(doors, 0.1, 0.2), round(0.89 * samples), 0.5)
    return canvas


def _engine_start(sound: Sound) -> Samples:
    rng = sound.constants
    crank_s = rng.uniform(0.9, 1.5)
    samples = min(sound.samples, seconds(crank_s + rng.uniform(2.6, 3.4)))
    t = times(samples)
    cranking = np.clip((crank_s - t) / 0.04, 0, 1)
    labor = 1 + 0.22 * np.sin(2 * np.pi * turns(np.full(samples, rng.uniform(8.5, 11))))
    starter_hz = rng.uniform(210, 270) * labor * scale_of(sound, 0.5)
    starter = play(wavetable((0.5, 1.0, 0.4, 0.7, 0.3, 0.4, 0.2, 0.3)), turns(starter_hz)) * labor
    grind = hiss(sound.texture, samples, 700, 4500) * labor**4
    since = np.maximum(t - crank_s, 0)
    rpm = 850 + rng.uniform(1500, 2100) * (since / 0.25) * np.exp(1 - since / 0.25)
    motor = Motor(INLINE_FOUR, 0.05, 0.15, rng.uniform(85, 120) * scale_of(sound), 0.2)
    exhaust = running(motor, rpm, rng, sound.texture) * np.clip(since / 0.05, 0, 1)
    both = cranking * (highpass(starter, 150, 1) + 0.3 * grind) + 0.8 * exhaust
    return fade(both, 0.01, 0.4)


def _camera(sound: Sound) -> Samples:
    rng = sound.constants
    leaf = scale_of(sound) * np.array((1650, 2900, 4600, 6900)) * rng.uniform(0.85, 1.15)

    def shutter(_: int) -> Array:
        canvas = np.zeros(min(seconds(0.22), sound.samples))
        for late_s, gain in ((0.0, 0.8), (0.012, 0.6), (0.075, 1.0), (0.09, 0.5)):
            place(
                canvas, struck(rng, leaf, (0.03, 0.025, 0.02, 0.015)), seconds(late_s), 0.6 * gain
            )
            place(canvas, click(rng, 0.012, 1800, 9000), seconds(late_s), gain)
        return fade(canvas, 0, 0.01)

    return counted(sound, int(rng.integers(1, 4)), rng.uniform(0.5, 0.8), shutter, 0.2)


KINDS: tuple[Kind, ...] = (
    Kind("clock", "machine", Role.BED, _clock, -34.0),
    Kind("lamp_mechanism", "machine", Role.BED, _lamp_mechanism, -31.0),
    Kind("refrigerator", "machine", Role.BED, _refrigerator, -36.0),
    Kind("machine", "machine", Role.BED, _machine, -23.0),
    Kind("fan", "machine", Role.BED, _fan, -32.0),
    Kind("washing_machine", "machine", Role.BED, _washing_machine, -26.0),
    Kind("typewriter", "machine", Role.SUSTAINED, _typewriter, -24.0),
    Kind("keyboard", "machine", Role.SUSTAINED, _keyboard, -32.0),
    Kind("radio", "machine", Role.SUSTAINED, _radio, -25.0),
    Kind("kettle", "machine", Role.SUSTAINED, _kettle, -23.0),
    Kind("toaster", "machine", Role.ONESHOT, _toaster, -23.0),
    Kind("vacuum", "machine", Role.SUSTAINED, _vacuum, -20.0),
    Kind("printer", "machine", Role.SUSTAINED, _printer, -25.0),
    Kind("elevator", "machine", Role.SUSTAINED, _elevator, -25.0),
    Kind("engine_start", "machine", Role.ONESHOT, _engine_start, -19.0),
    Kind("camera", "machine", Role.ONESHOT, _camera, -27.0),
    *tools.KINDS,
    *blasts.KINDS,
)

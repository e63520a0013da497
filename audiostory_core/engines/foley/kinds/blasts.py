"""Explosions, shots, fireworks, crashes, and ray guns; part of the machine kinds."""

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
from audiostory_core.engines.foley.synthesis.matter import counted, force_of, scale_of
from audiostory_core.engines.foley.synthesis.sources import (
    click,
    hiss,
    jitter,
    play,
    scatter,
    struck,
    turns,
    wavetable,
)
from audiostory_core.story.plan import SAMPLE_RATE


def _boom(texture: np.random.Generator, samples: int, lasting_s: float, size: float) -> Array:
    """Return a blast: crack, body and a rumble that darkens as it dies, [samples], peak near 1."""
    noise = texture.standard_normal(samples)
    crack = highpass(noise, 900, 1) * decay(samples, 0.12, 0.0005)
    body = lowpass(noise, 700 * size, 1) * decay(samples, 0.5 * lasting_s, 0.003)
    rumble = bandpass(noise, 22, 110 * size, 2) * decay(samples, 1.5 * lasting_s, 0.03)
    t = times(samples)
    thump_hz = (28 + 62 * np.exp(-t / 0.09)) * size
    thump = np.sin(2 * np.pi * turns(thump_hz)) * decay(samples, 0.9, 0.004)
    return np.tanh(0.25 * crack + 1.6 * body + 11.0 * rumble + 1.3 * thump)


def _explosion(sound: Sound) -> Samples:
    rng = sound.constants
    lasting_s = rng.uniform(3.5, 5.5) * (1 + 0.3 * sound.shape.size)
    length = min(seconds(lasting_s), sound.samples)
    size = scale_of(sound, 0.5) * rng.uniform(0.85, 1.15)

    def blast(_: int) -> Array:
        canvas = _boom(sound.texture, length, lasting_s, size)
        pieces = int(rng.integers(30, 60))
        at = seconds(0.35) + np.minimum(sound.texture.gamma(2.0, 0.3, pieces), 1.6) * SAMPLE_RATE
        for low_hz, high_hz in ((300, 900), (800, 2400), (2000, 7000)):
            grain = click(sound.texture, sound.texture.uniform(0.03, 0.09), low_hz, high_hz)
            gains = sound.texture.uniform(0.02, 0.13, pieces) * sound.texture.choice(
                (-1, 1), pieces
            )
            canvas += scatter(length, at + 900 * low_hz / 300, gains, grain)
        return fade(canvas, 0, 0.25)

    return counted(sound, 1, 2.2, blast, 0.25, 1.5)


def _gunshot(sound: Sound) -> Samples:
    rng = sound.constants
    size = scale_of(sound, 0.5)
    length = min(seconds(1.1), sound.samples)
    open_hz, echo_s = rng.uniform(900, 1800), rng.uniform(0.7, 1.1)

    def shot(_: int) -> Array:
        noise = sound.texture.standard_normal(length)
        muzzle = lowpass(noise, 5500 * size, 1) * decay(length, 0.11, 0.0003)
        bark = bandpass(noise, 140 * size, 900 * size, 1) * decay(length, 0.3, 0.001)
        canvas = np.tanh(3.0 * muzzle + 3.5 * bark)
        tail = bandpass(sound.texture.standard_normal(length), 150, open_hz, 1)
        tail *= decay(length, echo_s, 0.02)
        canvas += 0.35 * tail
        return fade(canvas, 0, 0.1)

    return counted(sound, int(rng.integers(1, 4)), rng.uniform(0.5, 0.9), shot, 0.2, 0.5)


def _rocket(sound: Sound, length: int) -> Array:
    along = np.linspace(0, 1, length)
    hertz = sound.texture.uniform(900, 1300) * (1 + 1.2 * along) * scale_of(sound, 0.4)
    hertz *= 1 + 0.03 * np.sin(2 * np.pi * 14 * times(length))
    whistle = np.sin(2 * np.pi * turns(hertz)) + 0.4 * hiss(sound.texture, length, 1500, 6000)
    return fade(whistle * (0.25 + 0.75 * (1 - along)), 0.12, 0.08)


def _fireworks(sound: Sound) -> Samples:
    rng = sound.constants
    size = scale_of(sound, 0.4)
    length = min(seconds(2.9), sound.samples)

    def rocket(_: int) -> Array:
        canvas = np.zeros(length)
        rise = min(seconds(rng.uniform(0.7, 1.0)), length)
        place(canvas, _rocket(sound, rise), 0, 0.22)
        burst = max(length - rise - seconds(0.08), 64)
        boom = _boom(sound.texture, burst, 1.5, 1.25 * size)
        place(canvas, boom, rise + seconds(0.08))
        crackles = 170
        at = rise + seconds(0.35) + sound.texture.gamma(3.0, 0.22, crackles) * SAMPLE_RATE
        for low_hz in (1800, 3200):
            grain = click(sound.texture, 0.018, low_hz, 2.5 * low_hz)
            canvas += scatter(length, at, sound.texture.uniform(0.05, 0.32, crackles), grain)
            at = at + sound.texture.uniform(0, 4000, crackles)
        return fade(canvas, 0, 0.1)

    habit = int(np.clip(sound.samples / SAMPLE_RATE / 1.3 - 1, 1, 8))
    return counted(sound, habit, 1.3, rocket, 0.3, 2.4)


def _laser(sound: Sound) -> Samples:
    rng = sound.constants
    top_hz, bottom_hz = rng.uniform(2400, 4200) * scale_of(sound), rng.uniform(140, 260)
    length = min(seconds(rng.uniform(0.25, 0.38)), sound.samples)
    along = np.linspace(0, 1, length)
    fall = np.exp(-5 * along)
    zap = play(wavetable((1, 0.5, 0.35, 0.2)), turns(bottom_hz + (top_hz - bottom_hz) * fall))
    zap = fade(zap * (1 - 0.7 * along), 0.002, 0.05)
    return counted(sound, 3, rng.uniform(0.4, 0.55), lambda _: zap, 0.1, 0.3)


def _crash(sound: Sound) -> Samples:
    rng = sound.constants
    length = min(seconds(rng.uniform(2.2, 3.2)), sound.samples)
    size, force = scale_of(sound), force_of(sound)

    def impact(_: int) -> Array:
        canvas = np.zeros(length)
        for late_s, gain in ((0.0, 1.0), (0.07, 0.55), (0.19, 0.4), (0.42, 0.25)):
            sheet = size * np.sort(sound.texture.uniform(140, 2600, 14))
            place(
                canvas,
                struck(sound.texture, sheet, 0.75 * (sheet[0] / sheet) ** 0.35),
                seconds(late_s),
                gain,
            )
            place(canvas, click(sound.texture, 0.3, 90, 2200), seconds(late_s), 1.3 * gain)
        thud = click(sound.texture, 0.35, 40, 160, 2)
        place(canvas, thud, 0, 1.3)
        for pieces, hertz in ((46, 3400.0), (40, 5300.0), (14, 950.0)):
            shard = struck(
                sound.texture, size * hertz * np.array((1, 1.47, 2.09)), (0.14, 0.1, 0.06)
            )
            at = seconds(0.1) + sound.texture.gamma(1.6, 0.33, pieces) * SAMPLE_RATE
            canvas += scatter(length, at, sound.texture.uniform(0.03, 0.22, pieces), shard)
        return fade(np.tanh(0.9 * force**0.4 * canvas), 0, 0.15)

    return counted(sound, 1, 1.6, impact, 0.2, 1.2)


def _robot(sound: Sound) -> Samples:
    rng, samples = sound.constants, sound.samples
    size = scale_of(sound)
    canvas = np.zeros(samples)
    servo = wavetable((1, 0.6, 0.5, 0.35, 0.3, 0.2, 0.2, 0.1))
    at_s = 0.05
    while at_s < samples / SAMPLE_RATE:
        length = seconds(sound.texture.uniform(0.28, 0.6) / sound.shape.pace)
        along = np.linspace(0, 1, length)
        bell_curve = np.sin(np.pi * along) ** 0.5
        hertz = size * (90 + sound.texture.uniform(240, 420) * bell_curve)
        whirr = play(servo, turns(hertz)) * (0.7 + 0.3 * jitter(sound.texture, length, 60))
        place(canvas, fade(highpass(whirr, 250, 1), 0.02, 0.04) * bell_curve, seconds(at_s), 0.5)
        joint = size * np.array((340, 830, 1730, 2900))
        clank = struck(sound.texture, joint, (0.18, 0.15, 0.1, 0.07))
        at_s += length / SAMPLE_RATE
        place(canvas, clank, seconds(at_s), 0.8)
        at_s += sound.texture.uniform(0.05, 0.2) / sound.shape.pace
        for _ in range(int(rng.integers(0, 4))):
            blip = seconds(0.07)
            tone = np.sin(2 * np.pi * turns(np.full(blip, size * sound.texture.uniform(900, 2600))))
            place(canvas, fade(tone, 0.005, 0.01), seconds(at_s), 0.4)
            at_s += 0.09
    return canvas


KINDS: tuple[Kind, ...] = (
    Kind("explosion", "machine", Role.ONESHOT, _explosion, -10.0),
    Kind("gunshot", "machine", Role.ONESHOT, _gunshot, -13.0),
    Kind("fireworks", "machine", Role.ONESHOT, _fireworks, -15.0),
    Kind("laser", "machine", Role.ONESHOT, _laser, -20.0),
    Kind("crash", "machine", Role.ONESHOT, _crash, -14.0),
    Kind("robot", "machine", Role.SUSTAINED, _robot, -21.0),
)

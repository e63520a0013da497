"""The body without its voice: heart, hands and mouth."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.matter import Material
from audiostory_core.story.plan import SAMPLE_RATE

SLOWEST_BPM, FASTEST_BPM = 52.0, 108.0  # of a heart that is heard as one
FLESH = Material(190.0, (1.0, 1.6, 2.7), 0.05, contact_s=0.002, click=0.5, click_hz=(200.0, 2500.0))


def _heartbeat(sound: Sound) -> Array:
    rng = sound.texture
    resting = sound.constants.uniform(64, 82)
    bpm = np.clip(
        resting * sound.shape.pace * 1.15**sound.shape.intensity, SLOWEST_BPM, FASTEST_BPM
    )
    beat_s = 60.0 / float(bpm)
    pitch = matter.scale_of(sound, 0.3) * sound.constants.uniform(0.92, 1.08)
    canvas = np.zeros(sound.samples)
    most = int(sound.samples / SAMPLE_RATE / beat_s) + 1
    for index in range(min(most, sound.shape.count or most)):
        at_s = 0.02 + beat_s * (index + 0.015 * rng.normal())
        first = rng.uniform(0.9, 1.1)
        dsp.place(canvas, _valve(rng, 46 * pitch, 0.15), dsp.seconds(at_s), first)
        second_s = at_s + 0.27 + 0.06 * beat_s
        dsp.place(canvas, _valve(rng, 62 * pitch, 0.10), dsp.seconds(second_s), 0.6 * first)
    return canvas


def _valve(rng: np.random.Generator, hertz: float, length_s: float) -> Array:
    samples = dsp.seconds(2.2 * length_s)
    falling = hertz * (0.8 + 0.5 * np.exp(-dsp.times(samples) / 0.03))
    thump = np.sin(dsp.glide(falling)) + 0.35 * np.sin(2 * dsp.glide(falling) + 0.6)
    skin = dsp.lowpass(dsp.white(rng, samples), 160.0)
    return dsp.fade((thump + 0.8 * skin) * dsp.decay(samples, 2 * length_s, 0.012), 0.0, 0.02)


def hand_clap(rng: np.random.Generator, scale: float = 1.0, force: float = 1.0) -> Array:
    """Clap two hands once, [N]: a sharp noise burst over the resonance of the cupped palms."""
    samples = dsp.seconds(0.07)
    noise = dsp.white(rng, samples)
    palm_hz = scale * rng.uniform(750, 1500)
    burst = dsp.bandpass(noise, 500.0 * scale, 9000.0, 1) * dsp.decay(samples, 0.022, 0.0006)
    palm = dsp.bandpass(noise, 0.75 * palm_hz, 1.35 * palm_hz, 1) * dsp.decay(samples, 0.05, 0.001)
    return force * dsp.fade(0.7 * burst + 1.6 * palm, 0.0, 0.01)


def _clap(sound: Sound) -> Array:
    scale, force = matter.scale_of(sound, 0.4), matter.force_of(sound)
    return matter.counted(
        sound,
        4,
        0.36,
        lambda _: hand_clap(sound.texture, scale, force * sound.texture.uniform(0.8, 1.0)),
        jitter=0.06,
        tail_s=0.08,
    )


def _snap(sound: Sound) -> Array:
    rng = sound.texture
    palm_hz = 2100 * matter.scale_of(sound, 0.4) * sound.constants.uniform(0.85, 1.15)

    def once(_: int) -> Array:
        samples = dsp.seconds(0.06)
        pop = matter.ring(
            samples,
            palm_hz * np.array([1.0, 1.9]) * rng.uniform(0.97, 1.03, 2),
            np.array([0.018, 0.01]),
            np.array([1.0, 0.4]),
            np.zeros(2),
        )
        click = dsp.highpass(dsp.white(rng, samples), 2500.0) * dsp.decay(samples, 0.006, 0.0002)
        return dsp.fade(pop + 0.25 * click, 0.0, 0.01)

    return matter.counted(sound, 2, 0.55, once, tail_s=0.08)


def _punch(sound: Sound) -> Array:
    rng = sound.texture
    scale, force = matter.scale_of(sound), matter.force_of(sound)

    def once(_: int) -> Array:
        canvas = np.zeros(dsp.seconds(0.3))
        thump_hz = 75 * scale * (0.7 + 0.8 * np.exp(-dsp.times(len(canvas)) / 0.02))
        canvas += 1.4 * np.sin(dsp.glide(thump_hz)) * dsp.decay(len(canvas), 0.16, 0.002)
        dsp.place(canvas, matter.impact(rng, FLESH, scale * rng.uniform(0.9, 1.1), force), 0, 1.3)
        return dsp.fade(canvas, 0.0, 0.03)

    return matter.counted(sound, 2, 0.6, once, tail_s=0.3)


def _kiss(sound: Sound) -> Array:
    rng = sound.texture
    lips_hz = 1500 * matter.scale_of(sound, 0.4) * sound.constants.uniform(0.85, 1.2)

    def once(_: int) -> Array:
        samples = dsp.seconds(0.16)
        # Lips draw in air, then part with a smack that rises as the mouth opens.
        draw = dsp.bandpass(dsp.white(rng, samples), 1800.0, 6000.0, 1)
        draw *= matter.arch(samples, 0.55, 1.5) * (dsp.times(samples) < 0.1)
        smack = np.zeros(samples)
        at = dsp.seconds(0.09)
        t = dsp.times(samples - at)
        rising = lips_hz * (1 + 12.0 * t)
        smack[at:] = np.sin(dsp.glide(rising)) * dsp.decay(samples - at, 0.035, 0.001)
        smack[at:] += 0.5 * dsp.white(rng, samples - at) * dsp.decay(samples - at, 0.008, 0.0003)
        return dsp.fade(0.12 * draw + smack, 0.005, 0.02)

    return matter.counted(sound, 1, 0.7, once, tail_s=0.2)


def _eating(sound: Sound) -> Array:
    rng = sound.texture
    samples = sound.samples
    chews = matter.beats(sound, 1.5, 0.1)
    density = np.zeros(samples)
    for at in chews:
        bite = dsp.seconds(rng.uniform(0.14, 0.22))
        dsp.place(density, matter.arch(bite, 0.25), at, rng.uniform(150, 420))
    crunch = dsp.bandpass(matter.grains(rng, density, 0.012, 2.5), 500.0, 5500.0, 1)
    # Heard through the jaw as well: a dull part, and the wet part when the mouth opens.
    jaw = dsp.lowpass(crunch, 700.0, 1)
    wet = np.zeros(samples)
    for at in chews:
        dsp.place(wet, _smack(rng), at + dsp.seconds(rng.uniform(0.24, 0.3)), rng.uniform(0.1, 0.3))
    return crunch + 1.2 * jaw + float(np.abs(crunch).max(initial=0.0)) * wet


def _smack(rng: np.random.Generator) -> Array:
    samples = dsp.seconds(0.05)
    pop_hz = rng.uniform(700, 1300) * (1 + 10 * dsp.times(samples))
    return dsp.fade(np.sin(dsp.glide(pop_hz)) * dsp.decay(samples, 0.04, 0.002), 0.0, 0.01)


def _drinking(sound: Sound) -> Array:
    rng = sound.texture
    canvas = np.zeros(sound.samples)
    throat = matter.scale_of(sound, 0.4) * sound.constants.uniform(0.9, 1.1)
    for at in matter.beats(sound, 1.25, 0.1):
        samples = dsp.seconds(0.22)
        t = dsp.times(samples)
        # A swallow is a bubble pressed through the throat: it falls, then clicks upward.
        fall = np.sin(dsp.glide(throat * (420 - 900 * t))) * matter.arch(samples, 0.3)
        dsp.place(canvas, fall * dsp.decay(samples, 0.3, 0.01), at, rng.uniform(0.7, 1.0))
        rise = dsp.seconds(0.09)
        hertz = throat * rng.uniform(520, 640) * (1 + 9 * dsp.times(rise))
        gulp = np.sin(dsp.glide(hertz)) * dsp.decay(rise, 0.08, 0.004)
        dsp.place(canvas, dsp.fade(gulp, 0.0, 0.01), at + dsp.seconds(0.15), rng.uniform(0.7, 1.0))
        wash = dsp.bandpass(dsp.white(rng, samples), 250.0, 1600.0, 1) * matter.arch(samples, 0.4)
        dsp.place(canvas, wash, at, 0.12)
    return canvas


BODY: tuple[Kind, ...] = (
    Kind("heartbeat", "body", Role.SUSTAINED, _heartbeat, -24.0),
    Kind("clap", "body", Role.ONESHOT, _clap, -20.0),
    Kind("snap", "body", Role.ONESHOT, _snap, -25.0),
    Kind("punch", "body", Role.ONESHOT, _punch, -18.0),
    Kind("kiss", "body", Role.ONESHOT, _kiss, -33.0),
    Kind("eating", "body", Role.SUSTAINED, _eating, -30.0),
    Kind("drinking", "body", Role.SUSTAINED, _drinking, -30.0),
)

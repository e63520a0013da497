"""Voices: breath, talk, laughter, cries and whatever else a throat makes without words."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from audiostory_core.engines.foley.kinds.body import BODY
from audiostory_core.engines.foley.sound import Kind, Role, Sound
from audiostory_core.engines.foley.synthesis import dsp, matter
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.engines.foley.synthesis.voicing import (
    Gesture,
    Voice,
    babble,
    speak,
    syllable,
    voice_of,
)
from audiostory_core.story.plan import SAMPLE_RATE

Gestures = list[Gesture]
CHIMES = ((880.0, 698.5), (659.3, 830.6, 987.8), (784.0, 659.3, 523.3), (587.3, 740.0))
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10, 12)


def _talking(sound: Sound) -> Array:
    voice = voice_of(sound.constants, sound.shape.size)
    return _spoken(sound, voice, 4.6 * sound.shape.pace**0.5)


def _spoken(sound: Sound, voice: Voice, rate_hz: float, liveliness: float = 1.0) -> Array:
    duration_s = sound.samples / SAMPLE_RATE
    gestures = babble(sound.texture, duration_s, rate_hz, liveliness)
    return dsp.fade(speak(sound.texture, voice, gestures, sound.samples), 0.0, 0.02)


def _whispering(sound: Sound) -> Array:
    voice = voice_of(sound.constants, sound.shape.size)
    duration_s = sound.samples / SAMPLE_RATE
    gestures = babble(sound.texture, duration_s, 4.2 * sound.shape.pace**0.5)
    breathed = [
        replace(gesture, voiced=0.0, noise=max(gesture.noise, 0.6 * gesture.voiced))
        for gesture in gestures
    ]
    waveform = speak(
        sound.texture, replace(voice, tract=1.08 * voice.tract), breathed, sound.samples
    )
    return dsp.fade(dsp.highpass(waveform, 500.0), 0.0, 0.02)


def shouts(rng: np.random.Generator, duration_s: float, pace: float, heat: float) -> Gestures:
    """Return the gestures of someone who shouts orders: few loud, long, high syllables a breath.

    Args:
        rng: source of chance.
        duration_s: to be filled.
        pace: as in `Shape`.
        heat: -1 calling … 1 furious.
    """
    gestures = [Gesture(0.0, "schwa")]
    now_s = float(rng.uniform(0.0, 0.1))
    while now_s < duration_s:
        for _ in range(int(rng.integers(1, 5))):
            length_s = rng.uniform(0.2, 0.42) / pace**0.5
            peak = rng.uniform(0.92, 1.2) * 1.15**heat
            parts = syllable(rng, now_s, length_s, peak, 1.0)
            last = parts[-1]
            gestures += [*parts, Gesture(last.at_s + 0.015, last.phone, 0.8 * peak, 0.3)]
            now_s += length_s
        gestures.append(Gesture(now_s + 0.04, "schwa", 0.8))
        now_s += rng.uniform(0.25, 0.8) / pace
        gestures.append(Gesture(now_s - 0.03, "schwa", 1.0))
    return gestures


def _shouting(sound: Sound) -> Array:
    voice = shouter(sound.constants, sound.shape.size)
    gestures = shouts(
        sound.texture,
        sound.samples / SAMPLE_RATE,
        sound.shape.pace,
        sound.shape.intensity,
    )
    waveform = speak(sound.texture, voice, gestures, sound.samples)
    return dsp.fade(np.tanh(0.8 * waveform), 0.0, 0.02)


def shouter(rng: np.random.Generator, size: float) -> Voice:
    """Draw a raised voice: nearly an octave up, tense and a little rough; see `voice_of`."""
    voice = voice_of(rng, size, lift=1.75)
    return replace(voice, effort=0.97, breath=0.02, roughness=0.02, tract=1.06 * voice.tract)


def laughing(rng: np.random.Generator, at_s: float, syllables: int, pace: float) -> Gestures:
    """Return the gestures of one laugh: aspirated vowels that fall in pitch and strength."""
    gestures = [Gesture(at_s, "schwa", 1.7)]
    vowel = str(rng.choice(("a", "ae", "e", "schwa")))
    top, fall = rng.uniform(1.7, 2.2), rng.uniform(0.88, 0.95)
    beat_s = rng.uniform(0.17, 0.22) / pace**0.5
    for index in range(syllables):
        start_s = at_s + 0.01 + index * beat_s * 1.03**index
        pitch = max(top * fall**index * rng.uniform(0.96, 1.04), 0.9)
        loud = 0.93**index
        gestures += [
            Gesture(start_s, vowel, 0.92 * pitch, 0.0, 0.10),
            Gesture(start_s + 0.3 * beat_s, vowel, 0.95 * pitch, 0.0, 0.22 * loud),
            Gesture(start_s + 0.42 * beat_s, vowel, pitch, loud, 0.06),
            Gesture(start_s + 0.7 * beat_s, vowel, 0.95 * pitch, 0.8 * loud, 0.03),
            Gesture(start_s + 0.88 * beat_s, vowel, 0.88 * pitch, 0.0, 0.08),
        ]
    return gestures


def _laugh(sound: Sound) -> Array:
    voice = replace(voice_of(sound.constants, sound.shape.size), breath=0.12, effort=0.6)
    rng = sound.texture

    def once(_: int) -> Array:
        syllables = int(rng.integers(6, 10))
        gestures = laughing(rng, 0.0, syllables, sound.shape.pace)
        end_s = gestures[-1].at_s + 0.12
        gestures.append(Gesture(end_s, "schwa", 1.0))
        return speak(rng, voice, gestures, dsp.seconds(end_s + 0.05))

    return matter.counted(sound, 1, 2.6, once, tail_s=1.6)


def _cry(sound: Sound) -> Array:
    rng = sound.texture
    voice = replace(
        voice_of(sound.constants, min(sound.shape.size, 0.6), lift=1.7), breath=0.25, effort=0.45
    )
    duration_s = sound.samples / SAMPLE_RATE
    gestures, now_s = [Gesture(0.0, "schwa")], 0.05
    while now_s < duration_s:
        for _ in range(int(rng.integers(2, 5))):
            now_s = _sob(rng, gestures, now_s, sound.shape.pace)
        # Air drawn in by jerks.
        for jerk in range(2):
            at_s = now_s + 0.17 * jerk
            gestures += [
                Gesture(at_s, "e", 1.0),
                Gesture(at_s + 0.09, "e", 1.3, 0.0, 0.35),
                Gesture(at_s + 0.14, "e", 1.0, 0.0, 0.02),
            ]
        now_s += 0.5
        gestures.append(Gesture(now_s, "schwa"))
    trembling = replace(voice, roughness=0.03)
    return dsp.fade(speak(rng, trembling, gestures, sound.samples), 0.0, 0.05)


def _sob(rng: np.random.Generator, gestures: Gestures, at_s: float, pace: float) -> float:
    length_s = rng.uniform(0.3, 0.75) / pace**0.5
    top = rng.uniform(0.95, 1.2)
    gestures.append(Gesture(at_s + 0.02, "schwa", top, 0.0, 0.15))
    for step in range(7):
        x = step / 6
        # The voice breaks into a quaver of about 9 Hz while it sinks.
        quaver = 1 + 0.06 * (-1) ** step
        loud = np.sin(np.pi * (0.12 + 0.8 * x)) * (0.75 + 0.25 * (-1) ** step)
        gestures.append(
            Gesture(
                at_s + 0.05 + x * (length_s - 0.1),
                "schwa" if x < 0.6 else "u",
                top * (1.1 - 0.3 * x) * quaver,
                float(loud),
                0.05,
            )
        )
    gestures.append(Gesture(at_s + length_s, "schwa", 0.8 * top))
    return at_s + length_s + float(rng.uniform(0.08, 0.2))


def _baby_cry(sound: Sound) -> Array:
    rng = sound.texture
    voice = Voice(sound.constants.uniform(390, 480), 1.55, breath=0.1, effort=0.85, roughness=0.02)
    gestures, now_s = [Gesture(0.0, "ae")], 0.05
    duration_s = sound.samples / SAMPLE_RATE
    while now_s < duration_s:
        wail_s = rng.uniform(0.7, 1.2) / sound.shape.pace**0.5
        top = rng.uniform(0.95, 1.15)
        gestures += [
            Gesture(now_s, "schwa", 0.75 * top),
            Gesture(now_s + 0.06, "schwa", 0.9 * top, 0.6),
            Gesture(now_s + 0.3 * wail_s, "ae", 1.15 * top, 1.0),
            Gesture(now_s + 0.7 * wail_s, "ae", 1.08 * top, 0.9),
            Gesture(now_s + wail_s, "e", 0.8 * top, 0.25),
            Gesture(now_s + wail_s + 0.05, "e", 0.7 * top),
            Gesture(now_s + wail_s + 0.12, "e", 1.2, 0.05, 0.25),
            Gesture(now_s + wail_s + 0.26, "e", 1.4, 0.1, 0.3),
            Gesture(now_s + wail_s + 0.3, "schwa", 1.0),
        ]
        now_s += wail_s + 0.36
    return dsp.fade(np.tanh(0.7 * speak(rng, voice, gestures, sound.samples)), 0.0, 0.05)


def _scream(sound: Sound) -> Array:
    rng = sound.texture
    voice = voice_of(sound.constants, sound.shape.size)
    pitch_hz = 1050 * (voice.pitch_hz / 205) ** 0.55
    voice = replace(voice, pitch_hz=pitch_hz, effort=0.98, breath=0.15, roughness=0.03)

    def once(_: int) -> Array:
        length_s = rng.uniform(1.1, 1.8) / sound.shape.pace**0.5
        gestures = [
            Gesture(0.0, "ae", 0.6),
            Gesture(0.07, "ae", 0.8, 0.8, 0.05),
            Gesture(0.18, "a", 1.08, 1.0, 0.1),
            Gesture(0.75 * length_s, "a", rng.uniform(0.98, 1.06), 1.0, 0.12),
            Gesture(length_s, "ae", 0.62, 0.2, 0.1),
            Gesture(length_s + 0.06, "ae", 0.5),
        ]
        waveform = speak(rng, voice, gestures, dsp.seconds(length_s + 0.12))
        # Screams are rough: amplitude beats of 50 to 90 Hz set alarm apart from song.
        beat = np.sin(
            dsp.glide(rng.uniform(55, 80) * (1 + 0.2 * matter.roam(rng, len(waveform), 8)))
        )
        return np.tanh(1.4 * waveform * (1 + (0.3 + 0.15 * sound.shape.intensity) * beat))

    return matter.counted(sound, 1, 2.4, once, tail_s=1.6)


def _cough(sound: Sound) -> Array:
    voice = voice_of(sound.constants, sound.shape.size)
    voice = replace(voice, effort=0.7, breath=0.5, roughness=0.08)
    rng = sound.texture

    def once(index: int) -> Array:
        strength = rng.uniform(0.75, 1.0) if index else 1.0
        gestures = [
            Gesture(0.0, "k"),
            Gesture(0.008, "schwa", 1.4, 0.1, 1.0 * strength),
            Gesture(0.06, "a", 1.3, 0.15, 0.5 * strength),
            Gesture(0.10, "a", 1.25, 0.55 * strength, 0.22),
            Gesture(0.19, "schwa", 1.0, 0.45 * strength, 0.12),
            Gesture(0.27, "u", 0.8, 0.1, 0.06),
            Gesture(0.33, "u", 0.7),
        ]
        thump = matter.ring(8000, np.array([105.0]), np.array([0.12]), np.array([0.5]), np.zeros(1))
        waveform = speak(rng, voice, gestures, dsp.seconds(0.36))
        dsp.place(waveform, dsp.fade(thump, 0.002, 0.05), 300, strength)
        return strength * waveform

    return matter.counted(sound, 2, 0.42, once, tail_s=0.36)


def _sneeze(sound: Sound) -> Array:
    voice = replace(voice_of(sound.constants, sound.shape.size), breath=0.3, effort=0.75)
    rng = sound.texture

    def once(_: int) -> Array:
        draw_s = rng.uniform(0.35, 0.6) / sound.shape.pace
        gestures = [
            Gesture(0.0, "schwa", 1.0),
            Gesture(0.5 * draw_s, "a", 1.15, 0.12, 0.06),
            Gesture(draw_s, "a", 1.5, 0.28, 0.1),
            Gesture(draw_s + 0.03, "t", 1.6),
            Gesture(draw_s + 0.07, "t", 1.6),
            Gesture(draw_s + 0.078, "sh", 1.7, 0.05, 1.3),
            Gesture(draw_s + 0.16, "sh", 1.7, 0.15, 1.1),
            Gesture(draw_s + 0.22, "u", 1.5, 0.9, 0.3),
            Gesture(draw_s + 0.34, "u", 1.1, 0.45, 0.1),
            Gesture(draw_s + 0.46, "u", 0.8, 0.0, 0.03),
            Gesture(draw_s + 0.5, "u", 0.8),
        ]
        return speak(rng, voice, gestures, dsp.seconds(draw_s + 0.55))

    return matter.counted(sound, 1, 1.5, once, tail_s=1.0)


def _yawn(sound: Sound) -> Array:
    voice = replace(voice_of(sound.constants, sound.shape.size), breath=0.5, effort=0.15)
    rng = sound.texture

    def once(_: int) -> Array:
        draw_s = rng.uniform(0.7, 1.0) / sound.shape.pace
        out_s = rng.uniform(1.2, 1.7) / sound.shape.pace
        gestures = [
            Gesture(0.0, "schwa", 1.2),
            Gesture(0.6 * draw_s, "a", 1.3, 0.0, 0.22),
            Gesture(draw_s, "a", 1.5, 0.05, 0.1),
            Gesture(draw_s + 0.15, "a", 1.75, 0.8, 0.12),
            Gesture(draw_s + 0.45 * out_s, "a", 1.45, 1.0, 0.14),
            Gesture(draw_s + 0.8 * out_s, "o", 0.95, 0.5, 0.12),
            Gesture(draw_s + out_s, "u", 0.75, 0.0, 0.08),
            Gesture(draw_s + out_s + 0.15, "schwa", 0.7),
        ]
        return speak(rng, voice, gestures, dsp.seconds(gestures[-1].at_s + 0.05))

    return matter.counted(sound, 1, 3.4, once, tail_s=2.6)


def _sigh(sound: Sound) -> Array:
    voice = replace(voice_of(sound.constants, sound.shape.size), breath=0.7, effort=0.05)
    rng = sound.texture

    def once(_: int) -> Array:
        out_s = rng.uniform(0.8, 1.2) / sound.shape.pace
        gestures = [
            Gesture(0.0, "schwa", 1.2),
            Gesture(0.3, "e", 1.2, 0.0, 0.12),
            Gesture(0.42, "a", 1.25, 0.0, 0.05),
            Gesture(0.5, "a", 1.2, 0.1, 0.4),
            Gesture(0.55 + 0.3 * out_s, "schwa", 1.0, 0.12, 0.28),
            Gesture(0.5 + out_s, "schwa", 0.75, 0.0, 0.06),
            Gesture(0.65 + out_s, "schwa", 0.7),
        ]
        return speak(rng, voice, gestures, dsp.seconds(gestures[-1].at_s + 0.03))

    return matter.counted(sound, 1, 2.5, once, tail_s=1.6)


def _gasp(sound: Sound) -> Array:
    voice = replace(voice_of(sound.constants, sound.shape.size), breath=0.6, effort=0.2)
    rng = sound.texture

    def once(_: int) -> Array:
        length_s = rng.uniform(0.28, 0.42) / sound.shape.pace**0.5
        gestures = [
            Gesture(0.0, "schwa", 1.4, 0.0, 0.05),
            Gesture(0.05, "e", 1.7, 0.12, 0.35),
            Gesture(0.75 * length_s, "i", 2.1, 0.12, 0.8),
            Gesture(length_s, "i", 2.2),
        ]
        return speak(rng, voice, gestures, dsp.seconds(length_s + 0.05))

    return matter.counted(sound, 1, 1.2, once, tail_s=0.5)


def _breath(sound: Sound) -> Array:
    rng = sound.texture
    voice = voice_of(sound.constants, sound.shape.size)
    period_s = 3.6 / sound.shape.pace**1.5 / 1.6**sound.shape.intensity
    gestures, now_s = [Gesture(0.0, "e")], 0.0
    while now_s < sound.samples / SAMPLE_RATE:
        length_s = period_s * rng.uniform(0.9, 1.1)
        deep = rng.uniform(0.8, 1.1)
        gestures += [
            Gesture(now_s + 0.02 * length_s, "e"),
            Gesture(now_s + 0.2 * length_s, "e", 1.0, 0.0, 0.35 * deep),
            Gesture(now_s + 0.36 * length_s, "i", 1.0, 0.0, 0.22 * deep),
            Gesture(now_s + 0.4 * length_s, "schwa"),
            Gesture(now_s + 0.46 * length_s, "schwa"),
            Gesture(now_s + 0.54 * length_s, "a", 1.0, 0.0, 0.5 * deep),
            Gesture(now_s + 0.7 * length_s, "schwa", 1.0, 0.0, 0.25 * deep),
            Gesture(now_s + 0.9 * length_s, "schwa"),
        ]
        now_s += length_s
    return dsp.fade(speak(rng, voice, gestures, sound.samples), 0.0, 0.03)


def _snore(sound: Sound) -> Array:
    rng, samples = sound.texture, sound.samples
    voice = voice_of(sound.constants, abs(sound.shape.size))
    cycle = (dsp.times(samples) + 0.1) * (sound.shape.pace / 3.6)
    cycle += 0.06 * matter.roam(rng, samples, 0.2)
    cycle -= np.floor(cycle)
    inhale = np.sin(np.pi / 0.42 * np.minimum(cycle, 0.42))
    exhale = np.sin(np.pi / 0.35 * np.clip(cycle - 0.5, 0.0, 0.35)) ** 2
    flap_hz = sound.constants.uniform(34, 48) * (0.8 + 0.5 * inhale)
    flaps = matter.stick_slip(rng, flap_hz * (1 + 0.12 * matter.roam(rng, samples, 12.0)), 0.6)
    noise = dsp.white(rng, samples)
    source = matter.smear(flaps, 0.018) * (0.5 + 0.5 * noise) * inhale
    tract = voice.tract
    snoring = 3.0 * dsp.resonator(source, 230.0 * tract, 0.02)
    for hertz, gain in ((620.0, 2.0), (1300.0, 1.4), (2400.0, 0.8)):
        snoring += gain * dsp.resonator(source, hertz * tract, 0.02)
    snoring /= float(np.std(snoring)) + 1e-9
    air = dsp.bandpass(noise, 500.0, 2500.0, 1)
    return dsp.highpass(snoring, 60.0, 1) + (0.12 * exhale + 0.02 * inhale) * air


def _whistling(sound: Sound) -> Array:
    rng = sound.texture
    samples = sound.samples
    scale = MINOR_SCALE if sound.minor else SCALE
    tonic_hz = 440.0 * 2 ** ((sound.tonic % 12 - 9) / 12) * 2.0 * matter.scale_of(sound, 0.3)
    knots_s, notes, loud = _tune(rng, samples / SAMPLE_RATE, scale, 0.34 / sound.shape.pace)
    # Pitch and breath move slowly: they are worked out at a tenth of the rate.
    t = dsp.times(samples // 10 + 2) * 10
    smooth_hz = 10.0  # of the filters below, in units of the tenfold rate
    semitones = dsp.lowpass(np.interp(t, knots_s, notes), 12.0 * smooth_hz, 1)
    envelope = dsp.lowpass(np.interp(t, knots_s, loud), 18.0 * smooth_hz, 1)
    vibrato = 0.25 * np.sin(2 * np.pi * 5.6 * t) * envelope
    hertz = tonic_hz * 2 ** ((semitones + vibrato) / 12)
    hertz *= 1 + 0.003 * matter.roam(rng, len(t), 150.0)
    phase = dsp.glide(matter.joined(hertz, 10, samples))
    air = dsp.bandpass(dsp.white(rng, samples), 900.0, 5000.0, 1)
    tone = np.sin(phase) * (1 + 0.06 * np.cos(phase))  # with a faint octave
    return matter.joined(envelope, 10, samples) * (tone + 0.04 * air)


def _tune(
    rng: np.random.Generator, duration_s: float, scale: tuple[int, ...], beat_s: float
) -> tuple[Array, Array, Array]:
    """Make up a melody; returns its knots' times, semitones above the tonic, and loudness."""
    knots: list[tuple[float, float, float]] = [(0.0, float(scale[4]), 0.0)]
    now_s, degree = 0.05, int(rng.choice((0, 2, 4)))
    while now_s < duration_s:
        for _ in range(int(rng.integers(5, 9))):
            length_s = beat_s * float(rng.choice((1.0, 1.0, 2.0, 1.5)))
            note = float(scale[degree])
            knots += [
                (now_s, note, 0.5),
                (now_s + 0.05, note, 1.0),
                (now_s + 0.8 * length_s, note, 0.85),
                (now_s + length_s - 0.015, note, 0.35),
            ]
            now_s += length_s
            degree = int(np.clip(degree + rng.choice((-2, -1, -1, 1, 1, 2)), 0, len(scale) - 1))
        knots += [(now_s, knots[-1][1], 0.0), (now_s + beat_s, float(scale[degree]), 0.0)]
        now_s += beat_s + 0.02
    table = np.array(knots)
    return table[:, 0], table[:, 1], table[:, 2]


def _announcement(sound: Sound) -> Array:
    chime = _chime(sound.constants)
    voice = replace(voice_of(sound.constants, sound.shape.size), effort=0.75)
    chime_samples = min(len(chime), sound.samples // 2)
    left = sound.samples - chime_samples
    gestures = babble(sound.texture, left / SAMPLE_RATE, 4.0 * sound.shape.pace**0.5, 0.8)
    canvas = np.zeros(sound.samples)
    dsp.place(canvas, chime, 0, 0.55)
    dsp.place(canvas, speak(sound.texture, voice, gestures, left), chime_samples)
    horn = np.tanh(2.5 * dsp.bandpass(canvas, 400.0, 3400.0, 2))
    slap = dsp.seconds(0.11)
    echoed = horn.copy()
    for reflection in (1, 2, 3):
        dsp.place(echoed, horn, reflection * slap, 0.32**reflection)
    return dsp.fade(dsp.bandpass(echoed, 350.0, 3600.0, 1), 0.0, 0.03)


def _chime(rng: np.random.Generator) -> Array:
    notes = CHIMES[int(rng.integers(len(CHIMES)))]
    canvas = np.zeros(dsp.seconds(0.42 * len(notes) + 0.7))
    for index, hertz in enumerate(notes):
        partials = hertz * np.array([1.0, 2.0, 3.01])
        gains = np.array([1.0, 0.35, 0.12])
        note = matter.ring(
            dsp.seconds(1.1), partials, np.array([1.2, 0.8, 0.4]), gains, np.zeros(3)
        )
        dsp.place(canvas, dsp.fade(note, 0.004, 0.05), dsp.seconds(0.42 * index))
    return canvas


def _voice(name: str, role: Role, render: Callable[[Sound], Array], level_db: float) -> Kind:
    return Kind(name, "body", role, render, level_db)


KINDS: tuple[Kind, ...] = (
    *BODY,
    _voice("breath", Role.SUSTAINED, _breath, -34.0),
    _voice("cough", Role.ONESHOT, _cough, -22.0),
    _voice("sneeze", Role.ONESHOT, _sneeze, -21.0),
    _voice("snore", Role.SUSTAINED, _snore, -27.0),
    _voice("laugh", Role.ONESHOT, _laugh, -22.0),
    _voice("cry", Role.SUSTAINED, _cry, -24.0),
    _voice("baby_cry", Role.SUSTAINED, _baby_cry, -20.0),
    _voice("scream", Role.ONESHOT, _scream, -16.0),
    _voice("whistling", Role.SUSTAINED, _whistling, -25.0),
    _voice("yawn", Role.ONESHOT, _yawn, -27.0),
    _voice("sigh", Role.ONESHOT, _sigh, -30.0),
    _voice("gasp", Role.ONESHOT, _gasp, -28.0),
    _voice("talking", Role.SUSTAINED, _talking, -24.0),
    _voice("shouting", Role.SUSTAINED, _shouting, -19.0),
    _voice("whispering", Role.SUSTAINED, _whispering, -34.0),
    _voice("announcement", Role.SUSTAINED, _announcement, -23.0),
)

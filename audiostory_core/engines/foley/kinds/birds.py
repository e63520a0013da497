"""Birds: songs, calls and wings."""

from collections.abc import Callable

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Shape, Sound
from audiostory_core.engines.foley.synthesis.calls import (
    Formant,
    breath,
    calls,
    rough,
    series,
    voiced,
)
from audiostory_core.engines.foley.synthesis.dsp import (
    Array,
    bandpass,
    decay,
    fade,
    glide,
    place,
    seconds,
    times,
    white,
)
from audiostory_core.engines.foley.synthesis.texture import (
    curve,
    seed_of,
    settled,
    slots,
    slow_noise,
)

Motif = Callable[[np.random.Generator, float], Array]


def _whistle(points_hz: list[float], length_s: float) -> Array:
    """Return one whistled syllable: a nearly pure tone that glides through the points."""
    samples = seconds(length_s)
    phase = glide(curve(points_hz, samples))
    envelope = curve([0.0, 0.8, 1.0, 0.85, 0.5, 0.0], samples)
    return envelope * (np.sin(phase) + 0.06 * np.sin(2 * phase))


def _phrase(syllables: list[Array], gaps_s: list[float]) -> Array:
    total = sum(s.size for s in syllables) + sum(seconds(g) for g in gaps_s)
    canvas = np.zeros(total)
    at = 0
    for syllable, gap_s in zip(syllables, gaps_s, strict=True):
        place(canvas, syllable, at)
        at += syllable.size + seconds(gap_s)
    return canvas


def _trill(rng: np.random.Generator, hertz: float) -> Array:
    notes = int(rng.integers(6, 12))
    down = [hertz * 1.2, hertz, hertz * 0.8]
    return _phrase([_whistle(down, 0.05) for _ in range(notes)], [0.028] * notes)


def _tit(rng: np.random.Generator, hertz: float) -> Array:
    pairs = int(rng.integers(2, 5))
    high = _whistle([1.22 * hertz, 1.2 * hertz, 1.18 * hertz], 0.11)
    low = _whistle([0.96 * hertz, 0.95 * hertz, 0.93 * hertz], 0.14)
    return _phrase([high, low] * pairs, [0.045, 0.07] * pairs)


def _chirps(rng: np.random.Generator, hertz: float) -> Array:
    notes = int(rng.integers(1, 4))
    arc = [0.85 * hertz, 1.3 * hertz, 1.1 * hertz, 0.75 * hertz]
    gaps_s = rng.uniform(0.09, 0.2, notes).tolist()
    return _phrase([_whistle(arc, 0.085) for _ in range(notes)], gaps_s)


def _warble(rng: np.random.Generator, hertz: float) -> Array:
    samples = seconds(rng.uniform(0.5, 1.0))
    course = curve([float(x) for x in hertz * rng.uniform(0.85, 1.2, 6)], samples)
    flutter = 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(16, 26) * times(samples))
    tone = np.sin(glide(course * flutter))
    return fade(tone * (0.55 + 0.45 * flutter**3), 0.03, 0.05)


def _slur(rng: np.random.Generator, hertz: float) -> Array:
    first = _whistle([0.75 * hertz, 0.9 * hertz, 1.1 * hertz], rng.uniform(0.18, 0.26))
    second = _whistle([1.0 * hertz, 0.95 * hertz, 0.65 * hertz], rng.uniform(0.22, 0.34))
    return _phrase([first, second], [0.06, 0.0])


# Each species: its motif and the range of its pitch in Hz.
SPECIES: tuple[tuple[Motif, float, float], ...] = (
    (_trill, 3600.0, 5600.0),
    (_tit, 3400.0, 4800.0),
    (_chirps, 3000.0, 4800.0),
    (_warble, 2800.0, 4600.0),
    (_slur, 2200.0, 3200.0),
)


def _birds(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    singers = shape.count or round(7 * 1.7**shape.intensity)
    canvas = np.zeros((2, sound.samples))
    for bird in range(singers):
        motif, low_hz, high_hz = SPECIES[(bird + int(fixed.integers(0, 2))) % len(SPECIES)]
        hertz = fixed.uniform(low_hz, high_hz) * 2 ** (-0.35 * shape.size)
        period_s = fixed.uniform(1.6, 3.4) / shape.pace
        pan, gain, seed = fixed.uniform(0.05, 0.95), fixed.uniform(0.25, 1.0), seed_of(fixed)
        for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=1.6):
            if slot.rng.random() < 0.72:
                song = motif(slot.rng, hertz)
                at = slot.at + seconds(0.6 * period_s * slot.rng.random())
                place(canvas[0], song, at, gain * np.sqrt(1 - pan))
                place(canvas[1], song, at, gain * np.sqrt(pan))
    return canvas


def _songbird(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    hertz = fixed.uniform(2000, 2600) * 2 ** (-0.35 * shape.size)
    notes_hz = hertz * 2 ** (np.sort(fixed.uniform(-0.4, 0.6, 5)))
    period_s = fixed.uniform(3.0, 4.2) / shape.pace
    seed = seed_of(fixed)
    canvas = np.zeros(sound.samples)
    for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=4.0):
        at = slot.at + seconds(0.15 * period_s * slot.rng.random())
        place(canvas, _song(slot.rng, notes_hz), at, slot.rng.uniform(0.8, 1.1))
    return canvas


def _song(rng: np.random.Generator, notes_hz: Array) -> Array:
    """Return a blackbird's strophe: fluted notes, then a short twitter."""
    syllables: list[Array] = []
    for _ in range(int(rng.integers(4, 7))):
        low, high = rng.choice(notes_hz, 2)
        middle = 0.5 * (low + high) * rng.uniform(0.97, 1.05)
        syllables.append(
            _whistle([float(low), float(middle), float(high)], rng.uniform(0.16, 0.34))
        )
    gaps_s = rng.uniform(0.02, 0.09, len(syllables)).tolist()
    for _ in range(int(rng.integers(3, 7))):
        top = float(notes_hz[-1] * rng.uniform(1.4, 2.0))
        syllables.append(0.4 * _whistle([0.8 * top, 1.15 * top, 0.9 * top], 0.05))
        gaps_s.append(0.02)
    return _phrase(syllables, gaps_s)


def _pigeons(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    birds = shape.count or round(3 * 1.6**shape.intensity)
    canvas = np.zeros((2, sound.samples))
    for _ in range(birds):
        hertz = fixed.uniform(290, 390) * 2 ** (-0.35 * shape.size)
        period_s = fixed.uniform(2.4, 3.6) / shape.pace
        pan, seed = fixed.uniform(0.2, 0.8), seed_of(fixed)
        for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=2.5):
            at = slot.at + seconds(0.35 * period_s * slot.rng.random())
            coo = _coo(slot.rng, hertz)
            place(canvas[0], coo, at, np.sqrt(1 - pan))
            place(canvas[1], coo, at, np.sqrt(pan))
    return canvas


def _coo(rng: np.random.Generator, hertz: float) -> Array:
    """Return "coo, roo-COO-coo": throaty tones, the second one rolled."""
    parts = []
    plan = (
        (0.26, (0.95, 1.08, 0.98), 0),
        (0.52, (1.0, 1.3, 1.12), 1),
        (0.3, (1.05, 0.98, 0.85), 0),
    )
    for length_s, points, rolled in plan:
        samples = seconds(length_s * rng.uniform(0.92, 1.1))
        roll = np.sin(2 * np.pi * 24 * times(samples)) * rolled
        pitch = curve([hertz * p for p in points], samples) * (1 + 0.03 * roll)
        tone = voiced(pitch, [Formant(1.1 * hertz, 260)], -10.0, 5) * (1 + 0.6 * roll)
        air = 0.08 * bandpass(white(rng, samples), 200, 700, 1)
        parts.append(fade(tone + air, 0.06, 0.09))
    return _phrase(parts, [0.07, 0.06, 0.0])


def _wings(sound: Sound) -> Samples:
    rng, shape = sound.texture, sound.shape
    rate_hz = sound.constants.uniform(8.5, 11.0) * shape.pace * 2 ** (-0.4 * shape.size)
    flocks = [_flight(rng, rate_hz, shape) for _ in range(shape.count or 1)]
    return series(sound, flocks, [0.3] * len(flocks))


def _flight(rng: np.random.Generator, rate_hz: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(1.4, 2.0))
    flight = np.zeros(samples)
    length = seconds(0.055)
    stroke = decay(length, 0.06, 0.012)
    flaps = [
        stroke * bandpass(white(rng, length), 300, top_hz, 1)
        for top_hz in rng.uniform(2200, 3600, 6)
    ]
    for _ in range(round(4 * 2**shape.intensity)):
        at_s, own_hz = rng.uniform(0.0, 0.35), rate_hz * rng.uniform(0.9, 1.1)
        while at_s < samples / 44_100:
            flap = flaps[int(rng.integers(len(flaps)))]
            place(flight, flap, seconds(at_s), np.exp(-1.3 * at_s))
            at_s += rng.uniform(0.9, 1.1) / own_hz * (1 + 0.15 * at_s)
    return flight


def _caw(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.26, 0.38))
    hertz = curve([420.0, 560.0, 540.0, 470.0, 380.0], samples) * scale
    formants = [
        Formant(1250 * scale, 420, 1.0),
        Formant(1950 * scale, 480, 0.8),
        Formant(3600, 1000, 0.25),
    ]
    harsh = 1 + 0.55 * slow_noise(rng, samples, 75.0)
    tone = voiced(rough(rng, hertz, 0.05, 120.0), formants, -1.0)
    air = (0.7 + 0.2 * shape.intensity) * breath(rng, samples, formants)
    return curve([0.0, 0.9, 1.0, 0.9, 0.6, 0.0], samples) * harsh * (tone + air)


def _cock(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    """Return "cock-a-doodle-doo": two short notes, a high one, and a long fall."""
    notes = (
        (0.17, (480, 620, 640), 0.6),
        (0.13, (700, 760, 720), 0.7),
        (0.34, (760, 960, 980, 900), 1.0),
        (rng.uniform(0.75, 1.05), (840, 930, 900, 800, 640, 470), 1.0),
    )
    formants = [Formant(1150, 500, 1.0), Formant(2100, 600, 1.0), Formant(3400, 900, 0.5)]
    sung = []
    for length_s, points, gain in notes:
        samples = seconds(length_s)
        hertz = rough(rng, curve([p * scale for p in points], samples), 0.02, 90.0)
        tone = voiced(hertz, formants, -1.5 + shape.intensity) + 0.12 * breath(
            rng, samples, formants
        )
        sung.append(gain * fade(tone, 0.025, min(0.3 * length_s, 0.25)))
    return _phrase(sung, [0.035, 0.025, 0.02, 0.0])


def _hoot(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    """Return a tawny owl's "hoo … hu-hoo-oo" as one call."""
    base = 355 * scale * rng.uniform(0.97, 1.03)
    plan = (
        (0.5, (0.95, 1.04, 0.98), False),
        (0.12, (0.96, 1.0, 0.98), False),
        (0.75, (0.98, 1.07, 1.03, 0.93), True),
    )
    hoots = []
    for length_s, points, quaver in plan:
        samples = seconds(length_s)
        shiver = np.sin(2 * np.pi * 13 * times(samples)) * curve([0.0, 1.0, 0.6], samples) * quaver
        hertz = curve([base * p for p in points], samples) * (1 + 0.012 * shiver)
        tone = voiced(hertz, [Formant(base, 240)], -14.0, 4) * (1 + 0.35 * shiver)
        air = 0.03 * (1.2 + shape.intensity) * bandpass(white(rng, samples), 280, 800, 1)
        hoots.append(fade(tone + air, min(0.09, 0.4 * length_s), min(0.2, 0.5 * length_s)))
    return _phrase(hoots, [rng.uniform(0.45, 0.7), 0.06, 0.0])


def _gull(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.38, 0.6))
    points = [scale * p for p in (950.0, 1500.0, 1650.0, 1450.0, 1200.0, 900.0)]
    hertz = rough(rng, curve(points, samples), 0.012, 80.0)
    formants = [Formant(1500, 700, 1.0), Formant(2900, 900, 0.9), Formant(4600, 1200, 0.4)]
    tone = voiced(hertz, formants, -1.0 + shape.intensity)
    return curve([0.0, 0.9, 1.0, 0.8, 0.5, 0.0], samples) * tone


def _seagulls(sound: Sound) -> Samples:
    fixed, shape = sound.constants, sound.shape
    canvas = np.zeros((2, sound.samples))
    for _ in range(shape.count or round(3 * 1.7**shape.intensity)):
        scale, period_s = fixed.uniform(0.85, 1.15), fixed.uniform(3.5, 6.0) / shape.pace
        pan, gain, seed = fixed.uniform(0.1, 0.9), fixed.uniform(0.35, 1.0), seed_of(fixed)
        for slot in slots(seed, sound.samples, sound.start, period_s, reach_s=3.5):
            cries = int(slot.rng.integers(1, 5))
            gulls = [_gull(slot.rng, scale, shape) for _ in range(cries)]
            cry = _phrase(gulls, slot.rng.uniform(0.06, 0.16, cries).tolist())
            at = slot.at + seconds(0.4 * period_s * slot.rng.random())
            place(canvas[0], cry, at, gain * np.sqrt(1 - pan))
            place(canvas[1], cry, at, gain * np.sqrt(pan))
    return canvas


def _quack(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    samples = seconds(rng.uniform(0.15, 0.22))
    hertz = curve([250.0, 290.0, 270.0, 225.0], samples) * scale
    formants = [Formant(1150 * scale, 240, 1.0), Formant(2350 * scale, 380, 0.7)]
    tone = voiced(rough(rng, hertz, 0.03, 90.0), formants, 0.0 + shape.intensity, 60)
    return curve([0.0, 1.0, 0.9, 0.5, 0.0], samples) * tone


def _cluck(rng: np.random.Generator, scale: float, shape: Shape) -> Array:
    long_note = rng.random() < 0.22
    samples = seconds(0.34 if long_note else rng.uniform(0.06, 0.09))
    top = (640.0 if long_note else 480.0) * scale
    hertz = curve([0.75 * top, top, 0.9 * top, 0.7 * top], samples)
    formants = [Formant(900, 420, 1.0), Formant(1900, 600, 0.6)]
    tone = voiced(rough(rng, hertz, 0.03, 90.0), formants, -2.0)
    air = (0.35 + 0.1 * shape.intensity) * breath(rng, samples, formants)
    return curve([0.0, 1.0, 0.7, 0.0], samples) * (tone + air)


BIRDS: tuple[Kind, ...] = (
    Kind("birds", "animal", Role.BED, settled(_birds), -30.0),
    Kind("songbird", "animal", Role.BED, settled(_songbird), -28.0),
    Kind("seagulls", "animal", Role.BED, settled(_seagulls), -28.0),
    Kind("pigeons", "animal", Role.BED, settled(_pigeons), -30.0),
    Kind("wings", "animal", Role.ONESHOT, _wings, -27.0),
    Kind("crow", "animal", Role.ONESHOT, calls(_caw, 3, (0.25, 0.45), 0.1), -22.0),
    Kind("rooster", "animal", Role.ONESHOT, calls(_cock, 1, (0.5, 1.0), 0.1), -19.0),
    Kind("chicken", "animal", Role.ONESHOT, calls(_cluck, 7, (0.12, 0.3), 0.1), -26.0),
    Kind("duck", "animal", Role.ONESHOT, calls(_quack, 3, (0.1, 0.2), 0.1), -23.0),
    Kind("owl", "animal", Role.ONESHOT, calls(_hoot, 1, (1.0, 2.0), 0.08), -27.0),
)

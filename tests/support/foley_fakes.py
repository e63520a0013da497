"""A handful of sounds, words and a voice, simple enough to know what a scene must sound like."""

import numpy as np

from audiostory_core.engines.foley.sound import Kind, Role, Samples, Sound
from audiostory_core.engines.foley.speech.speakers import Voice
from audiostory_core.engines.foley.speech.speech import FASTEST, Utterance
from audiostory_core.engines.foley.synthesis import dsp
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.story.plan import SAMPLE_RATE, Layer, SoundLayer, SpeechLayer

SECOND = SAMPLE_RATE
SECONDS_A_CHARACTER = 0.06


def _noise(sound: Sound) -> Samples:
    return dsp.highpass(dsp.white(sound.texture, sound.samples), 300.0)


def _murmur(sound: Sound) -> Samples:
    return dsp.lowpass(np.stack([dsp.white(sound.texture, sound.samples) for _ in "lr"]), 900.0)


def _hum(sound: Sound) -> Samples:
    hertz = sound.constants.uniform(90, 130)
    return np.sin(2 * np.pi * hertz * dsp.times(sound.samples, sound.start))


def _siren(sound: Sound) -> Samples:
    t = dsp.times(sound.samples, sound.start)
    return np.sin(2 * np.pi * 800 * t) + 0.5 * np.sin(2 * np.pi * 6400 * t)


def _engine(sound: Sound) -> Samples:
    return dsp.white(sound.texture, sound.samples)


def _knock(sound: Sound) -> Samples:
    count = sound.shape.count or 2
    canvas = np.zeros(count * SECOND // 2)
    for at in range(count):
        strike = dsp.white(sound.texture, 2000) * dsp.decay(2000, 0.04)
        dsp.place(canvas, strike, at * SECOND // 2)
    return canvas


def _piano(sound: Sound) -> Samples:
    hertz = 440 * 2 ** ((sound.tonic - 69) / 12)
    return np.sin(2 * np.pi * hertz * dsp.times(sound.samples, sound.start))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("room_tone", "weather", Role.BED, _murmur, -50.0),
        Kind("rain", "weather", Role.BED, _noise, -30.0),
        Kind("wind", "weather", Role.BED, _noise, -30.0),
        Kind("crowd", "crowd", Role.BED, _murmur, -30.0),
        Kind("hum", "machine", Role.BED, _hum, -30.0),
        Kind("siren", "signal", Role.SUSTAINED, _siren, -20.0),
        Kind("truck", "vehicle", Role.SUSTAINED, _engine, -20.0),
        Kind("knock", "object", Role.ONESHOT, _knock, -20.0),
        Kind("piano", "music", Role.MUSIC, _piano, -24.0),
    )
}


def lexicon() -> Lexicon:
    """Return a small lexicon of English."""
    kinds = {name: {"en": [name]} for name in KINDS if name not in ("room_tone", "crowd")}
    return Lexicon(
        {**kinds, "silence": {"en": ["silence", "a pause"]}},
        places={
            "station": {"en": ["station"], "room": "hall", "beds": {"crowd": {}}},
            "kitchen": {"en": ["kitchen"], "room": "small", "beds": {"hum": {}}},
        },
        modifiers={
            "modifier": [
                {"shape": {"motion": "approaching"}, "en": ["approaching"]},
                {"shape": {"motion": "receding"}, "en": ["receding", "drives away"]},
                {"shape": {"distance": 0.9}, "en": ["distant"]},
            ],
            "numbers": {"en": {"three": 3}},
            "movers": ["truck"],
        },
    )


class ToneVoice:
    """Speaks every line as a tone whose length follows the number of characters."""

    def voice_for(self, speaker: str | None, description: str, index: int) -> Voice:
        return Voice(variant=f"{speaker}{description}{index}", pitch=index, rate_wpm=165)

    def speak(
        self,
        words: str,
        language: str,
        voice: Voice,
        manner: str | None,
        longest: int | None,
        lexicon=None,
    ) -> Utterance:
        natural = len(words) * SECONDS_A_CHARACTER * SECOND * 165 / voice.rate_wpm
        speed = 1.0
        if longest is not None and natural > longest:
            speed = min(natural / longest, FASTEST)
        samples = round(natural / speed)
        tone = 0.14 * np.sin(2 * np.pi * (300 + 50 * voice.pitch) * dsp.times(samples))
        too_long = longest is not None and samples > longest
        return Utterance(tone, speed=speed, is_too_long=too_long, is_silent=False)

    def close(self) -> None:
        """Nothing to end."""


def condition_of(foley, plan, place, before):
    """Return the condition of one sub-event after another's."""
    known = {} if before is None else {place - 1: before}
    [made] = foley.interleave(plan, [place], known)
    return made[place]


def request(
    caption: str,
    *layers: Layer,
    seconds: float = 8.0,
    tail_s: float = 0.0,
    seed: int = 1,
    **parameters: object,
) -> ClipRequest:
    """Return the request for a clip of `seconds`, the tail included."""
    return ClipRequest(
        caption=caption,
        layers=layers,
        samples=round(seconds * SECOND),
        seed=seed,
        language="en",
        parameters={"tail_samples": round(tail_s * SECOND), **parameters},
    )


def sound(text: str, kind: str = "sfx") -> SoundLayer:
    """Return a sound layer."""
    return SoundLayer.model_validate({"kind": kind, "text": text})


def line(words: str, speaker: str | None = None) -> SpeechLayer:
    """Return a spoken line."""
    return SpeechLayer(words=words, speaker=speaker)


def brightness_hz(waveform: Samples) -> float:
    """Return the centroid of the power spectrum of the first channel."""
    power = np.abs(np.fft.rfft(waveform[0])) ** 2
    return float(np.sum(np.fft.rfftfreq(waveform.shape[1], 1 / SECOND) * power) / np.sum(power))

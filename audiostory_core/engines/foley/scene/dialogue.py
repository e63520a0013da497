"""The spoken lines of a scene: who says them in which voice, and how they fit its length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from audiostory_core.engines.foley.scene.carryover import Carryover
from audiostory_core.engines.foley.speech.speech import FASTEST, Utterance, Voice
from audiostory_core.engines.foley.synthesis.dsp import Array
from audiostory_core.story.plan import SAMPLE_RATE, CastMember, SpeechLayer
from audiostory_core.text.spoken.form import NO_READINGS

NARRATOR = 0  # place of unnamed voices; the story's speakers come after it
SPREAD = 0.5  # speakers stand nearer to the middle than other sources
SHOWN = 60  # characters of a line in a warning


class Speaks(Protocol):
    """Something that speaks lines of text."""

    def voice_for(self, speaker: str | None, description: str, index: int) -> Voice:
        """Return the voice of a speaker: the same for the same arguments, always."""
        ...

    def speak(
        self,
        words: str,
        language: str,
        voice: Voice,
        manner: str | None,
        longest: int | None,
        lexicon: Mapping[str, str] = NO_READINGS,
    ) -> Utterance:
        """Speak every one of the words."""
        ...

    def close(self) -> None:
        """End what speaking needs."""
        ...


@dataclass
class Line:
    """A line and how it sounds so far."""

    layer: SpeechLayer
    voice: Voice
    utterance: Utterance

    @property
    def pause(self) -> int:
        """Samples of silence before it; it takes none where it has a start."""
        if self.layer.start_s is not None:
            return 0
        return round((self.layer.pause_before_s or 0.0) * SAMPLE_RATE)


class Dialogue:
    """Speaks the lines of one scene.

    Args:
        speech: speaks.
        state: says which voice each speaker has and where it stands.
        cast: says how speakers are described.
        language: of the words, BCP 47.
        longest: samples that the scene has for speech.
        say: readings of words.
    """

    def __init__(
        self,
        speech: Speaks,
        state: Carryover,
        cast: Sequence[CastMember],
        language: str,
        longest: int,
        say: Mapping[str, str] = NO_READINGS,
    ) -> None:
        self._speech = speech
        self._state = state
        self._described = {member.name: member.description for member in cast}
        self._language = language
        self._longest = longest
        self._say = say
        self.warnings: list[str] = []

    def line(self, layer: SpeechLayer) -> Line:
        """Return the line at its speaker's own pace.

        Raises:
            EngineFailed: if it cannot be spoken.
        """
        index = NARRATOR
        if layer.speaker is not None:
            index = 1 + self._state.voice_of(layer.speaker)
        described = self._described.get(layer.speaker or "", "")
        voice = self._speech.voice_for(layer.speaker, described, index)
        utterance = self._speak(layer, voice, None)
        if utterance.is_silent:
            self.warnings.append(f"cannot be spoken: {layer.words[:SHOWN]}")
        if utterance.unread:
            self.warnings.append(
                f"no reading is known of {'、'.join(utterance.unread)}, which is left out; give one "
                f"by say: {layer.words[:SHOWN]}"
            )
        return Line(layer, voice, utterance)

    def hurry(self, lines: Sequence[Line], samples: int) -> None:
        """Speak the lines faster, at most `FASTEST`, so that together they take `samples`."""
        talk = sum(line.utterance.waveform.size for line in lines)
        if talk <= samples:
            return
        for line in lines:
            wanted = line.utterance.waveform.size * max(samples / talk, 1 / FASTEST)
            line.utterance = self._speak(line.layer, line.voice, int(min(wanted, self._longest)))

    def complete(self, line: Line) -> Array:
        """Return the whole line, squeezed into the scene where hurrying was not enough, [N]."""
        waveform = line.utterance.waveform
        if waveform.size <= self._longest:
            return waveform
        times = waveform.size / self._longest
        self.warnings.append(
            f"speech is {times * line.utterance.speed:.1f} times as fast as its speaker to fit "
            f"the scene: {line.layer.words[:SHOWN]}"
        )
        hasty = replace(line.voice, rate_wpm=round(line.voice.rate_wpm * times * FASTEST))
        waveform = self._speak(line.layer, hasty, self._longest).waveform
        if waveform.size <= self._longest:
            return waveform
        at = np.linspace(0, waveform.size - 1, self._longest)
        return np.interp(at, np.arange(waveform.size), waveform)

    def position_of(self, line: Line) -> float:
        """Return where the speaker stands, -1 left … 1 right; an unnamed one in the middle."""
        if line.layer.pan is not None:
            return line.layer.pan
        if line.layer.speaker is None:
            return 0.0
        return SPREAD * self._state.position_of(f"voice {line.layer.speaker}")

    def _speak(self, layer: SpeechLayer, voice: Voice, longest: int | None) -> Utterance:
        return self._speech.speak(
            layer.words, self._language, voice, layer.manner, longest, self._say
        )

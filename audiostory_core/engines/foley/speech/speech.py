"""Spoken words: chooses voice, language and manner, and has the espeak-ng helper speak them."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from audiostory_core.engines.foley.progress import checkpoint
from audiostory_core.engines.foley.speech.espeak_client import EspeakClient
from audiostory_core.engines.foley.speech.manner import Manner, Manners
from audiostory_core.engines.foley.speech.pronunciation import Pronunciation, Run
from audiostory_core.engines.foley.speech.speakers import SpeakerWords, Voice
from audiostory_core.engines.foley.speech.timbre import in_timbre
from audiostory_core.engines.foley.synthesis.dsp import Array, fade, parts, seconds
from audiostory_core.errors import EngineFailed
from audiostory_core.story.plan import SAMPLE_RATE
from audiostory_core.text.spoken.form import NO_READINGS

FASTEST = 1.25  # the most a line is hurried to fit its scene
SLOWEST_WPM, FASTEST_WPM = 80, 450  # of espeak-ng
NORMAL_DBFS = -20.0  # RMS of a voice that is neither raised nor lowered
SILENCE_S = 0.1  # what is returned for words that cannot be spoken
BETWEEN_RUNS_S = 0.06  # where the script changes within a line
FULL_SCALE = 32768.0  # of espeak-ng's samples
SILENT = 0.002  # of full scale; espeak-ng's own silence is digital
VOICE_FRAME = 882  # samples, 20 ms
FRAMES_AT_ONCE = 1 << 10  # between two checkpoints

Sample = TypeVar("Sample", np.int16, np.float64)

__all__ = ["FASTEST", "Speech", "Utterance", "Voice", "speech_available"]


@dataclass(frozen=True)
class Utterance:
    """Spoken words."""

    waveform: Array  # [N] at 44.1 kHz; a normal voice has -20 dBFS RMS; peaks may exceed 1
    speed: float  # 1 is the speaker's own pace, at most `FASTEST`
    is_too_long: bool  # longer than requested even when hurried; complete all the same
    is_silent: bool  # nothing in the words could be spoken
    unread: tuple[str, ...] = ()  # characters whose reading is not known, left out


class Speech:
    """Speaks lines; owns the helper process, which starts with the first line.

    Equal arguments give bit-identical utterances, in any order and any process.
    """

    def __init__(self, client: EspeakClient | None = None) -> None:
        self._client = client or EspeakClient()
        self._manners = Manners.load()
        self._speakers = SpeakerWords.load()
        self._pronunciation = Pronunciation()

    def voice_for(self, speaker: str | None, description: str, index: int) -> Voice:
        """Return the voice of a speaker: the same for the same arguments, always.

        Args:
            speaker: name in the cast; None is the narrator or an unnamed voice.
            description: words about the speaker, in any language.
            index: place in the cast; speakers with different places have different voices.
        """
        return self._speakers.voice_for(speaker, description, index)

    def speak(
        self,
        words: str,
        language: str,
        voice: Voice,
        manner: str | None,
        longest: int | None,
        lexicon: Mapping[str, str] = NO_READINGS,
    ) -> Utterance:
        """Speak every one of the words.

        Args:
            words: any text of any length.
            language: BCP 47 tag; `und` and what espeak-ng lacks are spoken by their script.
            voice: from `voice_for`.
            manner: as written in the story, e.g. "whispering"; None is normal.
            longest: samples the line should fit in; None is any number.
            lexicon: readings of the story, by the words they are of.

        Raises:
            EngineFailed: if the helper process cannot speak.
            Cancelled: if the clip that is being made is not wanted any more.
        """
        wanted = self._manners.named_in(manner)
        runs = self._pronunciation.runs(words, language, lexicon)
        unread = tuple(dict.fromkeys(character for run in runs for character in run.unread))
        spoken = self._say(runs, voice, wanted, 1.0)
        if spoken.size == 0:
            return Utterance(np.zeros(seconds(SILENCE_S)), 1.0, False, True, unread)
        speed = 1.0
        if longest is not None and spoken.size > longest:
            # A little more than needed: pauses shorten less than words.
            needed = 1.02 * spoken.size / max(longest, 1)
            for speed in (needed, FASTEST) if needed < FASTEST else (FASTEST,):
                spoken = self._say(runs, voice, wanted, speed)
                if spoken.size <= longest:
                    break
        waveform = in_timbre(spoken, wanted.timbre, words)
        level = 10 ** ((NORMAL_DBFS + wanted.gain_db) / 20)
        waveform *= level / _rms_of_voice(waveform)
        return Utterance(
            waveform=fade(waveform, 0.002, 0.01),
            speed=speed,
            is_too_long=longest is not None and spoken.size > longest,
            is_silent=False,
            unread=unread,
        )

    def phonemes(self, words: str, language: str, lexicon: Mapping[str, str] = NO_READINGS) -> str:
        """Return how the words are pronounced, in IPA.

        Raises:
            EngineFailed: if the helper process cannot speak.
        """
        neutral = Voice(variant="", pitch=50, rate_wpm=165)
        return " ".join(
            str(self._ask(run, neutral, wants_phonemes=True)[0]["phonemes"])
            for run in self._pronunciation.runs(words, language, lexicon)
        )

    def close(self) -> None:
        """End the helper process; a later line starts another."""
        self._client.close()

    def _say(self, runs: Sequence[Run], voice: Voice, manner: Manner, speed: float) -> Array:
        pitched = replace(
            voice,
            pitch=_clipped(voice.pitch + manner.pitch, 0, 99),
            pitch_range=_clipped(voice.pitch_range * manner.pitch_range, 0, 99),
            rate_wpm=_clipped(voice.rate_wpm * manner.rate * speed, SLOWEST_WPM, FASTEST_WPM),
        )
        pieces: list[NDArray[np.int16]] = []
        is_heard = False
        for run in runs:
            header, pcm = self._ask(run, pitched)
            words = _trimmed(pcm, header["sample_rate"])
            is_heard = is_heard or words.size > 0
            pause = round(BETWEEN_RUNS_S * header["sample_rate"] / speed)
            pieces += [words, np.zeros(pause, np.int16)]
        if not is_heard:
            return np.zeros(0)
        return _at_full_rate(_joined(pieces[:-1]), header["sample_rate"])

    def _ask(
        self, run: Run, voice: Voice, *, wants_phonemes: bool = False
    ) -> tuple[dict[str, Any], NDArray[np.int16]]:
        sounds = {"sounds": run.sounds} if run.sounds else {}
        return self._client.ask(
            sounds
            | {
                "text": run.text,
                "voices": run.voices,
                "variant": voice.variant,
                "rate_wpm": voice.rate_wpm,
                "pitch": voice.pitch,
                "pitch_range": voice.pitch_range,
                "wants_phonemes": wants_phonemes,
            }
        )


def speech_available() -> str | None:
    """Return why lines cannot be spoken on this machine, or None if they can."""
    if not hasattr(os, "fork"):
        return "the speech helper needs a POSIX system"
    if find_spec("espeakng_loader") is None:
        return "the package espeakng-loader is not installed"
    speech = Speech()
    try:
        speech.phonemes("a", "en")
    except EngineFailed as error:
        return str(error)
    finally:
        speech.close()
    return None


def _clipped(value: float, lowest: int, highest: int) -> int:
    return min(max(round(value), lowest), highest)


def _trimmed(pcm: NDArray[np.int16], sample_rate: int) -> NDArray[np.int16]:
    """Cut the silence around the words but for a breath."""
    checkpoint()
    least = math.ceil(SILENT * FULL_SCALE)
    loud = (pcm >= least) | (pcm <= -least)
    if not loud.any():
        return pcm[:0]
    breath = round(0.01 * sample_rate)
    first, last = int(loud.argmax()), loud.size - 1 - int(loud[::-1].argmax())
    return pcm[max(0, first - breath) : last + 2 * breath]


def _at_full_rate(pcm: NDArray[np.int16], sample_rate: int) -> Array:
    """Resample to 44.1 kHz, some of it at a time; the result is that of one go."""
    resampling = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float64")
    return _joined(
        [
            resampling.resample_chunk(pcm[part] / FULL_SCALE, last=part.stop == pcm.size)
            for part in parts(pcm.size)
        ]
    )


def _joined(pieces: Sequence[NDArray[Sample]]) -> NDArray[Sample]:
    joined = np.empty(sum(piece.size for piece in pieces), pieces[0].dtype)
    at = 0
    for piece in pieces:
        checkpoint()
        joined[at : at + piece.size] = piece
        at += piece.size
    return joined


def _rms_of_voice(waveform: Array) -> float:
    """Return the RMS of the part that is not pauses."""
    frames = waveform[: waveform.size // VOICE_FRAME * VOICE_FRAME].reshape(-1, VOICE_FRAME)
    if frames.size == 0:
        frames = waveform[None, :]
    energies = np.empty(len(frames))
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        checkpoint()
        block = slice(first, first + FRAMES_AT_ONCE)
        energies[block] = np.mean(frames[block] ** 2, axis=1)
    return math.sqrt(float(np.mean(energies[energies >= 1e-4 * np.max(energies)]))) or 1.0

"""Asking an audio model what is heard.

vLLM 0.32 serves such models behind its chat endpoint: MiDashengLM and Qwen2.5-Omni for sounds,
Voxtral for speech, among others. They listen to 16 kHz mono, some to 30 s at most: longer audio is
described piece by piece.
"""

import base64
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator

from audiostory_core.errors import BadInput, UnreadableAudio
from audiostory_core.llm.answers import ask_twice, parse
from audiostory_core.llm.client import ChatClient, Message, Question
from audiostory_core.llm.stream import Unusable
from audiostory_core.planners.chat.answer import Text
from audiostory_core.story.plan import SAMPLE_RATE

Waveform = NDArray[np.float32]  # [C, N]

HEARING_RATE = 16_000  # Hz, of what models listen to
LONGEST_PIECE_S = 30.0
SHORTEST_S = 0.1
LONGEST_S = 3600.0
BLOCK_FRAMES = 1 << 16
LEAST_READ = 0.75  # of an MP3 must have been read at its end; tags may be large
MAX_EVENTS = 64  # of a piece
LONGEST_TEXT = 4000  # characters of a piece


@dataclass(frozen=True)
class HeardEvent:
    """Something that happens in audio."""

    label: str
    start_s: float  # from the beginning of the audio
    end_s: float


@dataclass(frozen=True)
class Description:
    """What is heard in audio."""

    transcript: str  # of speech and singing; empty if there is none
    caption: str
    events: tuple[HeardEvent, ...]  # in the order of their beginnings


def _seconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return -1.0
    return value if 0 <= value < LONGEST_S else -1.0


class _Event(BaseModel):
    label: Text = ""
    start_s: Annotated[float, BeforeValidator(_seconds)] = -1.0
    end_s: Annotated[float, BeforeValidator(_seconds)] = -1.0


class _Answer(BaseModel):
    transcript: Text = ""
    caption: Text = ""
    events: list[_Event] = []


def describe(
    audio: Path | Waveform, client: ChatClient, *, sample_rate: int = SAMPLE_RATE
) -> Description:
    """Ask a model what is heard.

    Args:
        audio: a file that libsndfile reads, or a [C, N] waveform in [-1, 1].
        client: of a server whose model takes audio.
        sample_rate: of a waveform, in Hz; a file has its own.

    Raises:
        UnreadableAudio: if the file cannot be read.
        BadInput: if the audio is too short, too long or no audio, or the model refuses or cannot
            answer; naming the setting, if it is one that is wrong.
        LanguageModelAway: if the server does not answer.
    """
    parts, length_s = [], 0.0
    for piece in _pieces(audio, sample_rate):
        piece_s = piece.shape[-1] / HEARING_RATE
        parts.append(_described(piece, piece_s, length_s, client, audio))
        length_s += piece_s
    return Description(
        " ".join(part.transcript for part in parts if part.transcript),
        " ".join(part.caption for part in parts),
        tuple(event for part in parts for event in part.events),
    )


def _described(
    piece: Waveform, piece_s: float, begins_s: float, client: ChatClient, audio: Path | Waveform
) -> Description:
    rules = Template(_data("prompts/describe.md")).substitute(duration=f"{piece_s:.2f}")
    schema = json.loads(_data("schemas/description.json"))
    data = base64.b64encode(_wav(piece)).decode("ascii")
    heard = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    messages: list[Message] = [
        {"role": "system", "content": rules},
        {"role": "user", "content": [heard, {"type": "text", "text": "What is heard?"}]},
    ]
    try:
        answer = ask_twice(client, Question(messages, schema, "description"), _read)
    except Unusable as error:
        shown = str(audio) if isinstance(audio, Path) else f"waveform of shape {audio.shape}"
        problem = f"could not be described: the model's answer {error.problem}"
        remedy = "Name another model, one that takes audio."
        raise BadInput("audio", shown, problem, remedy) from error
    events = [
        HeardEvent(event.label[:LONGEST_TEXT], begins_s + event.start_s, begins_s + end_s)
        for event in answer.events[:MAX_EVENTS]
        if event.label and 0 <= event.start_s < (end_s := min(event.end_s, piece_s))
    ]
    return Description(
        answer.transcript[:LONGEST_TEXT],
        answer.caption[:LONGEST_TEXT],
        tuple(sorted(events, key=lambda event: event.start_s)),
    )


def _read(text: str) -> _Answer:
    answer = parse(text, _Answer, "caption")
    if not answer.caption:
        raise Unusable("has an empty caption", text)
    return answer


def _pieces(audio: Path | Waveform, sample_rate: int) -> Iterator[Waveform]:
    """Yield the audio in pieces of [N] at `HEARING_RATE`, all of about the same length."""
    if isinstance(audio, Path):
        yield from _pieces_of_file(audio)
        return
    if audio.ndim != 2 or not 1 <= audio.shape[0] <= 64 or sample_rate < 1:
        shown = f"shape {audio.shape} at {sample_rate} Hz"
        raise BadInput("audio", shown, "is no waveform", "Give [C, N] and its sample rate.")
    for begin, end in _cuts(audio.shape[1], sample_rate, f"waveform of shape {audio.shape}"):
        yield _heard(audio[:, begin:end].T, sample_rate)


def _pieces_of_file(path: Path) -> Iterator[Waveform]:
    try:
        length = _count_frames(path)
        with soundfile.SoundFile(path) as file:  # anew: after a seek, MP3 has wrong samples
            for begin, end in _cuts(length, file.samplerate, str(path)):
                frames = file.read(end - begin, dtype="float32", always_2d=True)
                if len(frames) < end - begin:
                    raise UnreadableAudio(path, "was changed while it was read")
                yield _heard(frames, file.samplerate)
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio(path, "is not audio that can be read") from error
    except OSError as error:
        problem = "does not exist" if not path.exists() else "cannot be read"
        raise UnreadableAudio(path, problem) from error


def _count_frames(path: Path) -> int:
    """Read a file until it ends, or is longer than can be described.

    Of an MP3 that does not tell its length, libsndfile derives `frames` from its first bit rate:
    a little too many where that stays the same, too few or too many where it varies.

    Raises:
        UnreadableAudio: if libsndfile would stop long before the end.
    """
    count, read = 0, 1
    with path.open("rb") as raw, soundfile.SoundFile(raw) as file:
        while read and count <= LONGEST_S * file.samplerate:
            read = len(file.read(BLOCK_FRAMES, dtype="float32"))
            count += read
        size = path.stat().st_size
        if not read and file.format == "MP3" and raw.tell() < LEAST_READ * size:
            problem = "is an MP3 of varying bit rate that does not tell its length; give a WAV file"
            raise UnreadableAudio(path, problem)
    return count


def _cuts(frames: int, sample_rate: int, shown: str) -> Iterator[tuple[int, int]]:
    length_s = frames / sample_rate
    if not SHORTEST_S <= length_s <= LONGEST_S:
        raise BadInput(
            "audio", shown, f"lasts {length_s:g} s", f"Give {SHORTEST_S:g} to {LONGEST_S:g} s."
        )
    count = math.ceil(length_s / LONGEST_PIECE_S)
    for number in range(count):
        yield frames * number // count, frames * (number + 1) // count


def _heard(frames: NDArray[np.float32], sample_rate: int) -> Waveform:
    """Return [N, C] frames as the [N] samples that a model listens to."""
    if not np.isfinite(frames).all():
        raise BadInput("audio", "waveform", "has samples that are no numbers", "Make it again.")
    mono = np.ascontiguousarray(frames.mean(axis=1, dtype=np.float32))
    heard: Waveform = soxr.resample(mono, sample_rate, HEARING_RATE)
    return heard


def _wav(piece: Waveform) -> bytes:
    encoded = io.BytesIO()
    clipped = np.clip(piece, -1.0, 1.0)
    soundfile.write(encoded, clipped, HEARING_RATE, format="WAV", subtype="PCM_16")
    return encoded.getvalue()


def _data(name: str) -> str:
    return (files("audiostory_core.understanding") / name).read_text(encoding="utf-8")

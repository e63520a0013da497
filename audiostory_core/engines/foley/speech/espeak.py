"""The helper process that speaks: the only place where espeak-ng is loaded.

Run as `python -m audiostory_core.engines.foley.speech.espeak`. It reads requests from stdin and writes
answers to stdout, each a frame: the length of a JSON header (4 bytes, big endian), the header,
and in answers `bytes` bytes of native 16-bit mono samples. It ends when stdin ends.

    request  {"text": …, "voices": [tag, …], "variant": …, "rate_wpm": …, "pitch": …,
              "pitch_range": …, "wants_phonemes": false,
              "sounds": [[[symbol, …], …], …]}
    answer   {"voice": tag, "sample_rate": 22050, "phonemes": "", "bytes": …}

`sounds`, which may be left out, has words spelled in espeak-ng's symbols, of each sound those that
may stand for it, best first; they are spoken where the text has U+E000, in order.

espeak-ng keeps oscillators, flutter and noise running from one utterance to the next, and neither
a new seed nor a new initialization resets them. Each request is therefore spoken by a fork of a process
that has never spoken, which makes every utterance independent of those before it.

This file imports nothing of the studio and nothing heavy.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import espeakng_loader

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
DONT_EXIT = 0x8000  # report missing data instead of ending the process
UTF8 = 1  # espeakCHARS_UTF8
PHONEMES = 0x100  # espeakPHONEMES: [[symbols]] in a text are sounds
PLACE = "\ue000"  # of a word that is spelled in symbols
IPA = 2  # phoneme mode of espeak_TextToPhonemes
POS_CHARACTER = 1
RATE, VOLUME, PITCH, PITCH_RANGE = 1, 2, 3, 4  # of espeak_SetParameter
FALLBACK_VOICE = "en-us"

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _VoiceRecord(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """espeak-ng, loaded and initialized, with its voices listed by language tag."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        data = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT)
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng found no usable data in {data.decode()}")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it was seeded with the time
        self._samples = bytearray()
        self._callback = _Callback(self._collect)  # kept alive as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)
        self._voices = self._list_voices()

    def answer(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the header of the answer and the samples."""
        tags = [tag for tag in request["voices"] if tag in self._voices]
        voice = tags[0] if tags else FALLBACK_VOICE
        name = self._voices[voice]
        if request["variant"]:
            name += "+" + request["variant"]
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise OSError(f"espeak-ng has no voice {name}")
        written = str(request["text"]).replace("\0", " ")
        sounds = request.get("sounds", ())
        if sounds:
            self._synthesize(b" ", PHONEMES)  # sets the mode that phonemes are read in, too
            written = self._spelled(written, sounds)
        text = written.encode()
        phonemes = self._phonemes(text) if request["wants_phonemes"] else ""
        pcm = b"" if request["wants_phonemes"] else self._speak(text, request)
        header = {"voice": voice, "sample_rate": self.sample_rate, "phonemes": phonemes}
        return header | {"bytes": len(pcm)}, pcm

    def _speak(self, text: bytes, request: Mapping[str, Any]) -> bytes:
        parameters = {
            RATE: request["rate_wpm"],
            VOLUME: 100,
            PITCH: request["pitch"],
            PITCH_RANGE: request["pitch_range"],
        }
        for parameter, value in parameters.items():
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples.clear()
        self._synthesize(text, PHONEMES if request.get("sounds") else 0)
        return bytes(self._samples)

    def _synthesize(self, text: bytes, flags: int) -> None:
        size = ctypes.c_size_t(len(text) + 1)
        if self._library.espeak_Synth(text, size, 0, POS_CHARACTER, 0, UTF8 | flags, None, None):
            raise OSError("espeak-ng could not speak the text")

    def _spelled(self, text: str, sounds: Sequence[Sequence[Sequence[str]]]) -> str:
        """Put words in symbols that the voice has where they belong."""
        first, *parts = text.split(PLACE)
        words = ["".join(self._symbol(choices) for choices in word) for word in sounds]
        return first + "".join(f"[[{word}]]{part}" for word, part in zip(words, parts, strict=True))

    def _symbol(self, choices: Sequence[str]) -> str:
        """Return the first that the voice has: espeak-ng says nothing of others."""
        if not choices[0].strip("',:|"):
            return choices[0]
        known = (each for each in choices if self._phonemes(f"[[{each}]]".encode()).strip())
        return next(known, "")

    def _phonemes(self, text: bytes) -> str:
        buffer = ctypes.create_string_buffer(text)
        at = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        while at.value:  # moved on by one clause at each call, null after the last
            clauses.append(self._library.espeak_TextToPhonemes(ctypes.byref(at), UTF8, IPA))
        return " ".join(clause.decode() for clause in clauses if clause)

    def _collect(self, samples: Any, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._samples.extend(ctypes.string_at(samples, 2 * count))
        return 0

    def _list_voices(self) -> dict[str, str]:
        voices: dict[str, tuple[int, str]] = {}
        records = self._library.espeak_ListVoices(None)
        index = 0
        while records[index]:
            record = records[index].contents
            identifier = record.identifier.decode()
            for priority, tag in _languages(record.languages):
                best = voices.get(tag)
                if best is None or (priority, identifier) < best:
                    voices[tag] = (priority, identifier)
            index += 1
        return {tag: identifier for tag, (_, identifier) in voices.items()}


def _languages(address: int) -> list[tuple[int, str]]:
    """Read the pairs of a priority byte and a zero-terminated tag that a zero byte ends."""
    languages = []
    while (priority := ctypes.string_at(address, 1)[0]) != 0:
        tag = ctypes.string_at(address + 1)
        languages.append((priority, tag.decode().lower()))
        address += len(tag) + 2
    return languages


def _read_request(stdin: BinaryIO) -> dict[str, Any] | None:
    head = stdin.read(4)
    if len(head) < 4:
        return None
    body = stdin.read(int.from_bytes(head, "big"))
    return json.loads(body)


def _write_answer(stdout: BinaryIO, header: Mapping[str, Any], pcm: bytes) -> None:
    body = json.dumps(header).encode()
    stdout.write(len(body).to_bytes(4, "big") + body + pcm)
    stdout.flush()


def _answer_in_fork(espeak: Espeak, request: Mapping[str, Any], stdout: BinaryIO) -> bool:
    """Return whether the child spoke and wrote its answer."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _write_answer(stdout, *espeak.answer(request))
            status = 0
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        os.write(2, f"espeak-ng was ended by signal {os.WTERMSIG(status)}\n".encode())
    return status == 0


def main() -> int:
    """Answer requests until stdin ends; the exit status is 0 unless speaking failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that owns this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints must not come between the answers
    espeak = Espeak()
    while (request := _read_request(sys.stdin.buffer)) is not None:
        if not _answer_in_fork(espeak, request, answers):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

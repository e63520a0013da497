#!/usr/bin/env bash
# espeak-ng 1.52.0 as espeakng-loader 0.2.4 ships it, Python 3.11, Linux x86-64
#
# espeak-ng takes phonemes in double brackets within a text ("the name is [[S@v'O:n]] here"), which is how a story says a
# name its own way. `espeak_Synth` reads them so where its flags say espeakPHONEMES. `espeak_TextToPhonemes`, with which
# one asks what will be said (to estimate its length, or to check a reading), has no such flag. Whether it reads the
# brackets is decided by the flags of whatever was *synthesized last*: before anything was, it spells their content out,
# letter by letter; after a line with phonemes it reads them; after a line without, it spells again. So what a program is
# told of one line depends on the line that it spoke before.
#
# Whoever asks for phonemes says something (a word is enough) with espeakPHONEMES first, each time after a line without.
#
# Output seen on 2026-12-01:
#   at first: ðə nˈeɪm ɪz ˈɛs æt vˈiːˈoʊ kˈoʊlən ˈɛn hˈɪɹ
#   after a word with espeakPHONEMES: ðə nˈeɪm ɪz ʃəvˈɔːn hˈɪɹ
#   after a word without: ðə nˈeɪm ɪz ˈɛs æt vˈiːˈoʊ kˈoʊlən ˈɛn hˈɪɹ
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check espeakng-loader==0.2.4
"$folder/env/bin/python" - <<'PYTHON'
import ctypes

import espeakng_loader

SYNCHRONOUS, UTF_8, IPA, PHONEMES = 2, 1, 2, 0x100
TEXT = "the name is [[S@v'O:n]] here"
espeak = ctypes.CDLL(espeakng_loader.get_library_path())
espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
espeak.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
espeak.espeak_SetVoiceByName(b"en-us")
heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(lambda *_: 0)
espeak.espeak_SetSynthCallback(heard)


def phonemes_of(text: str) -> str:
    """Return what espeak-ng says that it would say."""
    rest = ctypes.c_char_p(text.encode())
    said = []
    while rest.value is not None:
        said.append((espeak.espeak_TextToPhonemes(ctypes.byref(rest), UTF_8, IPA) or b"").decode())
    return " ".join(said)


def say(word: bytes, flags: int) -> None:
    """Synthesize a word and drop its samples."""
    espeak.espeak_Synth(word, len(word) + 1, 0, 0, 0, flags, None, None)


seen = [phonemes_of(TEXT)]
print("at first:", seen[-1])
say(b"hello", UTF_8 | PHONEMES)
seen.append(phonemes_of(TEXT))
print("after a word with espeakPHONEMES:", seen[-1])
say(b"hello", UTF_8)
seen.append(phonemes_of(TEXT))
print("after a word without:", seen[-1])
assert "ʃ" not in seen[0] and "ʃ" in seen[1] and seen[2] == seen[0]
PYTHON
echo "as seen"

"""IPA in espeak-ng's own symbols for sounds, which every one of its languages has some of."""

import unicodedata
from collections.abc import Sequence

# Symbols of espeak-ng by IPA, best first: a language has no more than one of some of them.
MNEMONICS: dict[str, tuple[str, ...]] = {
    **{letter: (letter,) for letter in "pbtdkfvszhmnljwiueoa"},
    "h": ("h", "x"), "w": ("w", "v"), "z": ("z", "s"), "v": ("v", "w"),
    "ɡ": ("g",), "g": ("g",), "ʃ": ("S", "s"), "ʒ": ("Z", "z"), "θ": ("T", "s"), "ð": ("D", "d"),
    "ŋ": ("N", "n"), "x": ("x", "h"), "ç": ("C", "x", "S"), "ɲ": ("n^", "nj"), "ʎ": ("l^", "lj"),
    "ɹ": ("r",), "r": ("R", "r"), "ʁ": ("r",), "ɾ": ("*", "r"), "ʔ": ("?",), "ɣ": ("Q", "g"),
    "β": ("B", "b"), "ɸ": ("F", "f"), "χ": ("X", "x"), "q": ("q", "k"), "c": ("c", "k"), "ɟ": ("J", "g"),
    "ʋ": ("v#", "v"), "ɫ": ("l",), "ɬ": ("l",), "ʂ": ("s.", "S"), "ʐ": ("z.", "Z"), "ʈ": ("t.", "t"),
    "ɖ": ("d.", "d"), "ɳ": ("n.", "n"), "ɭ": ("l.", "l"), "ɕ": ("S;", "S"), "ʑ": ("Z;", "Z"),
    "tʃ": ("tS", "ts"), "dʒ": ("dZ", "dz"), "ts": ("ts",), "dz": ("dz",),
    "ɪ": ("I", "i"), "ɛ": ("E", "e"), "æ": ("a", "E"), "ɑ": ("A", "A:", "a"), "ɒ": ("0", "O", "o"),
    "ɔ": ("O", "o"), "ʊ": ("U", "u"), "ʌ": ("V", "a"), "ə": ("@", "e"), "ɜ": ("3", "@", "E", "e"),
    "ɐ": ("V", "a"), "y": ("y", "u"), "ø": ("Y", "3:", "e"), "œ": ("W", "3:", "E", "e"), "ɨ": ('i"', "i"),
    "ʉ": ("u",), "ɯ": ("u-", "u"), "ɤ": ("o-", "V", "o"), "ɘ": ("@", "e"), "ɵ": ("o",),
    "ɝ": ("3:", "@", "e"), "ɚ": ("3", "@", "e"),
    "iː": ("i:", "i"), "uː": ("u:", "u"), "ɑː": ("A:", "a:", "a"), "ɔː": ("O:", "o:", "o"),
    "eː": ("e:", "e"), "oː": ("o:", "o"), "aː": ("a:", "A:", "a"), "ɜː": ("3:", "W", "@", "e"),
    "ɛː": ("E:", "E", "e"), "yː": ("y:", "y", "u"), "øː": ("Y:", "Y", "e"),
    "aɪ": ("aI", "ai"), "eɪ": ("eI", "ei"), "ɔɪ": ("OI", "oi"), "aʊ": ("aU", "au"),
    "oʊ": ("oU", "@U", "o"), "əʊ": ("@U", "oU", "o"),
    "ɛ̃": ("E~", "e~", "E", "e"), "ɑ̃": ("A~", "a"), "ɔ̃": ("O~", "o~", "o"), "ã": ("a~", "a"), "œ̃": ("W~", "E~", "e"),
    "ˈ": ("'",), "ˌ": (",",), "ː": (":",), " ": ("||",),
}  # fmt: skip
_LONGEST = max(map(len, MNEMONICS))
_NOT_HEARD = frozenset("ˑ.‿̩̯̃͡ʰʲʷ")


def mnemonics(ipa: str) -> list[Sequence[str]]:
    """Return espeak-ng's symbols for each sound, best first.

    Args:
        ipa: without slashes, of the symbols that `lexicon.py` knows.
    """
    rest = unicodedata.normalize("NFD", ipa).replace("͡", "")
    spelled: list[Sequence[str]] = []
    while rest:
        for length in range(min(_LONGEST, len(rest)), 0, -1):
            known = MNEMONICS.get(rest[:length]) or MNEMONICS.get(
                unicodedata.normalize("NFC", rest[:length])
            )
            if known:
                spelled.append(known)
                break
        else:
            length = 1  # a mark that no voice makes heard
        rest = rest[length:]
    return spelled

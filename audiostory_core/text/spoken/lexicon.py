"""Readings of a story: how its author wants names and words to be spoken.

A reading is a spelling that a voice of the story's language reads as meant ("shi-VAWN"), or IPA
between slashes ("/ʃɪˈvɔːn/"). It holds for whole words. A name with a capital is spoken so as it is
written and in capitals throughout, a name without one in any case.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

LONGEST_NAME = 100  # characters
LONGEST_READING = 200
MOST_READINGS = 1000  # of a story
IPA = "pbtdkɡgfvszhmnljwʃʒθðŋxçɲʎɹrʁɾʔɣβɸχqcɟʋɫɬʂʐʈɖɳɭɕʑiɪeɛæaɑɔoʊuʌəɜɐyøœɨʉɯɒɤɘɵɝɚˈˌːˑ.‿̩̯̃͡ʰʲʷ "
_FIRST_PLACE = "\ue000"
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def check_readings(readings: Mapping[str, str]) -> Mapping[str, str]:
    """Return the readings, normalized.

    Args:
        readings: by the words that they are of.

    Raises:
        ValueError: naming the word, what is wrong with it and the remedy.
    """
    if len(readings) > MOST_READINGS:
        raise ValueError(f"has {len(readings):,} readings; the most is {MOST_READINGS:,}")
    return {
        unicodedata.normalize("NFC", name): _checked(name, unicodedata.normalize("NFC", reading))
        for name, reading in readings.items()
    }


def _checked(name: str, reading: str) -> str:
    if not any(map(str.isalnum, name)) or len(name) > LONGEST_NAME or name != name.strip():
        raise ValueError(
            f"“{name[:LONGEST_NAME]}” is no word; give one of 1 to {LONGEST_NAME} characters, "
            "without spaces around it"
        )
    if not reading.strip() or len(reading) > LONGEST_READING:
        raise ValueError(
            f"the reading of “{name}” has {len(reading):,} characters; give 1 to {LONGEST_READING}, "
            "such as shi-VAWN or /ʃɪˈvɔːn/"
        )
    if not is_ipa(reading):
        strange = re.search(r"[/\[\]<>{}\x00-\x1f]", reading)
        if strange or not any(map(str.isalnum, reading)):
            shown = strange[0] if strange else reading
            raise ValueError(
                f"the reading of “{name}” has “{shown}”; write letters, as in shi-VAWN, or IPA "
                "between two slashes, as in /ʃɪˈvɔːn/"
            )
        return reading
    symbols = unicodedata.normalize("NFD", reading[1:-1])
    unknown = next((symbol for symbol in symbols if symbol not in _KNOWN), None)
    if unknown is not None or not symbols.strip(" ˈˌː."):
        shown = unknown or reading
        raise ValueError(
            f"the reading of “{name}” has “{shown}”, which is no symbol of the IPA that voices "
            "know; use others, or write it in letters, as in shi-VAWN"
        )
    return reading


_KNOWN = frozenset(unicodedata.normalize("NFD", IPA))


def is_ipa(reading: str) -> bool:
    """Tell whether a reading is in IPA."""
    return len(reading) > 2 and reading[0] == reading[-1] == "/"


def heard_in(readings: Mapping[str, str], words: str) -> dict[str, str]:
    """Return the readings of the words that a text has."""
    if not readings:
        return {}
    names = {match[0] for match in _pattern(tuple(sorted(readings))).finditer(words)}
    return {name: readings[name] for name in sorted({_key(readings, name) for name in names})}


def hide(text: str, readings: Mapping[str, str]) -> tuple[str, list[str]]:
    """Put a place in private characters where a reading stands, and return the readings in order.

    A place looks like a name to whatever reads the rest of the text.
    """
    text = re.sub("[\ue000-\uf8ff]", " ", text)
    spoken: list[str] = []

    def place(match: re.Match[str]) -> str:
        spoken.append(readings[_key(readings, match[0])])
        return _FIRST_PLACE

    return _pattern(tuple(sorted(readings))).sub(place, text), spoken


def show(text: str, spoken: list[str]) -> str:
    """Put the readings where `hide` took their words."""
    parts = text.split(_FIRST_PLACE)
    return parts[0] + "".join(
        reading + part for reading, part in zip(spoken, parts[1:], strict=True)
    )


def _key(readings: Mapping[str, str], match: str) -> str:
    if match in readings:
        return match
    folded = match.casefold()
    return next(
        name
        for name in readings
        if (match.isupper() and name.upper() == match)
        or (name == name.lower() and name.casefold() == folded)
    )


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    choices = []
    for name in sorted(names, key=len, reverse=True):
        word = re.escape(name)
        word = f"(?i:{word})" if name == name.lower() else f"(?:{word}|{re.escape(name.upper())})"
        choices.append(word if _UNSPACED.search(name) else rf"(?<!\w){word}(?!\w)")
    return re.compile("|".join(choices))

"""Words that only say where, when or in what mood a scene plays: "Later that day.", "Night."."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_HEADING = re.compile(
    r"\s*(?:#+\s|\.(?=\w)|(?:INT|EXT|EST|INNEN|AUSSEN|AUßEN|I/E)\b[./ ]|[内內外]景)\s?\S"
)
_LONGEST = 120  # characters; longer texts tell more than that
_WORD = re.compile(r"[^\W\d_]+")
_WIDE = ("zh", "ja")


def is_scenery(text: str, language: str) -> bool:
    """Say whether a text is the heading of a scene, or names a time, a place or a mood alone.

    Args:
        text: one line.
        language: BCP 47 tag; of an unknown one all are tried.
    """
    if len(text) > _LONGEST:
        return False
    if _HEADING.match(text):
        return "—" not in text and "\n" not in text.strip()
    primary = language.partition("-")[0].lower()
    tables = _tables()
    if primary in tables:
        return _is_of(text, primary)
    return primary == "und" and any(_is_of(text, known) for known in tables)


def _is_of(text: str, language: str) -> bool:
    known, idle = _tables()[language]
    lowered = text.lower()
    if language in _WIDE:
        rest = known.sub("", lowered)
        return rest != lowered and not any(c.isalpha() for c in idle.sub("", rest))
    words = [word for word in _WORD.findall(lowered) if not idle.fullmatch(word)]
    return bool(words) and all(known.fullmatch(word) for word in words)


@cache
def _tables() -> Mapping[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    content = tomllib.loads((files(__package__) / "scenery.toml").read_text("utf-8"))
    return {
        language: (re.compile(entry["words"]), re.compile(entry["idle"]))
        for language, entry in content.items()
    }

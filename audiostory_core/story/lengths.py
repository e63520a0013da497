"""How long words take to say, and how long an event lasts if its author does not say."""

import re

from audiostory_core.story.pace import SLOW, UNKNOWN, seconds_to_say

BREATH_S = 0.4  # after a line
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_WIDE_A_WORD = 2  # characters


def spoken_s(words: str, language: str = UNKNOWN) -> float:
    """Return about how long the words take to say, in a voice that may be slow, and a breath."""
    return SLOW * seconds_to_say(words, language) + BREATH_S


def natural_s(words: int, *, lasting: bool, spoken: float) -> float:
    """Return the natural length of an event, from its content.

    Args:
        words: their number.
        lasting: whether a bed or music is heard in it.
        spoken: seconds of speech in it.
    """
    content_s = min(3.5 + 0.6 * words + (2.0 if lasting else 0.0), 12.0)
    return max(content_s, spoken + 2.0) if spoken else content_s


def words_in(text: str) -> int:
    """Return how many words a text has; two characters of Chinese or Japanese are about one."""
    wide = len(_WIDE.findall(text))
    return len(_WORD.findall(_WIDE.sub(" ", text))) + -(-wide // _WIDE_A_WORD)

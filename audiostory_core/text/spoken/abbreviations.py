"""Abbreviations, lone signs and addresses on the Internet in words."""

import re
from collections.abc import Mapping

from audiostory_core.text.spoken.tongue import Tongue

_ENDS_SENTENCES = re.compile(r"\s*$|\s+[\"“”«»’')]*[A-ZÀ-ÞА-Я]|[\"”»’')]")
_ADDRESS = re.compile(
    r"(?<![\w@])(?P<user>[\w.+-]{1,64})@(?P<host>[\w-]{1,63}(?:\.[\w-]{1,63}){1,5})"
    r"|(?<![\w.@])(?:https?://)?(?P<site>(?:[\w-]{1,63}\.){1,5}"
    r"(?:com|org|net|edu|gov|info|de|fr|es|it|pl|nl|ru|uk|io|eu|br))(?![\w.-]*\w)(?P<path>(?:/[\w-]+)*)/?"
)
_SIGN = re.compile(
    r"(?<=\s)([+=×÷&≈≠<>±])(?=\s)|(?<=\w)(&)(?=\w)|(?<=\d)\s?([%‰])|(?<!\S)(@)(?=\w)"
)
_NUMBERED = re.compile(r"\d[A-Za-z]?\s(?:[^\W\d_]{1,20}\.?\s){1,3}$")
_POWER = re.compile(r"(?<=[^\W_])\^(\d{1,3})")


class Abbreviations:
    """Writes the abbreviations of one language out.

    Args:
        tongue: the language.
    """

    def __init__(self, tongue: Tongue) -> None:
        self._tongue = tongue
        name = r"(?=\s?(?:[A-ZÀ-ÞА-Я][\w’']|\ue000))"  # a hidden word is a name
        figure = r"(?=\s?[\dIVXLC#])"
        self._after = _pattern(tongue.after_names, r"(?<=[^\W_]\s)", "")
        self._before = _pattern(tongue.before_names, r"(?<![\w.])", name)
        self._figure = _pattern(tongue.before_figures, r"(?<![\w.])", figure)
        self._final = _pattern(tongue.final, r"(?<![\w.])", "")
        self._plain = _pattern(tongue.abbreviations, r"(?<![\w.])", "")

    def spoken(self, text: str) -> str:
        """Return the text with its abbreviations and lone signs in words."""
        tongue = self._tongue
        if (
            "." in text
            or "№" in text
            or re.search(r"\b(?:Mrs?|[DMS]rs?|St|Mt|vs|Mmes?|Mlles?)\b", text)
            or "/" in text
        ):
            text = _written_out(self._figure, tongue.before_figures, text)
            text = self._streets(text)
            text = _written_out(self._before, tongue.before_names, text)
            text = _written_out(self._plain, tongue.abbreviations, text)
            text = _written_out(self._final, tongue.final, text, may_end=True)
        return text

    def signs(self, text: str) -> str:
        """Return the text with its addresses and lone signs in words."""
        if "@" in text or "." in text:
            text = _ADDRESS.sub(self._address, text)
        text = _POWER.sub(lambda power: f" {self._tongue.word('power')} {power[1]}", text)
        return _SIGN.sub(self._sign, text)

    def _streets(self, text: str) -> str:
        """Write out what follows a name and no other name follows."""

        def street(match: re.Match[str]) -> str:
            following = re.match(
                r"\s+([^\W\d_][\w’']*)", match.string[match.end() : match.end() + 40]
            )
            before = re.search(
                r"([^\W\d_][\w’']*)\s$", match.string[max(0, match.start() - 40) : match.start()]
            )
            is_name_before = before is not None and before[1][0].isupper()
            begins_name = (
                following is not None
                and following[1][0].isupper()
                and following[1].lower() not in _SENTENCE_WORDS
            )
            is_numbered = _NUMBERED.search(match.string[max(0, match.start() - 40) : match.start()])
            if not is_name_before or (begins_name and not is_numbered):
                return match[0]
            ends = match[0].endswith(".") and _ENDS_SENTENCES.match(match.string, match.end())
            return self._tongue.after_names[match[0]] + ("." if ends else "")

        return self._after.sub(street, text) if self._tongue.after_names else text

    def _address(self, match: re.Match[str]) -> str:
        words = self._tongue.word
        dot = f" {words('dot') or words('point')} "
        if match["site"]:
            path = match["path"].replace("/", f" {words('slash')} " if words("slash") else " ")
            return match["site"].replace(".", dot) + path
        parts = [match["user"].replace(".", dot), words("at"), match["host"].replace(".", dot)]
        return " ".join(parts).replace("_", " ")

    def _sign(self, match: re.Match[str]) -> str:
        sign = next(filter(None, match.groups()))
        if sign == "@":
            return f"{self._tongue.word('at')} "
        said = self._tongue.signs.get(sign)
        if said is None:
            return match[0]
        return said if match[1] else f" {said} "[: None if match[2] else -1]


_SENTENCE_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "but",
        "he",
        "her",
        "his",
        "i",
        "in",
        "is",
        "it",
        "no",
        "nobody",
        "on",
        "she",
        "so",
        "that",
        "the",
        "then",
        "there",
        "they",
        "this",
        "we",
        "what",
        "when",
        "where",
        "who",
        "why",
        "yes",
        "you",
    ]
)


def _pattern(words: Mapping[str, str], before: str, after: str) -> re.Pattern[str]:
    listed = sorted(words, key=len, reverse=True)
    choices = "|".join(
        re.escape(word).replace(r"\ ", r"[ \u00a0\u202f]?")
        + ("" if word.endswith(".") else r"(?![\w.])")
        for word in listed
    )
    return re.compile(rf"{before}(?:{choices or '(?!)'}){after}")


def _written_out(
    pattern: re.Pattern[str], words: Mapping[str, str], text: str, *, may_end: bool = False
) -> str:
    """Write out what matches; what may end a sentence leaves it the full stop."""
    if not words:
        return text
    said = {re.sub(r"\s", "", word): spoken for word, spoken in words.items()}

    def write(match: re.Match[str]) -> str:
        spoken = said[re.sub(r"\s", "", match[0])]
        ends = match[0].endswith(".") and _ENDS_SENTENCES.match(match.string, match.end())
        is_last = ends and not match.string[match.end() :][:2].strip()
        return f"{spoken}." if ends and (may_end or is_last) else spoken

    return pattern.sub(write, text)

"""Spoken lines that an author wants changed, added, or said another way."""

import re
from collections.abc import Sequence

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.speech import find_quotes, voice_of
from audiostory_core.story.plan import Layer, SpeechLayer, SubEvent

_LINE_IS = re.compile(
    r"(?:please )?(?:(?:change|set|make|replace|rewrite)\s+)?(?P<who>(?:the|\w+['’]s)\s+)?"
    r"(?:line|words|dialogue|speech)\s*(?:to|with|into|should be|must be|say|:)\s*(?P<words>.+)",
    re.IGNORECASE | re.DOTALL,
)
_SAYS = re.compile(
    r"(?:(?:make|let|have)\s+)?(?P<who>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)?)\s+"
    r"(?:should\s+|must\s+)?(?P<verb>says?|whispers?|shouts?|asks?|answers?|yells?|mutters?)"
    r"[:,]?\s+(?P<words>.+)",
    re.DOTALL,
)
_OLD_LINE = re.compile(
    r"\b(?:the|\w+['’]s)\s+(?:line|words)\b|台词|セリフ|réplique|Zeile|frase", re.IGNORECASE
)
_MARKS = ' \t"“”„«»「」'


def changed_line(event: SubEvent, change: str, language: Language, says: str) -> SubEvent | None:
    """Return the sub-event with the line that a change gives; None if it gives none.

    Args:
        event: as it is.
        change: such as `Anna says "Come in."` or `change the line to "Stop!"`.
        language: of the story.
        says: how a caption puts who says what, with {speaker} and {words}.

    Raises:
        BadInput: if several lines may be meant.
    """
    requested = _requested_line(change, language)
    if requested is None:
        return None
    speaker, manner, words, is_old = requested
    lines = [layer for layer in event.layers if isinstance(layer, SpeechLayer)]
    known = [line for line in lines if speaker and _same(line.speaker, speaker)]
    meant = known if speaker else lines
    if len(meant) > 1:
        quoted = ", ".join(f"“{line.words}”" for line in meant)
        raise BadInput("change", change, f"could mean any of {quoted}", "Edit the line itself.")
    if meant:
        return _with_words(event, meant[0], words, manner)
    if is_old:
        raise BadInput(
            "change", change, "names a line that nobody says in the scene",
            'Say who speaks, as in: Anna says "…".',
        )  # fmt: skip
    line = SpeechLayer(words=words, speaker=speaker, manner=manner)
    spoken = says.format(speaker=speaker, words=words) if speaker else f"“{words}”"
    caption = f"{event.caption.rstrip(' .。')}. {spoken}"
    return _rewritten(event, caption, [*event.layers, line])


def _requested_line(
    change: str, language: Language
) -> tuple[str | None, str | None, str, bool] | None:
    """Return speaker, manner, words, and whether a line that is there is meant."""
    quotes = find_quotes(change)
    line_is, says = _LINE_IS.fullmatch(change.strip()), _SAYS.fullmatch(change.strip())
    if quotes:
        last = quotes[-1]
        words = change[slice(*last.inner)].strip()
        voice = voice_of(change, last, language)
        speaker = voice.speaker if voice else None
        manner = voice.manner if voice else None
        if says:
            speaker, manner = says["who"], _manner(says["verb"], language)
        owner = line_is["who"] if line_is else None
        if line_is:
            speaker = _owner(owner)
        is_old = bool(line_is) or bool(_OLD_LINE.search(change[: last.start])) or not speaker
        return speaker, manner, words, is_old
    if line_is:
        return _owner(line_is["who"]), None, line_is["words"].strip(_MARKS), True
    if says:
        manner = _manner(says["verb"], language)
        return says["who"], manner, says["words"].strip(_MARKS), False
    return None


def _owner(who: str | None) -> str | None:
    if who is None or who.strip().lower() == "the":
        return None
    return re.sub(r"['’]s\s*$", "", who.strip())


def _manner(verb: str, language: Language) -> str | None:
    third = verb if verb.endswith("s") else f"{verb}s"
    return language.speech_verbs.get(third) or None


def _same(name: str | None, other: str) -> bool:
    return name is not None and name.casefold() == other.casefold()


def _with_words(event: SubEvent, line: SpeechLayer, words: str, manner: str | None) -> SubEvent:
    changed = line.model_copy(update={"words": words, "manner": manner or line.manner})
    layers = [changed if layer is line else layer for layer in event.layers]
    caption = event.caption
    bare = line.words.strip(" .。")
    if line.words in caption:
        caption = caption.replace(line.words, words, 1)
    elif bare and bare in caption:
        caption = caption.replace(bare, words, 1)
    else:
        caption = f"{caption.rstrip(' .。')}. “{words}”"
    return _rewritten(event, caption, layers)


def _rewritten(event: SubEvent, caption: str, layers: Sequence[Layer]) -> SubEvent:
    return event.model_copy(update={"caption": caption, "layers": tuple(layers)})

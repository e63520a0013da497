"""The outer form of an instruction: headings, list items, lines of dialogue, paragraphs."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from audiostory_core.manuscript.dashes import DashTurn, read_dashes
from audiostory_core.manuscript.dialogue import read_speech
from audiostory_core.manuscript.elements import Cue, Element, Line, Pause, Span
from audiostory_core.manuscript.labels import NO_SPEAKERS, sound_of
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.screenplay import (
    HEADING,
    TRANSITION,
    Speech,
    centered_dialogue,
    may_be_name,
)
from audiostory_core.planners.clauses.speech import Voice, manner_in

_LINE = re.compile(r"[^\s][^\n\r\u2028\u2029]*")
SCENE = (
    r"(?:scene|act|part|step|shot|escena|parte|paso|scène|partie|étape|szene|teil|schritt|scena|cena"
    r"|场景|場景|第|シーン)\s{0,2}[\d一二三四五六七八九十]{1,3}\s{0,2}[幕场場章]?\s{0,2}[:.)：、]\s?"
)
_SCENE_OPENS = re.compile(rf"\s*{SCENE}\s*", re.IGNORECASE)
_MARKER = re.compile(
    r"\s*(?:\(?\d{1,3}[.)、）](?!\d)|\(\d{1,3}\)|[①-⑳]|[-*•·‣▪–—]\s+(?=\S)|\(?[a-zA-Z]\)\s"
    rf"|{SCENE})\s*",
    re.IGNORECASE,
)
_INLINE_SCENE = re.compile(rf"(?<=[.!?;,。！？；，…\s]){SCENE}\s*(?=\S)", re.IGNORECASE)
_INLINE = re.compile(r"(?:(?<=\s)|(?<=[。；，,;]))\(?(\d{1,3})[.)、）](?=\s|[^\W\d])|[①-⑳]")
_CUE = re.compile(
    r"\s*(?P<name>[^\n:：()（）\[\]\"“「]{1,40}?)\s{0,3}(?:[(（](?P<manner>[^)）\n]{1,60})[)）])?"
    r"\s{0,3}[:：](?!\d)\s*(?=\S)"
)
_TURN = re.compile(
    r"(?:(?<=[.!?…。！？；”\"»])|(?<=[.!?…;；”\"»]\s))(?P<name>[^\W\d_][^\n:：.!?,;()。！？，；“”\"]{0,24}?)"
    r"\s?(?:[(（][^)）\n]{1,40}[)）]\s?)?[:：](?!\d)\s*(?=\S)"
)
_HOW = re.compile(r"(?P<name>[^,，]{1,30}),\s*(?P<how>[^,，]{1,30})")
_TITLED = re.compile(r"(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Sra|M|Mme)\.\s")
_TITLE_BEFORE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Sra|M|Mme)\.\s?$")
_QUOTES = "\"'“„«‹‘"
_LONGEST_WIDE = 4  # characters of a name in Chinese or Japanese
_TERMINAL = re.compile(r"[.!?:;。！？：；…][\"”»」』)]?\s*$")
_WRAPPED = 50  # characters; a shorter line was ended on purpose


class Form(StrEnum):
    """What a block is."""

    PROSE = "prose"
    ITEM = "item"  # of a list
    HEADING = "heading"  # "INT. LIGHTHOUSE - NIGHT": the setting of what follows
    DIALOGUE = "dialogue"  # "KEEPER (whispering): …"


@dataclass(frozen=True)
class Block:
    """A run of text that no event crosses."""

    start: int
    end: int
    form: Form = Form.PROSE
    marker: tuple[int, int] | None = None  # "2." or "SFX:", words for the planner
    label: str | None = None  # kind of layer that a marker such as "SFX:" asks for
    voice: Voice | None = None  # of dialogue
    words_start: int = 0  # of dialogue: where the spoken words begin
    opens_scene: bool = False  # "Scene 2: …": elsewhere than what was before
    spoken: tuple[Span, ...] = ()  # of dialogue whose words are parted by who says them
    pause_s: float = 0.0  # a rest before the words of dialogue
    scene: int = 0  # which numbered line it is part of; 0: none


def read_blocks(text: str, language: Language) -> list[Block]:
    """Part a text into blocks, in order; together they hold all that is not white space."""
    lines = [(m.start(), m.end()) for m in _LINE.finditer(text)]
    speakers = _speakers(text, lines, language)
    centered = centered_dialogue(text, lines, language)
    dashes = read_dashes(text, lines)
    blocks: list[Block] = []
    opening: int | None = None  # where a "CUT TO:" begins that the next block takes along
    after_speech = 0  # line
    for number, (start, end) in enumerate(lines):
        speech = centered.get(number)
        if speech:
            after_speech = number + speech.lines
            read = [_spoken_block(speech)]
        elif number < after_speech:
            continue
        elif start in dashes:
            read = [_dash_block(dashes[start])]
        elif number + 1 < len(lines) and _goes_below(text, start, end):
            opening = start if opening is None else opening
            continue
        else:
            read = list(_line_blocks(text, start, end, language, speakers))
        if opening is not None:
            first = read[0].marker[1] if read[0].marker else read[0].start
            opens_scene = read[0].opens_scene or bool(_SCENE_OPENS.match(text, opening, first))
            read[0] = replace(read[0], marker=(opening, first), opens_scene=opens_scene)
            opening = None
        for block in read:
            if blocks and _wraps(text, blocks[-1], block):
                blocks[-1] = replace(blocks[-1], end=block.end)
            else:
                blocks.append(block)
    return [part for block in blocks for part in _parted(text, block)]


def _goes_below(text: str, start: int, end: int) -> bool:
    """Say whether a line is for the planner, and belongs to the line below: "CUT TO:", "Scene 1:"."""
    return bool(TRANSITION.fullmatch(text, start, end) or _SCENE_OPENS.fullmatch(text, start, end))


def _dash_block(turn: DashTurn) -> Block:
    voice = Voice(turn.speaker, turn.manner)
    words_start = turn.spoken[0][0]
    return Block(
        turn.start,
        turn.end,
        Form.DIALOGUE,
        voice=voice,
        words_start=words_start,
        spoken=turn.spoken,
    )


def _parted(text: str, block: Block) -> Iterator[Block]:
    """Part dialogue where a sound or a rest is asked for, or the manner changes, within it."""
    if not block.voice or block.spoken:
        yield block
        return
    speaker, manner = block.voice.speaker, block.voice.manner
    elements = list(read_speech(text, block.start, block.words_start, block.end, speaker, manner))
    if len(elements) < 2 and all(isinstance(e, Line) for e in elements):
        yield _block_of_line(block, elements[0]) if elements else block
        return
    pause_s = block.pause_s
    for element in elements:
        if isinstance(element, Pause):
            pause_s += element.seconds
        elif isinstance(element, Line):
            yield replace(_block_of_line(block, element), pause_s=pause_s)
            pause_s = 0.0
        elif isinstance(element, Cue):
            begin = element.words[0]
            yield Block(begin, element.end, Form.ITEM, (element.start, begin), element.sound)


def _block_of_line(block: Block, line: Element) -> Block:
    assert isinstance(line, Line)
    voice = replace(block.voice or Voice(), manner=line.manner)
    end = max(line.end, line.words[0] + 1)
    return replace(block, start=line.start, end=end, words_start=line.words[0], voice=voice)


def _spoken_block(speech: Speech) -> Block:
    voice = Voice(speech.name, speech.manner, "")
    form = Form.DIALOGUE
    return Block(speech.start, speech.end, form, voice=voice, words_start=speech.words_start)


def _wraps(text: str, before: Block, block: Block) -> bool:
    """Say whether a line only carries on the one before it, as in hard-wrapped text."""
    if before.form is Form.HEADING or block.form is not Form.PROSE or block.label:
        return False
    gap = text[before.end : block.start]
    if gap.count("\n") > 1 or gap.count("\r") > 1:
        return False
    last_line = text[max(before.start, before.end - 200) : before.end]
    first = text[block.start : block.start + 20].lstrip()[:1]
    long = len(last_line.rpartition("\n")[2]) >= _WRAPPED
    return long and first.islower() and not _TERMINAL.search(last_line)


def _line_blocks(
    text: str, start: int, end: int, language: Language, speakers: frozenset[str]
) -> Iterator[Block]:
    if HEADING.match(text, start, end):
        yield Block(start, end, Form.HEADING)
        return
    marker = _MARKER.match(text, start, end)
    if marker and marker.end() < end:
        begin = marker.end()
        opens_scene = bool(_SCENE_OPENS.match(text, start, end))
        first = Block(begin, end, Form.ITEM, (start, begin), opens_scene=opens_scene)
    else:
        first = Block(start, end)
    for scene in _with_inline_scenes(text, first):
        for turn in _with_turns(text, scene, language, speakers):
            yield from _with_inline_items(text, _with_cue(text, turn, language, speakers))


def _with_inline_scenes(text: str, block: Block) -> Iterator[Block]:
    """Part "Scene 1: rain. Scene 2: wind." in one line."""
    labels = [match.span() for match in _INLINE_SCENE.finditer(text, block.start, block.end)]
    if not labels:
        yield block
        return
    if text[block.start : labels[0][0]].strip():
        yield replace(block, end=labels[0][0])
    ends = [label[0] for label in labels[1:]] + [block.end]
    for (mark, begin), end in zip(labels, ends, strict=True):
        yield Block(begin, end, Form.ITEM, (mark, begin), opens_scene=True)


def _with_turns(
    text: str, block: Block, language: Language, speakers: frozenset[str]
) -> Iterator[Block]:
    """Part "They sit. Anna: Hello! Ben: Hi." in one line, where the names are known to speak."""
    cuts = [
        match.start()
        for match in _TURN.finditer(text, block.start + 1, block.end)
        if (match["name"].strip() in speakers or match["name"].strip().lower() in language.labels)
        and not _follows_title(text, block.start, match.start())
    ]
    ends = [*cuts, block.end]
    yield replace(block, end=ends[0])
    for start, end in zip(cuts, ends[1:], strict=True):
        yield Block(start, end)


def _with_inline_items(text: str, block: Block) -> Iterator[Block]:
    """Part "1. rain 2. wind" in one line; numbers must count up by one."""
    if block.form is Form.DIALOGUE:
        yield block
        return
    expected = 2 if block.form is Form.ITEM else 1
    cuts: list[tuple[int, int]] = []
    for match in _INLINE.finditer(text, block.start, block.end):
        number = int(match[1]) if match[1] else ord(match[0]) - ord("①") + 1
        if number == expected and match.end() < block.end:
            cuts.append(match.span())
            expected += 1
    if not cuts or (block.form is Form.PROSE and len(cuts) < 2):
        yield block
        return
    if text[block.start : cuts[0][0]].strip():
        yield replace(block, end=cuts[0][0])
    elif block.marker:
        cuts[0] = (block.marker[0], cuts[0][1])
    ends = [cut[0] for cut in cuts[1:]] + [block.end]
    for (mark, begin), end in zip(cuts, ends, strict=True):
        yield Block(begin, end, Form.ITEM, (mark, begin))


def _with_cue(text: str, block: Block, language: Language, speakers: frozenset[str]) -> Block:
    cue = _CUE.match(text, block.start, block.end)
    if not cue:
        return block
    name = cue["name"].strip()
    label = language.labels.get(name.lower()) or sound_of(name)
    if label:
        begin = block.marker[0] if block.marker else block.start
        return replace(block, start=cue.end(), marker=(begin, cue.end()), label=label)
    if _says(name, language):
        return _with_saying(text, block, cue, name, language)
    if name not in speakers and not _is_cue(cue, language):
        return block
    manner = cue["manner"].strip() if cue["manner"] else manner_in(name, language)
    how = _HOW.fullmatch(name)
    if how and how["name"].upper() == how["name"]:  # "BEN, shouting: …"
        name, manner = how["name"], how["how"]
    voice = Voice(name, manner, "")
    return replace(block, form=Form.DIALOGUE, voice=voice, words_start=cue.end())


def _with_saying(
    text: str, block: Block, cue: re.Match[str], name: str, language: Language
) -> Block:
    """Read "Bob whispers: be quiet"; where a quote follows, it is read with the prose around it."""
    speaker, _, verb = name.rpartition(" ")
    if text[cue.end()] in _QUOTES or not speaker[0].isupper():
        return block
    voice = Voice(speaker, language.speech_verbs[verb] or None, "")
    return replace(block, form=Form.DIALOGUE, voice=voice, words_start=cue.end())


def _says(name: str, language: Language) -> bool:
    """Say whether the words before a colon are somebody and what he does: "Bob whispers"."""
    words = name.split()
    is_sentence = language.spaced and len(words) > 1 and "," not in name
    return is_sentence and words[-1] in language.speech_verbs


def _is_cue(cue: re.Match[str], language: Language) -> bool:
    """Say whether a line's opening is a speaker by its form alone."""
    name = cue["name"].strip()
    if not may_be_name(name, language):
        return False
    how = _HOW.fullmatch(name)
    name = how["name"] if how else name
    if cue["manner"]:
        return not any(letter.isdigit() for letter in cue["manner"])
    return name.upper() == name and name.lower() != name


def _speakers(text: str, lines: list[tuple[int, int]], language: Language) -> frozenset[str]:
    """Return names that open lines as "Anna: …": known, titled, or of more than one such line."""
    names: Counter[str] = Counter()
    for name in _opening_names(text, lines):
        short = len(name) <= 6 if not language.spaced else len(name.split()) <= 2
        named = short and (name[0].isupper() or name.upper() == name.lower())
        if named and may_be_name(name, language) and not _says(name, language):
            names[name] += 1
    known = {name for name in names if name.lower() in language.speaker_nouns}
    repeated = {name for name, count in names.items() if count > 1}
    cased = {name for name in names if name[0].isupper()} if len(names) > 1 else set()
    titled = {name for name in names if _TITLED.match(name)}
    wide = {name for name in names if len(name) <= _LONGEST_WIDE and sound_of(name) is None}
    if len(wide) == 1:
        wide = {name for name in wide if _is_said_alone(text, lines, name, language)}
    others = wide if not language.spaced else set()
    return frozenset(known | repeated | cased | others | titled)


def _is_said_alone(text: str, lines: list[tuple[int, int]], name: str, language: Language) -> bool:
    """Say whether the one short name of a text opens a line that ends as speech does."""
    if name in NO_SPEAKERS or any(word in name for word in language.ambience | language.music):
        return False
    cues = (_CUE.match(text, start, end) for start, end in lines)
    ends = (
        text[start:end].rstrip()[-1]
        for cue, (start, end) in zip(cues, lines, strict=True)
        if cue and cue["name"].strip() == name
    )
    return next(ends, "") in "。！？!?…"


def _follows_title(text: str, start: int, at: int) -> bool:
    """Say whether a name stands behind "Mr." and the like, and so begins before it."""
    return bool(_TITLE_BEFORE.search(text[max(start, at - 6) : at]))


def _opening_names(text: str, lines: list[tuple[int, int]]) -> Iterator[str]:
    for start, end in lines:
        cue = _CUE.match(text, start, end)
        if cue:
            yield cue["name"].strip()
        for turn in _TURN.finditer(text, start + 1, end):
            if not _follows_title(text, start, turn.start()):
                yield turn["name"].strip()

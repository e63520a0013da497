"""From text to clauses: where one event ends and the next begins.

Every cut is a position in the instruction, so that clauses put side by side give it back.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from audiostory_core.planners.clauses.blocks import Block, Form
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.words import Hole, Token, is_event_verb, overlapping, tokenize

LONGEST_CLAUSE = 2_000  # characters; longer runs are cut at white space, else anywhere
_LOOK = 8  # words looked at on each side of a comma or an "and"
_STOPS = frozenset(".!?…。！？‼⁉؟।")
_SEMICOLONS = frozenset(";；؛")
_COLONS = frozenset(":：")
_COMMAS = frozenset(",，、،")
_DASHES = frozenset("—–")
_CLOSERS = frozenset(")]}）】」』”’\"'»")
_OPENING = frozenset("([{（【")
_PARTING = _STOPS | _SEMICOLONS | _COLONS | _COMMAS | _DASHES | {"-"}
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_SETTING_WORDS = 10
_OPENING_WORDS = 2
_ATTRIBUTION = 14  # characters after a quote in which its speaker is looked for
_SENTENCE_END = re.compile(r"[.!?…]+\s|[。！？]")
_COMMA_END = re.compile(r"[,;:]\s|[，、；：]")
_SPACE = re.compile(r"\s")


class Bond(IntEnum):
    """How firmly a boundary parts two clauses; the weaker, the sooner they merge."""

    GLUE = 0  # not two events: a setting, a subordinate clause
    WEAK = 1  # sounds of the same moment: "with sirens blaring", "while an alarm starts"
    EVENT = 2
    SEQUENCE = 3  # "then", a semicolon
    SENTENCE = 4
    BLOCK = 5  # list item, paragraph, heading, spoken line
    STAMP = 6  # "At 10 s"


@dataclass(frozen=True)
class Setting:
    """Span of the words that say where the events from here on take place."""

    start: int
    end: int
    opening: tuple[int, int]  # span of the piece, empty where the words name an event too


@dataclass(frozen=True)
class Piece:
    """A clause in the making."""

    start: int
    end: int
    bond: Bond  # of the boundary before it
    block: int
    has_verb: bool
    words: int  # number of words; of unspaced scripts, of characters / 2
    before_colon: bool = False
    is_heading: bool = False
    opens_scene: bool = False  # stands first under "Scene 2:"
    setting: Setting | None = None
    scene: int = 0  # the numbered line it stands in; 0: none


class _Cutter:
    """Finds the boundaries of one block.

    Args:
        text: the instruction.
        tokens: those of the block.
        language: whose words decide.
    """

    def __init__(self, text: str, tokens: Sequence[Token], language: Language) -> None:
        self.text = text
        self.tokens = tokens
        self.language = language
        self.first = 0  # token the clause begins with
        self.has_verb = False
        self.depth = 0  # of brackets, in this sentence
        self.bond = Bond.BLOCK  # before the clause
        self.passed = 0  # token after the marks that belong to the last boundary

    def cuts(self) -> Iterator[tuple[int, Bond, bool]]:
        """Yield position, bond and whether a colon stands there, in order."""
        for index, token in enumerate(self.tokens):
            if token.hole == "stamp":
                yield from self._cut(index, token.start, Bond.STAMP)
            elif token.hole == "quote":
                yield from self._after_quote(index)
            elif token.hole:
                continue
            elif token.is_word:
                yield from self._at_word(index)
            else:
                yield from self._at_mark(index)

    def _cut(
        self, next_first: int, position: int, bond: Bond, colon: bool = False
    ) -> Iterator[tuple[int, Bond, bool]]:
        if next_first > self.first:
            yield position, bond, colon
        self.first = next_first
        self.bond = bond
        self.has_verb = False
        if bond >= Bond.SENTENCE:
            self.depth = 0

    def _at_word(self, index: int) -> Iterator[tuple[int, Bond, bool]]:
        token = self.tokens[index]
        if not self.language.spaced or _WIDE.match(token.word):
            yield from self._inside_wide(index)
            return
        if index > self.first and not self.depth:
            bond = self._bond_before(index)
            if bond:
                yield from self._cut(index, token.start, bond)
        self.has_verb = self.has_verb or self.is_event_verb(index)

    def _bond_before(self, index: int) -> Bond | None:
        token = self.tokens[index]
        if self._has_content(index) and self.language.splitters.match(self.text, token.start):
            return Bond.SEQUENCE
        accompanies = self.bond is Bond.WEAK and index > self.first + 1
        if not self.has_verb and not accompanies:
            return None
        if token.word in self.language.joiners and self._verb_ahead(index + 1):
            return Bond.EVENT
        if token.word in self.language.separators and self._moves_ahead(index + 1):
            return Bond.WEAK
        return None

    def _inside_wide(self, index: int) -> Iterator[tuple[int, Bond, bool]]:
        token = self.tokens[index]
        self.has_verb = True
        for match in self.language.splitters.finditer(self.text, token.start, token.end):
            if match.start() > token.start or index > self.first:
                yield from self._cut(index, match.start(), Bond.SEQUENCE)
                self.first = index
                if match.start() > token.start:
                    yield match.start(), Bond.SEQUENCE, False

    def _at_mark(self, index: int) -> Iterator[tuple[int, Bond, bool]]:
        mark = self.tokens[index].word
        if mark in _OPENING:
            self.depth += 1
        elif mark in _CLOSERS:
            self.depth = max(0, self.depth - 1)
        if index < self.passed or mark not in _PARTING:
            return
        after = self._past_closers(index + 1)
        self.passed = after
        if after >= len(self.tokens):
            return
        bond, colon = self._bond_of_mark(index, mark, after)
        if bond is not None:
            yield from self._cut(after, self.tokens[after].start, bond, colon)

    def _bond_of_mark(self, index: int, mark: str, after: int) -> tuple[Bond | None, bool]:
        if mark in _STOPS:
            return (Bond.SENTENCE if self._ends_sentence(index, after) else None), False
        if self.depth:
            return None, False
        if mark in _SEMICOLONS:
            return Bond.SEQUENCE, False
        if mark in _COLONS:
            quoted = self.tokens[after].hole == "quote"
            spaced = self.tokens[index].end < self.tokens[after].start
            return (Bond.EVENT if not quoted and (spaced or mark == "：") else None), True
        if mark in _COMMAS:
            return self._bond_of_comma(index, mark, after), False
        if mark in _DASHES or (mark == "-" and self._stands_alone(index)):
            before = self.tokens[index - 1].hole if index else ""
            if before == "quote" and self._attributes(after, introduced=False):
                return None, False
            return Bond.EVENT if after - index == 1 else None, False
        return None, False

    def _stands_alone(self, index: int) -> bool:
        token = self.tokens[index]
        around = self.text[token.start - 1 : token.start] + self.text[token.end : token.end + 1]
        return around.isspace() and len(around) == 2

    def _past_closers(self, index: int) -> int:
        while index < len(self.tokens) and self._closes(index):
            index += 1
        return index

    def _closes(self, index: int) -> bool:
        token = self.tokens[index]
        touches = token.start == self.tokens[index - 1].end
        return token.hole == "direction" or (touches and token.word in _CLOSERS | _STOPS)

    def _ends_sentence(self, index: int, after: int) -> bool:
        token, following = self.tokens[index], self.tokens[after]
        if token.word in "。！？":
            return True
        if not self.text[token.end : following.start] and following.hole != "stamp":
            return False
        initial = self.text[following.start : following.start + 1]
        if initial.islower():
            return token.word != "…" and not self.text.startswith("..", token.start)
        before = self.tokens[index - 1] if index else None
        if token.word != "." or before is None or before.end != token.start:
            return True
        return before.word not in self.language.abbreviations and (
            len(before.word) > 1 or not before.word.isalpha() or not initial.isupper()
        )

    def _after_quote(self, index: int) -> Iterator[tuple[int, Bond, bool]]:
        after = index + 1
        if after >= len(self.tokens):
            return
        quote = self.tokens[index]
        last = self.text[quote.start : quote.end - 1].rstrip()[-1:]
        following = self.tokens[after]
        if last not in _STOPS or following.hole == "direction":
            return
        if following.hole != "quote" and not self.text[following.start].isalnum():
            return
        before = self.tokens[index - 1].word if index else ""
        if self._attributes(after, introduced=before in _COLONS):
            return
        yield from self._cut(after, following.start, Bond.SENTENCE)

    def _attributes(self, after: int, *, introduced: bool) -> bool:
        """Return whether the words after a quote say who spoke it."""
        if self.text[self.tokens[after].start].islower():
            return True
        if introduced:
            return False
        words = self.tokens[after : after + 4]
        if not self.language.spaced:
            opening = words[0].word[:_ATTRIBUTION]
            return opening.startswith("と") or any(
                verb in opening for verb in self.language.speech_verbs
            )
        return any(token.word in self.language.speech_verbs for token in words)

    def _bond_of_comma(self, index: int, mark: str, after: int) -> Bond | None:
        left = [t for t in self.tokens[max(self.first, index - _LOOK) : index] if t.word]
        right = self._ahead(after)
        if not left or not right:
            return None if left or right else Bond.EVENT
        if _WIDE.search(left[-1].word) or not self.language.spaced:
            return self._bond_of_wide_comma(left, right, mark, index)
        language = self.language
        if language.sequence.match(self.text, right[0].start):
            return Bond.SEQUENCE
        if (
            self._only_opens(left)
            or self._only_comments(right)
            or self._lists_adjectives(left, right)
        ):
            return None
        return Bond.EVENT

    def _bond_of_wide_comma(
        self, left: Sequence[Token], right: Sequence[Token], mark: str, index_of_mark: int
    ) -> Bond | None:
        language = self.language
        if language.sequence.match(self.text, right[0].start):
            return Bond.SEQUENCE
        before = left[-1].word
        opens = self.first == 0 and index_of_mark <= _OPENING_WORDS
        if mark == "、" and opens and before.endswith(tuple(language.places)):
            return Bond.EVENT
        if mark == "、" and not (
            language.clause_endings and before.endswith(language.clause_endings) and len(before) > 3
        ):
            return None
        if before in language.adverbs or language.sequence.fullmatch(before):
            return None
        if right[0].word.startswith(tuple(language.subordinators)):
            return None
        return Bond.EVENT

    def _ahead(self, index: int) -> list[Token]:
        ahead: list[Token] = []
        for token in self.tokens[index : index + _LOOK]:
            if not token.hole and not token.is_word:
                break
            ahead.append(token)
        return ahead

    def _only_opens(self, left: Sequence[Token]) -> bool:
        """Say whether "Late," or "In the distance," only opens the event that follows."""
        words = [token.word for token in left if token.is_word]
        if not words or self.has_verb or len(words) > 4 or self.bond is Bond.WEAK:
            return False
        language = self.language
        if language.aftermath.fullmatch(self.text, left[0].start, left[-1].end + 2):
            return True
        bare = language.adverbs | language.joiners | language.determiners
        if all(word in bare for word in words) or language.sequence.fullmatch(" ".join(words)):
            return True
        if language.sequence.fullmatch(words[-1]):  # "Five minutes later,"
            return True
        return words[0] in language.prepositions and not language.is_participle(words[-1])

    def _only_comments(self, right: Sequence[Token]) -> bool:
        """Say whether "signaling an emergency" or "far away" belongs to the event before."""
        words = [token.word for token in right]
        language = self.language
        if not words[0]:
            return False
        if words[0] in language.subordinators and words[0] not in language.determiners:
            return True
        if language.is_participle(words[0]):
            return True
        if words[0] in language.adjectives and words[1:2] and words[1] in language.prepositions:
            return True
        idle = language.adverbs | language.joiners
        if words[0] in language.adverbs and len(words) > 1:  # "louder than before"
            idle |= language.prepositions
        if len(words) < 5 and all(word in idle for word in words):
            return True
        if words[0] in language.prepositions and len(words) < 5:
            return not any(self.is_event_verb(self._index(token)) for token in right)
        return self._is_relative_article(right)

    def _is_relative_article(self, right: Sequence[Token]) -> bool:
        """German ", der bellt": an article, then no noun, which would be in capitals."""
        language = self.language
        if language.code != "de" or right[0].word not in language.subordinators or len(right) < 2:
            return False
        return not any(self.text[token.start].isupper() for token in right[1:4])

    def _lists_adjectives(self, left: Sequence[Token], right: Sequence[Token]) -> bool:
        language = self.language
        if left[-1].word not in language.adjectives or self.has_verb:
            return False
        return right[0].word not in language.determiners | language.joiners

    def _index(self, token: Token) -> int:
        return bisect_left(self.tokens, token.start, key=lambda t: t.start)

    def _has_content(self, index: int) -> bool:
        idle = self.language.joiners | self.language.adverbs
        return any(t.word not in idle for t in self.tokens[max(self.first, index - 6) : index])

    def is_event_verb(self, index: int) -> bool:
        """Say whether a token is the verb of the clause being read."""
        return is_event_verb(self.tokens, index, self.first, self.language)

    def _verb_ahead(self, index: int) -> bool:
        ahead = self._ahead(index)
        for offset, token in enumerate(ahead[:6]):
            if token.word in self.language.prepositions | self.language.separators:
                return False
            if token.word and self._is_verb_in(ahead, offset):
                return True
        return False

    def _is_verb_in(self, ahead: Sequence[Token], offset: int) -> bool:
        if offset == 0:
            return self.language.is_verb(ahead[0].word) and (
                len(ahead) < 2 or not self.language.is_verb(ahead[1].word)
            )
        return self.is_event_verb(self._index(ahead[offset]))

    def _moves_ahead(self, index: int) -> bool:
        """Say whether what follows "with" or "while" has a verb or participle of its own."""
        language = self.language
        ahead = [token for token in self._ahead(index)[:6] if token.word]
        before = ""
        for token in ahead:
            attribute = before in language.determiners
            if language.is_participle(token.word) and not attribute:
                return True
            if self.is_event_verb(self._index(token)):
                return True
            before = token.word
        return False


def read_pieces(
    text: str, blocks: Sequence[Block], holes: Sequence[Hole], language: Language
) -> list[Piece]:
    """Cut blocks into pieces; settings and comments are glued to the event they belong to."""
    pieces: list[Piece] = []
    for number, block in enumerate(blocks):
        tokens = tokenize(text, block.start, block.end, holes)
        if block.form is Form.PROSE or block.form is Form.ITEM:
            pieces += _block_pieces(text, number, block, tokens, language)
        else:
            stamped = bool(tokens) and tokens[0].hole == "stamp"
            bond = Bond.STAMP if stamped else Bond.BLOCK
            heading = block.form is Form.HEADING
            piece = Piece(block.start, block.end, bond, number, not heading, words=0)
            pieces.append(replace(piece, is_heading=heading))
    return [replace(piece, scene=blocks[piece.block].scene) for piece in pieces]


def _block_pieces(
    text: str, number: int, block: Block, tokens: Sequence[Token], language: Language
) -> list[Piece]:
    cutter = _Cutter(text, tokens, language)
    stamped = bool(tokens) and tokens[0].hole == "stamp"
    cuts = [(block.start, Bond.STAMP if stamped else Bond.BLOCK, False)]
    for cut in cutter.cuts():
        if cut[0] > cuts[-1][0]:
            cuts.append(cut)
    ends = [cut[0] for cut in cuts[1:]] + [block.end]
    colons = [cut[2] for cut in cuts[1:]] + [False]
    starts = [token.start for token in tokens]
    pieces: list[Piece] = []
    for (start, bond, _), end, colon in zip(cuts, ends, colons, strict=True):
        own = range(bisect_left(starts, start), bisect_left(starts, end))
        cutter.first = own.start
        words = [i for i in own if tokens[i].is_word]
        wide = sum(len(tokens[i].word) // 2 for i in words if _WIDE.match(tokens[i].word))
        has_verb = any(cutter.is_event_verb(i) or tokens[i].hole == "quote" for i in own)
        opens_scene = block.opens_scene and not pieces
        word_count = max(len(words), wide)
        pieces.append(
            Piece(start, end, bond, number, has_verb, word_count, colon, opens_scene=opens_scene)
        )
    return pieces


def settle(
    text: str,
    pieces: Iterable[Piece],
    language: Language,
    spoken_spans: Sequence[Hole],
    longest_spoken: int,
) -> list[Piece]:
    """Glue pieces that are no events to those they belong to, and cut very long ones.

    Args:
        text: the instruction.
        pieces: in order.
        language: whose places are known.
        spoken_spans: where somebody speaks, in order.
        longest_spoken: characters that can be spoken in one clip.
    """
    pieces = list(pieces)
    settled: list[Piece] = []
    opening: Piece | None = None
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        shares_block = following is not None and following.block == piece.block
        scene_opens = piece.opens_scene and shares_block
        setting = _setting(text, piece, language, first=not settled or scene_opens)
        if following is None and not piece.is_heading:
            setting = None
        if opening is not None:
            setting = setting or opening.setting
            opens_scene = opening.opens_scene or piece.opens_scene
            piece = replace(piece, start=opening.start, bond=opening.bond, opens_scene=opens_scene)
            opening = None
        piece = replace(piece, setting=setting)
        if following and _is_opening(piece) and _goes_into(piece, following):
            opening = piece
            continue
        spoken = _has_speech(piece, spoken_spans)
        settled += _cut_long(text, piece, longest_spoken if spoken else LONGEST_CLAUSE)
    return settled


def _goes_into(opening: Piece, following: Piece) -> bool:
    return following.bond < Bond.STAMP and opening.scene in (0, following.scene)


def _has_speech(piece: Piece, spoken_spans: Sequence[Hole]) -> bool:
    return bool(overlapping(spoken_spans, piece.start, piece.end))


def _is_opening(piece: Piece) -> bool:
    if piece.is_heading or (piece.before_colon and piece.words <= 2 * _SETTING_WORDS):
        return True
    return piece.setting is not None and piece.setting.opening == (piece.setting.start, piece.end)


def _setting(text: str, piece: Piece, language: Language, *, first: bool) -> Setting | None:
    """Return the span that says where the events to come take place."""
    if piece.is_heading:
        return Setting(piece.start, piece.end, (piece.start, piece.end))
    words = [t for t in tokenize(text, piece.start, piece.end) if t.is_word]
    place = _place(text, piece, words, language)
    if place is None:
        return None
    if piece.before_colon and language.spaced and piece.has_verb:
        opens = [t for t in words[:place] if t.word in language.prepositions]
        return Setting(opens[-1].end, words[place].end, (0, 0)) if opens else None
    if not _only_sets_scene(text, piece, language, first=first):
        return None
    return Setting(words[0].start, words[-1].end, (words[0].start, piece.end))


def _only_sets_scene(text: str, piece: Piece, language: Language, *, first: bool) -> bool:
    phrase = text[piece.start : piece.end].rstrip()
    ends_there = piece.before_colon or phrase.endswith((".", "。"))
    if first and not language.spaced and phrase.endswith(("，", "、")):
        ends_there = phrase[:-1].endswith(tuple(language.places))
    if piece.opens_scene and first and phrase.endswith((",", "，", "、")):
        ends_there = True
    only_is = bool(language.scene_is.match(phrase.lstrip()))  # "It is a cold night in the village."
    longest = _SETTING_WORDS if first or piece.before_colon else 4
    if not ends_there or piece.words > longest + (_SETTING_WORDS if only_is else 0):
        return False
    if language.spaced:
        return only_is or not piece.has_verb
    return piece.before_colon or piece.words <= 4


def _place(text: str, piece: Piece, words: Sequence[Token], language: Language) -> int | None:
    """Return the index of the last word that names a place or a time of day."""
    if not language.spaced:
        named = any(place in text[piece.start : piece.end] for place in language.places)
        return len(words) - 1 if named and words else None
    named_places = language.places - language.silence  # "Silence for 3 seconds." is no place
    places = [
        i for i, token in enumerate(words[: 2 * _SETTING_WORDS]) if token.word in named_places
    ]
    return places[-1] if places else None


def _cut_long(text: str, piece: Piece, longest: int) -> Iterator[Piece]:
    start, bond = piece.start, piece.bond
    while piece.end - start > longest:
        end = _place_to_cut(text, start + longest // 2, start + longest)
        yield replace(piece, start=start, end=end, bond=bond)
        start, bond = end, Bond.SENTENCE
    yield replace(piece, start=start, bond=bond)


def _place_to_cut(text: str, low: int, high: int) -> int:
    """Return where to cut a run: after the last sentence, else comma, else space in reach."""
    for pattern in (_SENTENCE_END, _COMMA_END, _SPACE):
        ends = [match.end() for match in pattern.finditer(text, low, high)]
        if ends:
            return ends[-1]
    return high

"""Words of a text with their places, and which of them is the verb of an event."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from audiostory_core.planners.clauses.language import Language

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]|_")


class Hole(NamedTuple):
    """A span that is not looked into: a quote, or words addressed to the planner."""

    start: int
    end: int
    kind: str  # "quote", "stamp" for a time at which something starts, "direction"


class Token(NamedTuple):
    """A word, a punctuation mark, or a hole."""

    start: int
    end: int
    word: str  # lower case; "" for holes
    hole: str = ""  # Hole.kind

    @property
    def is_word(self) -> bool:
        """Whether it is a word or a number."""
        return bool(self.word) and self.word[0].isalnum()


def overlapping(holes: Sequence[Hole], start: int, end: int) -> Sequence[Hole]:
    """Return the holes that share characters with a span; holes are in order and disjoint."""
    first = bisect_right(holes, start, key=lambda hole: hole.end)
    last = bisect_left(holes, end, key=lambda hole: hole.start)
    return holes[first:last]


def tokenize(text: str, start: int, end: int, holes: Sequence[Hole] = ()) -> list[Token]:
    """Part `text[start:end]` into tokens, in order."""
    tokens: list[Token] = []
    at = start
    for hole in overlapping(holes, start, end):
        tokens += [_token(m) for m in _TOKEN.finditer(text, at, max(at, hole.start))]
        tokens.append(Token(max(hole.start, start), min(hole.end, end), "", hole.kind))
        at = min(hole.end, end)
    return tokens + [_token(m) for m in _TOKEN.finditer(text, at, end)]


def _token(match: re.Match[str]) -> Token:
    return Token(match.start(), match.end(), match[0].lower())


def is_event_verb(tokens: Sequence[Token], index: int, first: int, language: Language) -> bool:
    """Say whether a token is the finite verb of an event, by the words beside it.

    Args:
        tokens: of the clause and what is around it.
        index: of the token.
        first: the token the clause begins with.
        language: whose verbs are known.
    """
    word = tokens[index].word
    if not language.is_verb(word):
        return False
    before = tokens[index - 1] if index > first else None
    finite = word in language.irregular_verbs or word.endswith(("s", "ed"))
    if before is None or not before.is_word or before.word in language.joiners:
        conjoined = before is not None and before.word in language.joiners
        alone = not finite and not conjoined and language.code == "en"  # "rain": no imperatives
        return not alone and not _begins_noun_phrase(tokens, index, language)
    if before.word in language.pronouns:
        return True
    not_subjects = language.determiners | language.prepositions
    if before.word in not_subjects or before.word.isdigit():
        return False
    if language.code != "en":
        return True
    if before.word in language.adjectives or before.word in language.counts:
        return False
    # "dogs bark", "a dog barks", "a dog barked", but "the bark", "tree bark"
    plural = before.word.endswith("s") or before.word in language.plurals
    return plural or finite


def _begins_noun_phrase(tokens: Sequence[Token], index: int, language: Language) -> bool:
    # "Waves crash": the first of two verb forms is the noun.
    following = tokens[index + 1].word if index + 1 < len(tokens) else ""
    return language.is_verb(following) or following == "of"

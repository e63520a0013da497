"""Clauses that only say what is not heard take no time of their own."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from audiostory_core.planners.clauses.clause_splitter import Bond, Piece
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.words import tokenize
from audiostory_core.text.absence import Denial


def glue(
    pieces: Sequence[Piece],
    denials: Sequence[Denial],
    heard: Callable[[int, int], str],
    language: Language,
) -> list[Piece]:
    """Give clauses that only say what is absent to one beside them, for they take no time.

    What stops within the story happens, and stays a clause.

    Args:
        pieces: clauses in order.
        denials: of the text, in order.
        heard: returns the words of a span that say nothing of absence.
        language: of the text.
    """
    if not denials:
        return list(pieces)
    glued: list[Piece] = []
    waiting: Piece | None = None  # for the clause after it
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        if waiting is not None and waiting.block == piece.block and piece.bond < Bond.STAMP:
            opens_scene = waiting.opens_scene or piece.opens_scene
            piece = replace(piece, start=waiting.start, bond=waiting.bond, opens_scene=opens_scene)
        elif waiting is not None:
            glued.append(waiting)
        waiting = None
        if not _only_denies(piece, denials, heard, language):
            glued.append(piece)
        elif glued and _takes_along(glued[-1], piece, denials) and not _opens(piece, following):
            glued[-1] = replace(glued[-1], end=piece.end)
        else:
            waiting = piece
    return glued if waiting is None else [*glued, waiting]


def _only_denies(
    piece: Piece,
    denials: Sequence[Denial],
    heard: Callable[[int, int], str],
    language: Language,
) -> bool:
    """Say whether a clause names nothing but what is not heard."""
    own = _within(denials, piece)
    if not own or any(denial.is_over for denial in own):
        return False
    idle = language.function_words | language.adverbs | language.joiners | language.determiners
    rest = heard(piece.start, piece.end)
    return all(not t.is_word or t.word in idle for t in tokenize(rest, 0, len(rest)))


def _takes_along(before: Piece, piece: Piece, denials: Sequence[Denial]) -> bool:
    stops = any(denial.is_over for denial in _within(denials, before))
    return before.block == piece.block and piece.bond < Bond.STAMP and not stops


def _opens(piece: Piece, following: Piece | None) -> bool:
    """Say whether a clause opens a sentence that goes on: "Instead of crickets, frogs croak"."""
    is_first = piece.bond >= Bond.SENTENCE
    return is_first and following is not None and following.bond < Bond.SENTENCE


def _within(denials: Sequence[Denial], piece: Piece) -> Sequence[Denial]:
    first = bisect_right(denials, piece.start, key=lambda denial: denial.end)
    last = bisect_left(denials, piece.end, key=lambda denial: denial.start)
    return denials[first:last]

"""Numbered lines, "1. Rain falls, a door opens" or "Scene 2: …": each is one scene."""

import re
from collections.abc import Sequence
from dataclasses import replace

from audiostory_core.planners.clauses.blocks import SCENE, Block

_NUMBER = re.compile(rf"\s*(?:\(?\d{{1,3}}[.)、）]|[①-⑳]|{SCENE})", re.IGNORECASE)
_ANNOUNCED = re.compile(  # "Five scenes:"
    r"[^:：.\n]{0,40}(?:\b(?:scenes|scènes|escenas|szenen|parts|parties|partes|teile|steps|shots)"
    r"|(?:个|個)?(?:场景|場景|シーン))\s{0,2}[:：]\s*",
    re.IGNORECASE,
)
_CARRIED_ON = re.compile(r"[^\S\n]*\n?[^\S\n]+|[^\S\n]*")  # the same line, or an indented one below


def with_scenes(text: str, blocks: Sequence[Block]) -> list[Block]:
    """Return blocks that know which numbered line they are part of.

    One number alone makes no list, nor do numbers before what is said: those count lines of a
    script.

    Args:
        text: the instruction.
        blocks: of the text, in order.
    """
    numbered: list[Block] = []
    scene, marker_start = 0, -1
    for block in blocks:
        if block.marker and _NUMBER.match(text, *block.marker):
            scene += block.marker[0] != marker_start
            marker_start = block.marker[0]
            numbered.append(replace(block, scene=scene))
        elif numbered and numbered[-1].scene and _carries_on(text, numbered[-1], block):
            numbered.append(replace(block, scene=scene))
        else:
            numbered.append(block)
    first = next((i for i, block in enumerate(numbered) if block.scene), 0)
    if first and _ANNOUNCED.fullmatch(text, numbered[first - 1].start, numbered[first - 1].end):
        marker = (numbered[first - 1].start, numbered[first].start)
        numbered[first - 1 : first + 1] = [replace(numbered[first], marker=marker)]
    is_heard = any(block.scene and not block.voice for block in numbered)
    return numbered if scene > 1 and is_heard else list(blocks)


def _carries_on(text: str, before: Block, block: Block) -> bool:
    if before.marker and "\n" in text[slice(*before.marker)]:  # "Scene 1:" on a line of its own
        return True
    start = block.marker[0] if block.marker else block.start
    return bool(_CARRIED_ON.fullmatch(text, before.end, max(before.end, start)))

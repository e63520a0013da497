"""The difference of two revisions of a plan, as text that a person reads."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from audiostory_core.stem import SeparateStem
from audiostory_core.story.mix import MixSettings
from audiostory_core.story.plan import Layer, SpeechLayer, StoryPlan, SubEvent, seconds_of
from audiostory_core.story.shape_words import figures_of

_WORDS = re.compile(r"[^\W぀-ヿ㐀-鿿]+|\s+|.", re.DOTALL)  # Chinese and kana by character
_ALIKE = 0.5  # of the characters must be common for a caption to be compared word by word
_MAX_WORDS = 1_000  # comparing takes the square of it
_SHORTENED = 160  # characters of a caption that is shown for orientation


def diff(
    before: StoryPlan,
    after: StoryPlan,
    lineage_before: Sequence[Hashable],
    lineage_after: Sequence[Hashable],
) -> str:
    """Say what differs, one paragraph for each sub-event that was changed, added or removed.

    In a changed caption `[-…-]` is gone and `{+…+}` is new. Numbers of sub-events are those of
    `after`, except of removed ones.

    Args:
        before: the older plan.
        after: the newer plan.
        lineage_before: for each sub-event of `before` what it has in common with its later
            versions, e.g. an id; no two are equal.
        lineage_after: the same for `after`.

    Returns:
        Lines without a line end after the last; `No differences.` if there are none.
    """
    old = dict(zip(lineage_before, enumerate(before.sub_events, 1), strict=True))
    new = dict(zip(lineage_after, enumerate(after.sub_events, 1), strict=True))
    moved = _moved(
        [lineage for lineage in old if lineage in new],
        [lineage for lineage in new if lineage in old],
    )
    paragraphs = []
    for lineage, (number, event) in new.items():
        if lineage not in old:
            paragraphs.append(_described(f"+ {number} added", event))
            continue
        was, earlier = old[lineage]
        lines = list(_changes(earlier, event))
        if lineage in moved:
            lines.insert(0, f"moved from {was} to {number}")
        if lines:
            heading = f"~ {number}" if was == number else f"~ {number} (was {was})"
            paragraphs.append("\n".join([f"{heading}: {_quoted(earlier.caption)}", *_in(lines)]))
    paragraphs += [
        _described(f"- {number} removed", event)
        for lineage, (number, event) in old.items()
        if lineage not in new
    ]
    if before.mix != after.mix:
        settings = [_mixed(plan.mix or MixSettings()) for plan in (before, after)]
        paragraphs.insert(0, f"Mix: {' → '.join(settings)}.")
    if not paragraphs and before.samples == after.samples:
        return "No differences."
    return "\n".join([*_totals(before, after), *paragraphs])


def _mixed(mix: MixSettings) -> str:
    ducking = mix.ducking
    times = f"{ducking.attack_s:g} s before, {ducking.release_s:g} s after"
    return f"{_gains(mix.gain_db)}, ducking {ducking.depth_db:g} dB ({times})"


def _moved(old: Sequence[Hashable], new: Sequence[Hashable]) -> set[Hashable]:
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    stayed = {lineage for block in blocks for lineage in old[block.a : block.a + block.size]}
    return set(old) - stayed


def _totals(before: StoryPlan, after: StoryPlan) -> list[str]:
    counts = len(before.sub_events), len(after.sub_events)
    scenes = f"{counts[0]}" if counts[0] == counts[1] else f"{counts[0]} → {counts[1]}"
    return [f"Scenes: {scenes}. Total: {_seconds(before.samples, after.samples)}."]


def _described(heading: str, event: SubEvent) -> str:
    lines = [f"tone: {event.tone}"] if event.tone != "neutral" else []
    lines += [f"+ {_shaped(layer)}" for layer in event.layers]
    first = f"{heading}, {_seconds(event.samples, event.samples)}: {_quoted(event.caption)}"
    return "\n".join([first, *(_in(lines) if heading.startswith("+") else ())])


def _changes(old: SubEvent, new: SubEvent) -> Iterator[str]:
    if old.caption != new.caption:
        yield f"caption: {_words_changed(old.caption, new.caption)}"
    if old.samples != new.samples:
        yield f"duration: {_seconds(old.samples, new.samples)}"
    if old.tone != new.tone:
        yield f"tone: {old.tone} → {new.tone}"
    if old.stem_gain_db != new.stem_gain_db:
        yield f"stems: {_gains(old.stem_gain_db)} → {_gains(new.stem_gain_db)}"
    if old.layers != new.layers:
        yield "layers:"
        yield from _in(_layers_changed(old.layers, new.layers))


def _gains(gain_db: Mapping[SeparateStem, float]) -> str:
    return ", ".join(f"{stem} {gain:+g} dB" for stem, gain in sorted(gain_db.items())) or "0 dB"


def _words_changed(old: str, new: str) -> str:
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    whole = f"[-{old}-]{{+{new}+}}"
    if max(len(left), len(right)) > _MAX_WORDS:
        return whole
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    common = sum(len("".join(left[at.a : at.a + at.size])) for at in matcher.get_matching_blocks())
    if common < _ALIKE * max(len(old), len(new)):
        return whole
    parts = []
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        gone, come = "".join(left[start:end]), "".join(right[new_start:new_end])
        if gone == come:
            parts.append(gone)
        else:
            parts.append((f"[-{gone}-]" if gone else "") + (f"{{+{come}+}}" if come else ""))
    return "".join(parts)


def _layers_changed(old: Sequence[Layer], new: Sequence[Layer]) -> Iterator[str]:
    sounds = [[_layer(layer) for layer in layers] for layers in (old, new)]
    matcher = SequenceMatcher(None, sounds[0], sounds[1], autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            for before, after in zip(old[start:end], new[new_start:new_end], strict=True):
                yield from _reshaped(before, after)
        else:
            yield from (f"- {_shaped(layer)}" for layer in old[start:end])
            yield from (f"+ {_shaped(layer)}" for layer in new[new_start:new_end])


def _reshaped(old: Layer, new: Layer) -> Iterator[str]:
    """Yield how the shape of a layer differs that is the same otherwise, in a line."""
    was, now = figures_of(old), figures_of(new)
    changes = [
        f"no longer {was[name]}"
        if name not in now
        else f"{was[name]} → {now[name]}"
        if name in was
        else now[name]
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]
    if changes:
        yield f"{_layer(new)}: {', '.join(changes)}"


def _shaped(layer: Layer) -> str:
    shape = ", ".join(figures_of(layer).values())
    return f"{_layer(layer)} ({shape})" if shape else _layer(layer)


def _layer(layer: Layer) -> str:
    if not isinstance(layer, SpeechLayer):
        return f"{layer.kind.value}: {layer.text}"
    speaker = layer.speaker or "narrator"
    manner = f" ({layer.manner})" if layer.manner else ""
    return f"{speaker}{manner}: “{layer.words}”"


def _in(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _quoted(caption: str) -> str:
    line = " ".join(caption.split())
    return f"“{line if len(line) <= _SHORTENED else line[: _SHORTENED - 1] + '…'}”"


def _seconds(old: int, new: int) -> str:
    was, now = (f"{seconds_of(samples):.3f}".rstrip("0").rstrip(".") for samples in (old, new))
    if old == new:
        return f"{now} s"
    if was == now:
        return f"{now} s ({new - old:+} samples)"
    return f"{was} s → {now} s"

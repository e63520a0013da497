"""What the engines of a plan make nothing of, as notes for its author."""

from collections.abc import Iterator, Sequence

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import Stem
from audiostory_core.story.dividing import OF_A_CLIP, divide, is_set
from audiostory_core.story.plan import Layer, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.shape import SHAPES
from audiostory_core.story.spans import spread
from audiostory_core.story.stems import stem_of, stem_view, stems_of
from audiostory_core.story.timing import starts_of
from nodes.offers import Offers
from storage.models import Story

LONGEST_NAME = 40  # characters of a layer that are quoted


def notes_on_engines(
    plan: StoryPlan, story: Story, offers: Offers, engines: Sequence[str | None] = ()
) -> Iterator[str]:
    """Yield a note for each layer of which an engine makes less than it says.

    Args:
        plan: of the story.
        story: whose engines make it.
        offers: the engines that there are; of others nothing is said.
        engines: of the scenes, in order, of those that have their own.
    """
    names = {story.engine, *(story.engines or {}).values(), *filter(None, engines)}
    if all(_makes_all(offers[name]) for name in names if name in offers):
        return
    own = dict(enumerate(engines))
    for place, heard in enumerate(spread(plan).sub_events):
        before = len(heard.layers) - len(plan.sub_events[place].layers)  # go on from earlier scenes
        for stem, capabilities in _makers(heard, plan.version, story, offers, own.get(place)):
            yield from _notes(place + 1, heard, before, stem, capabilities, plan.version)


def kept_notes(
    plan: StoryPlan, story: Story, offers: Offers, engines: Sequence[str | None]
) -> list[str]:
    """Return the notes of a plan less those on engines, which are made anew."""
    outdated = set(notes_on_engines(plan, story, offers, engines))
    return [note for note in plan.notes if note not in outdated]


def _makes_all(capabilities: Capabilities) -> bool:
    return set(SHAPES) <= set(capabilities.card.shapes) and len(capabilities.stems) == len(Stem) - 1


def _makers(
    heard: SubEvent, version: int, story: Story, offers: Offers, own: str | None
) -> Iterator[tuple[Stem, Capabilities]]:
    """Yield what a scene is heard as, and what makes it."""
    by_stem = {Stem(stem): name for stem, name in (story.engines or {}).items()}
    if own is not None and by_stem:
        is_whole = own not in offers or offers[own].composite
        by_stem = {} if is_whole else dict.fromkeys(offers[own].stems, own)
    makers = {stem: offers[name] for stem, name in by_stem.items() if name in offers}
    for stem in stems_of(heard, version, makers):
        chain = Stem.EFFECTS if stem is Stem.COMPOSITE else stem
        name = own or by_stem.get(chain, story.engine)
        if name in offers:
            yield stem, offers[name]


def _notes(
    number: int,
    heard: SubEvent,
    before: int,
    stem: Stem,
    capabilities: Capabilities,
    version: int,
) -> Iterator[str]:
    starts = None if stem is Stem.COMPOSITE else starts_of(heard)
    layers = stem_view(heard, stem, starts, version).layers
    places = [
        at for at, layer in enumerate(heard.layers) if stem in (Stem.COMPOSITE, stem_of(layer))
    ]
    division = divide(layers, stem, capabilities, version=version, duration_s=heard.duration_s)
    for at, lost in zip(places, division.lost, strict=True):
        layer = heard.layers[at]
        where = f"Scene {number}: {capabilities.name}"
        what = f"“{_name(layer)}”" + (f" (layer {at - before + 1})" if at >= before else "")
        if stem_of(layer) not in capabilities.stems:
            yield f"{where} does not make {stem_of(layer)}; {what} is not made as such."
            continue
        ignored = [name for name in lost if getattr(layer, name, None) is not None]
        if ignored:
            shared = len(layers) > 1 and set(ignored) <= set(OF_A_CLIP)
            why = ", and its clip holds others" if shared else ""
            yield f"{where} does not honor {_listed(ignored)}{why}; not applied to {what}."
        worded = [name for name in capabilities.card.shapes_in_words if is_set(layer, name)]
        if worded:
            yield f"{where} reads {_listed(worded)} of {what} in words, and may not keep to it."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _name(layer: Layer) -> str:
    text = layer.words if isinstance(layer, SpeechLayer) else layer.text
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"

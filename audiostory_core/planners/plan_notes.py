"""What an author should know of the layers of a plan that was written by hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.story.plan import CastMember, SoundLayer, SpeechLayer, SubEvent
from audiostory_core.story.spans import span_of


def notes_on_lines(
    sub_events: Mapping[int, SubEvent], cast: Iterable[CastMember], capabilities: Capabilities
) -> Iterator[str]:
    """Yield a note for each manner that the engine does not know and each speaker nobody is.

    Args:
        sub_events: by their numbers.
        cast: of the plan; where it is empty, a speaker needs no other introduction than a name.
        capabilities: of the engine that speaks the lines.
    """
    names = [member.name for member in cast]
    manners = capabilities.manners
    for number, event in sub_events.items():
        for layer in event.layers:
            if not isinstance(layer, SpeechLayer):
                continue
            if layer.manner and manners is not None and not manners.knows(layer.manner):
                yield (
                    f"Scene {number}: the manner “{layer.manner}” is not known, and the line is "
                    f"spoken plainly. Known are: {', '.join(manners.names)}."
                )
            if layer.speaker and names and layer.speaker not in names:
                yield (
                    f"Scene {number}: the speaker “{layer.speaker}” is not in the cast, and gets a "
                    f"voice by that name alone. The cast is: {', '.join(names)}."
                )


def notes_on_shapes(sub_events: Sequence[SubEvent]) -> Iterator[str]:
    """Yield a note for each layer that does not fit its scene or the story.

    Neither is an error: a scene that is shortened or deleted must not make a layer elsewhere wrong.
    """
    for number, event in enumerate(sub_events, 1):
        left = len(sub_events) - number + 1
        for layer in event.layers:
            if not isinstance(layer, SoundLayer):
                if (layer.start_s or 0.0) >= event.duration_s:
                    yield (
                        f"Scene {number}: “{layer.words}” starts after {layer.start_s:g} s, when its "
                        "scene is over; it is spoken earlier."
                    )
                continue
            if span_of(layer) > left:
                scenes = "1 is" if left == 1 else f"{left} are"
                yield (
                    f"Scene {number}: “{layer.text}” is to be heard in {layer.scenes} scenes, but "
                    f"{scenes} left; it ends with the story."
                )
            if (layer.start_s or 0.0) >= event.duration_s:
                yield (
                    f"Scene {number}: “{layer.text}” starts after {layer.start_s:g} s, when its "
                    "scene is over, and is not heard."
                )

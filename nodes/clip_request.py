"""A clip's request as canonical JSON: what its key is made of, and what its job is built from."""

import hashlib
import json

from pydantic import TypeAdapter

from audiostory_core.engines.protocol import Capabilities, ClipRequest, Condition
from audiostory_core.stem import Stem
from audiostory_core.story.dividing import divide
from audiostory_core.story.plan import SAMPLE_RATE, CastMember, Layer, SpeechLayer
from audiostory_core.story.shape import ClipShape
from audiostory_core.story.stems import stem_view
from audiostory_core.text.spoken.lexicon import heard_in
from nodes.services import LoadedRevision
from storage.models import Json, SceneStem, SceneVersion

LAYERS: TypeAdapter[tuple[Layer, ...]] = TypeAdapter(tuple[Layer, ...])


def describe(
    planned: LoadedRevision,
    index: int,
    scene: SceneVersion,
    heard: SceneStem,
    capabilities: Capabilities,
) -> str:
    """Return everything the engine will read of a stem of sub-event `index`, as canonical JSON.

    Neither the story, nor the position, nor the take is in it: equal requests share a clip. Only
    the last scene has no tail, so that it ends as it is written, nor has dialogue. Of a plan of
    version 1 the version is not in it either, nor is the stem of a composite clip, nor readings where
    its lines have none of their words: such requests are older than versions, stems and readings.
    What the studio sees to of the shapes of layers is beside what engines read, as `shape`.
    """
    stem = Stem(heard.stem)
    heard_event = planned.heard.sub_events[index]
    version = planned.plan.version
    event = stem_view(heard_event, stem, scene.starts_s, version)
    division = divide(
        event.layers, stem, capabilities, version=version, duration_s=heard_event.duration_s
    )
    is_last = index == len(planned.scene_ids) - 1
    tail = 0 if is_last or stem is Stem.DIALOGUE else planned.tail_samples
    cast = {member.name: member for member in planned.plan.cast}
    cast |= {member["name"]: CastMember.model_validate(member) for member in scene.cast or []}
    lines = [layer for layer in event.layers if isinstance(layer, SpeechLayer)]
    speakers = {line.speaker for line in lines}
    say = heard_in(planned.plan.say, "\n".join(line.words for line in lines))
    return canonical(
        {
            "engine": capabilities.name,
            "engine_revision": capabilities.revision,
            "caption": event.caption,
            "layers": LAYERS.dump_python(division.layers, mode="json"),
            "cast": [
                member.model_dump(mode="json") for name, member in cast.items() if name in speakers
            ],
            "language": planned.plan.language,
            "samples": heard_event.samples + tail,
            "sample_rate": SAMPLE_RATE,
            "seed": scene.seed if heard.seed is None else heard.seed,
            "parameters": {"tail_samples": tail, "story_seed": planned.seed}
            | {
                name: planned.parameters.get(name, default)
                for name, default in capabilities.parameters.items()
            },
            "condition": heard.condition_id,
        }
        | ({} if version == 1 else {"version": version})
        | ({} if stem is Stem.COMPOSITE else {"stem": stem})
        | ({} if division.shape is None else {"shape": division.shape.model_dump(mode="json")})
        | ({"say": say} if say else {})
    )


def with_seed(request: str, seed: int) -> str:
    """Return the same request with another seed."""
    return canonical(json.loads(request) | {"seed": seed})


def seed_of(request: str) -> int:
    """Return the seed of a request."""
    return int(json.loads(request)["seed"])


def has_tail(request: str) -> bool:
    """Tell whether a request asks for a tail, as all but the last scene's do."""
    return bool(json.loads(request)["parameters"]["tail_samples"])


def key_of(request: str) -> str:
    """Return the clip key: the content address of a canonical request."""
    return hashlib.sha256(request.encode()).hexdigest()


def build(request: str, condition: Condition) -> ClipRequest:
    """Turn a stored request back into what an engine takes."""
    parsed: Json = json.loads(request)
    return ClipRequest(
        caption=parsed["caption"],
        layers=LAYERS.validate_python(parsed["layers"]),
        samples=parsed["samples"],
        seed=parsed["seed"],
        language=parsed["language"],
        cast=tuple(CastMember.model_validate(member) for member in parsed["cast"]),
        condition=condition,
        parameters=parsed["parameters"],
        version=parsed.get("version", 1),
        stem=Stem(parsed.get("stem", Stem.COMPOSITE)),
        shape=ClipShape.model_validate(parsed["shape"]) if "shape" in parsed else None,
        say=parsed.get("say", {}),
    )


def canonical(value: Json) -> str:
    """Return JSON with one spelling: sorted keys, no spaces, characters as they are."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )

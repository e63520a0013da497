"""The embedded engine: makes any clip from words, without weights, recordings or network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiostory_core.engines.card import read_card
from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.progress import followed
from audiostory_core.engines.foley.scene.carryover import (
    Carryover,
    carry_over,
    decode,
    encode,
    enter,
    opening,
    seed_of,
)
from audiostory_core.engines.foley.scene.dialogue import Speaks
from audiostory_core.engines.foley.scene.scene import SceneOrder, SceneRenderer
from audiostory_core.engines.foley.scene.script import ROOM_TONE, Cue, Reader, Script, write_script
from audiostory_core.engines.foley.scene.stems import project, script_alone, script_of
from audiostory_core.engines.foley.sound import Kind, Mention
from audiostory_core.engines.foley.speech.manner import Manners
from audiostory_core.engines.foley.speech.speech import Speech
from audiostory_core.engines.foley.words.lexicon import shipped
from audiostory_core.engines.protocol import (
    UNWATCHED,
    Capabilities,
    ClipRequest,
    ClipResult,
    Condition,
    ProgressListener,
)
from audiostory_core.stem import Stem
from audiostory_core.story.plan import Layer, SpeechLayer, StoryPlan
from audiostory_core.story.stems import StemView

SOUND = 2  # raise it with any change that lets an equal request sound different; a test tells
CARD = read_card(Path(__file__).parent, "shipped", is_shipped=True)


class Foley:
    """Makes clips procedurally; implements `Engine`.

    Of `ClipRequest.parameters` it reads `tail_samples` (default 0: the story ends with this clip)
    and `story_seed` (default 0), which gives beds and recurring sources another identity.

    Args:
        kinds: the sounds it can make, by name; None is the whole catalog.
        reader: finds sounds in words; None is the lexicon that foley ships.
        speech: speaks lines; None is espeak-ng. Closed with the engine.
    """

    def __init__(
        self,
        kinds: Mapping[str, Kind] | None = None,
        reader: Reader | None = None,
        speech: Speaks | None = None,
    ) -> None:
        self._kinds = load_kinds() if kinds is None else kinds
        self._reader = reader or shipped()
        self._speech = speech or Speech()
        self._scenes = SceneRenderer(self._kinds, self._speech)
        self._capabilities = Capabilities.of(CARD, str(SOUND), manners=Manners.load())

    @property
    def capabilities(self) -> Capabilities:
        """What foley can do; its revision is the number of its sound, `SOUND`."""
        return self._capabilities

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        """Make conditions one by one: what each scene takes over from those before.

        Reads of the plan only the sub-event, the one before it, and the parts that continue it. A
        stem is not heard in every scene: its conditions go on from the latest that is known, over
        all sub-events between.
        """
        made = dict(known)
        if stem is not Stem.COMPOSITE:
            for place in places:
                made[place] = Condition(encode(self._state_at(plan, place, made, stem)))
                yield {place: made[place]}
            return
        banned = self._banned(plan)
        for place in places:
            before = made.get(place - 1)
            event = plan.sub_events[place]
            script = self._script(event.caption, event.layers, plan.language, plan.version)
            state = None if before is None else decode(before.data)
            state = carry_over(plan, place, state, script, self._kinds, banned)
            made[place] = Condition(encode(state))
            yield {place: made[place]}

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        """Make one clip per request, in order; equal requests give bit-identical waveforms.

        Raises:
            EngineFailed: if a line cannot be spoken.
            Cancelled: if `watch` says so.
        """
        results = []
        for index, request in enumerate(requests):
            with followed(watch, index):
                results.append(self._clip(request))
        return results

    def close(self) -> None:
        """End the helper process that speaks."""
        self._speech.close()

    def _state_at(
        self, plan: StoryPlan, place: int, made: Mapping[int, Condition], stem: Stem
    ) -> Carryover:
        """Return the state of a stem at a sub-event."""

        def read(caption: str, layers: Sequence[Layer]) -> Script:
            return self._script(caption, layers, plan.language, plan.version)

        latest = max((at for at in made if at < place), default=None)
        first = 0 if latest is None else latest + 1
        state = None if latest is None else decode(made[latest].data)
        banned = self._banned(plan)
        for at in range(first, place + 1):
            event = plan.sub_events[at]
            script = script_of(plan, event, stem, read)
            state = carry_over(plan, at, state, script, self._kinds, banned)
            state = project(state, plan, event, stem)
        assert state is not None
        return state

    def _banned(self, plan: StoryPlan) -> tuple[str, ...]:
        """Return the kinds that the author said are not to be heard in the whole story."""
        readings = (self._reader.read(words, plan.language) for words in plan.directions)
        return tuple(sorted({sound.kind for reading in readings for sound in reading.denied}))

    def _clip(self, request: ClipRequest) -> ClipResult:
        script = self._requested(request)
        state = self._state(request, script)
        script = script.without(state.denied, state.banned)
        tail = min(int(request.parameters.get("tail_samples", 0)), request.samples // 2)
        made = self._scenes.render(
            SceneOrder(
                script=script,
                state=state,
                seed=request.seed,
                samples=request.samples,
                tail=tail,
                language=request.language,
                cast=request.cast,
                stem=request.stem,
                say=request.say,
            )
        )
        is_asked = bool(request.caption or request.layers)
        is_lost = is_asked and (script.is_empty or (script.is_retelling and not state.subjects))
        not_made = [f"not made: {text}" for text in script.left_over]
        return ClipResult(
            waveform=made.waveform,
            matched=tuple(_matches(script, state)),
            unmatched=(script.left_over or (request.caption,)) if is_lost else (),
            warnings=tuple(made.warnings if is_lost else [*not_made, *made.warnings]),
            is_silence=script.is_silence or script.is_still or not is_asked,
        )

    def _requested(self, request: ClipRequest) -> Script:
        def read(caption: str, layers: Sequence[Layer]) -> Script:
            return self._script(caption, layers, request.language, request.version)

        if request.stem is Stem.COMPOSITE:
            return read(request.caption, request.layers)
        beside = decode(request.condition.data).beside if request.condition else ()
        return script_alone(StemView(request.caption, request.layers), request.stem, beside, read)

    def _script(self, caption: str, layers: Sequence[Layer], language: str, version: int) -> Script:
        return write_script(caption, layers, language, self._reader, self._kinds, version)

    def _state(self, request: ClipRequest, script: Script) -> Carryover:
        if request.condition is None:
            alone = opening(f"{request.seed} {request.caption}")
            return enter(alone, script, self._kinds, 0, request.samples, "")
        state = decode(request.condition.data)
        story_seed = int(request.parameters.get("story_seed", 0))
        if story_seed == 0:
            return state
        beds = (replace(bed, seed=seed_of(bed.seed, story_seed)) for bed in state.beds)
        return replace(state, world=seed_of(state.world, story_seed), beds=tuple(beds))


def _matches(script: Script, state: Carryover) -> Iterable[str]:
    yield from (_match(mention) for mention in script.beds)
    if script.is_retelling:
        yield from (f"{kind}: {script.carried.motion}" for kind in state.subjects)
    for turn in (*script.turns, *script.music):
        if isinstance(turn, Cue):
            yield _match(turn.mention)
        elif isinstance(turn, SpeechLayer):
            yield f"speech: {turn.speaker or 'narrator'}: {turn.words}"
    yield from (f"{kind}: goes on" for kind in state.companions)
    yield from (f"silence: {text}" for text in script.silences)
    if script.is_empty or script.is_still:
        yield from (f"{bed.kind}: carried on" for bed in state.beds if bed.kind != ROOM_TONE)


def _match(mention: Mention) -> str:
    return f"{mention.kind}: {mention.text}"

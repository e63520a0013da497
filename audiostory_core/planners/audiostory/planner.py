"""The AudioStory network as a planner: its own reasoning and captions become the plan.

Source: AudioStory, arXiv 2508.20088: the model thinks about the instruction, then writes a caption
and a duration for each sub-event.
"""

from collections.abc import Sequence

from audiostory_core.errors import BadInput
from audiostory_core.model.generation import generate
from audiostory_core.model.grammar import full_instruction, prompt_ids
from audiostory_core.model.network import Network
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.planners.timing import DraftScene, share_time
from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import VERSION, StoryPlan, SubEvent, WrittenTokens


class AudioStoryPlanner:
    """Plans a story as the network does; implements `Planner`.

    How long the story is and in which language, if the author does not say, is read from the text
    by the planner `clauses`; so are changes in plain words, which the network was not taught.

    Args:
        network: of this process.
    """

    name = "audiostory"

    def __init__(self, network: Network) -> None:
        self._network = network
        self._clauses = Clauses()

    def plan(self, brief: Brief) -> StoryPlan:
        """Return the sub-events that the model wrote, in the requested time.

        Its durations are scaled to the total; what is then longer than a clip is split, what would
        be shorter than the shortest sub-event is joined to its neighbor. Each is in the notes.

        Raises:
            BadInput: if the instruction or the duration cannot be planned, or the model writes no
                sub-event.
        """
        read = self._clauses.plan(brief)
        text = " ".join([brief.instruction, *brief.remarks])
        instruction = full_instruction(text, read.duration_s)
        with self._network.reading() as (language_model, _):
            vocabulary = self._network.vocabulary
            generation = generate(language_model, vocabulary, prompt_ids(vocabulary, instruction))
        segments = [segment for segment in generation.segments if segment.caption]
        if not segments:
            raise BadInput(
                "instruction",
                brief.instruction,
                "made the model write no scene",
                "Say it in other words, or plan with --planner clauses.",
            )
        notes = [
            f"scene {number} as the model wrote it {segment.problem}"
            for number, segment in enumerate(generation.segments, 1)
            if segment.problem
        ]
        drafts = [DraftScene(segment.caption, segment.duration_s) for segment in segments]
        sub_events, changes = share_time(drafts, read.samples, brief.longest_clip_s)
        return StoryPlan(
            version=VERSION,
            instruction=brief.instruction,
            language=read.language,
            duration_s=read.duration_s,
            reasoning=generation.reasoning,
            sub_events=tuple(sub_events),
            notes=(*notes, *changes),
            written=WrittenTokens(
                vocabulary=self._network.revision,
                reasoning=_spaced(generation.reasoning_ids),
                captions={segment.caption: _spaced(segment.caption_ids) for segment in segments},
            ),
        )

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event, changed as the author's plain words ask.

        Raises:
            BadInput: if the words say nothing that can be changed.
        """
        return self._clauses.revise(event, change, language)

    def edits(self, plan: StoryPlan, remark: str, at: int | None = None) -> tuple[Edit, ...]:
        """Return the edits that a remark asks for; see `ReadsRemarks`."""
        return self._clauses.edits(plan, remark, at)


def _spaced(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))

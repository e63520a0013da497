"""How loud a story becomes of which little is heard."""

from dataclasses import replace

import pytest

from audiostory_core.audio.mastering import LEFT_QUIET
from audiostory_core.engines.protocol import UNWATCHED
from storage import revisions, stories
from tests.support.fakes import ToneEngine


class FaintEngine(ToneEngine):
    """Makes faint noise; of captions with "portal" it knows nothing, others may be silences."""

    def synthesize(self, requests, watch=UNWATCHED):
        results = super().synthesize(requests, watch)
        return [
            replace(
                result,
                waveform=result.waveform * 0.01,
                matched=() if "portal" in request.caption else result.matched,
                is_silence="silence" in request.caption,
            )
            for request, result in zip(requests, results, strict=True)
        ]


@pytest.mark.parametrize(
    ("instruction", "is_raised"),
    [
        ("a portal hums", False),
        ("a portal hums\nsilence", False),
        ("soft rain", True),
        ("a portal hums\nsoft rain", True),
    ],
)
async def test_story_is_raised_only_where_something_that_was_asked_for_is_heard(
    studio, instruction, is_raised
):
    studio.engine = FaintEngine()
    story = await studio.add(instruction)
    await studio.run(story.id)

    async with studio.store.database.read() as session:
        story = await stories.get(session, story.id)
        mastering = (await revisions.find_mix(session, story.revision_id)).mastering
    if is_raised:
        assert mastering["gain_db"] > 20
        assert mastering["reached"]
    else:
        assert (mastering["gain_db"], mastering["reason"]) == (0.0, LEFT_QUIET)
        assert mastering["loudness_lufs"] < -40

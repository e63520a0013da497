"""What the commands do once their input is known to be good."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from api.engines.catalog import engines
from api.engines.planners import NEED_SERVER, NEED_WEIGHTS
from api.exports.service import open_mix
from api.revisions import service as revision_service
from api.settings import Settings
from api.store import OpenStore, opened_store
from api.stories.queries import detail_story, list_seams, view_story
from api.stories.schemas import SceneView, StoryCreate, StoryDetail, StoryStatus, StoryView
from api.stories.service import check_usable, create_story
from api.terminal import console
from audiostory_core.errors import BadInput
from audiostory_core.stem import Stem, engine_names
from audiostory_core.story.edits import Edit
from storage import revisions, runs, stories
from storage.database import Database
from storage.errors import StoreError
from storage.models import Event, RunState, Wait
from storage.progress import Progress, measure
from storage.worker_lock import count_alive, is_dead

DONE, FAILED, BAD_INPUT, DEGRADED = 0, 1, 2, 3
MEASURE_S = 1.0  # between two measurements of progress
View = TypeVar("View", bound=StoryView)


def unnamed(story_id: str) -> Path:
    """Return the file of a story whose author named none: no other story's."""
    return Path(f"{story_id}.wav")


async def create(
    wanted: StoryCreate,
    target: Path | None,
    *,
    as_json: bool,
    prints_id: bool = False,
    stems: Path | None = None,
    edits: Sequence[Edit] = (),
) -> int:
    """Make a story and write it; return the exit code.

    Args:
        wanted: the story.
        target: where its mix goes; None names the file by its id.
        as_json: print JSON, and no progress.
        prints_id: print its id instead of the story, as soon as there is one.
        stems: folder where its stems go; None writes none.
        edits: of the plan, once there is one.
    """
    async with opened_store() as (store, settings):
        check_usable(wanted, settings)
        _check_parts(wanted, settings)
        story = await create_story(store.database, wanted, settings.tail_s, edits=edits)
        console.err.print(f"story {story.id}, seed {story.seed}")
        if prints_id:
            console.out.print(story.id)
        return await make_and_write(
            store,
            settings,
            story.id,
            target or unnamed(story.id),
            as_json=as_json,
            is_reported=not prints_id,
            stems=stems,
        )


def _check_parts(wanted: StoryCreate, settings: Settings) -> None:
    """Refuse a story that this process cannot make, before it is stored."""
    from api.engines.engine_factory import Parts  # noqa: PLC0415 - torch takes seconds

    parts = Parts(settings, looks_only=True)
    cards = [engines().get(name) for name in engine_names(wanted.engine, wanted.engines)]
    checked = {
        ("engine", card.name): card.weights is not None or not card.is_shipped for card in cards
    }
    checked["planner", wanted.planner] = wanted.planner in (*NEED_WEIGHTS, *NEED_SERVER)
    for (field, name), is_checked in checked.items():
        why = parts.why_unusable(field, name) if is_checked else None
        if why is not None:
            raise BadInput(field, name, "is not usable here", why)


async def resume(
    story_id: str, target: Path | None, *, as_json: bool, stems: Path | None = None
) -> int:
    """Go on with a story and write it; return the exit code."""
    async with opened_store() as (store, settings):
        if stems is not None:
            await _check_stems(store, story_id, stems)
            check_folder(stems)
        return await make_and_write(store, settings, story_id, target, as_json=as_json, stems=stems)


async def approve(story_id: str, target: Path | None, *, as_json: bool) -> int:
    """Approve what a story waits for, and go on with it if asked; return the exit code."""
    async with opened_store() as (store, settings):
        review = await revision_service.approve(store.database, story_id)
        if review is not None and target is not None:
            return await make_and_write(store, settings, story_id, target, as_json=as_json)
    if review is None:
        raise BadInput("story", story_id, "does not wait for a review", "See `audiostory show ID`.")
    console.out.print(f"{review} approved; go on with: audiostory resume {story_id}")
    return DONE


async def show(story_id: str, plot: Path | None, *, as_json: bool) -> None:
    """Print a story, and draw it if asked."""
    async with opened_store() as (store, _):
        async with store.database.read() as session:
            detail, scenes = await detail_story(session, story_id)
            _, _, revision = await stories.load(session, story_id)
            seams = await list_seams(session, revision.id) if revision else []
            is_attended = await _is_attended(store, session)
        detail = _as_it_stands(detail, is_attended)
        if as_json:
            console.print_json(_as_json(detail, scenes) | {"seams": seams})
        else:
            console.show_story(detail)
            console.show_scenes(scenes)
            console.show_seams(seams)
            console.show_degradations(detail.degradations)
        if plot is not None:
            await _draw(store, story_id, plot, scenes)
            if not as_json:
                console.out.print(f"drawn to {plot}", markup=False, soft_wrap=True)


async def list_newest(limit: int, *, as_json: bool) -> None:
    """Print the newest stories."""
    async with opened_store() as (store, _), store.database.read() as session:
        rows = await stories.list_newest(session, limit)
        is_attended = await _is_attended(store, session)
    views = [_as_it_stands(view_story(*row), is_attended) for row in rows]
    if as_json:
        console.print_json([view.model_dump(mode="json") for view in views])
    else:
        console.show_list(views)


async def _is_attended(store: OpenStore, session: AsyncSession) -> bool:
    """Tell whether a worker is there: an idle one would soon have what is to be done."""
    if count_alive(store.workers):
        return True
    return any(not is_dead(store.workers, owner) for owner in await runs.list_owners(session))


def _as_it_stands(view: View, is_attended: bool) -> View:
    if is_attended or view.status not in (StoryStatus.QUEUED, StoryStatus.RUNNING):
        return view
    return view.model_copy(update={"status": StoryStatus.WAITING})


async def make_and_write(
    store: OpenStore,
    settings: Settings,
    story_id: str,
    target: Path | None,
    *,
    as_json: bool,
    is_reported: bool = True,
    since_event: int | None = None,
    stems: Path | None = None,
) -> int:
    """Work on a story until it settles, write its mix, and report; return the exit code.

    Args:
        store: the open data folder.
        settings: of this installation.
        story_id: of the story.
        target: where the mix goes, accepted or not; None writes none.
        as_json: print JSON, and no progress.
        is_reported: print the story as it then is.
        since_event: number of the event after which a change was asked for; if it is refused, that
            is all that is told, and nothing is written.
        stems: folder where the stems go; None writes none.
    """
    from api.stories import local_run  # noqa: PLC0415 - LangGraph and scipy, where there is work to do

    refused: list[str] = []
    cancelled: list[int] = []

    def listen(event: Event) -> None:
        bar.hear(event)
        is_new = since_event is not None and event.number > since_event
        if is_new and event.kind == "change.refused":
            refused.append(event.data["error"])
        if is_new and event.kind == "run.cancelled":
            cancelled.append(event.number)

    try:
        with console.story_progress(is_shown=not as_json) as bar:
            async with _measuring(store.database, story_id, bar.show if bar.is_drawn else None):
                run = await local_run.make_story(
                    store, settings, story_id, listen, partial(console.show_held, story_id)
                )
    except asyncio.CancelledError:
        console.show_interrupted(story_id, target)
        raise
    if refused:
        console.err.print(f"audiostory: {'; '.join(refused)}", markup=False, soft_wrap=True)
        return BAD_INPUT
    if cancelled or run.state == RunState.CANCELLED:
        console.err.print("audiostory: cancelled by another command; nothing is written")
        console.show_interrupted(story_id, target)
        return FAILED
    async with store.database.read() as session:
        detail, scenes = await detail_story(session, story_id)
    if detail.status == StoryStatus.FAILED or run.waits_for == Wait.CLIP_REVIEW:
        console.err.print(f"audiostory: {detail.error}", markup=False, soft_wrap=True)
        return BAD_INPUT if run.is_bad_input else FAILED
    is_mixed = detail.is_accepted is not None
    written = target if is_mixed else None
    if written is not None:
        from api.exports.writing import write_mix  # noqa: PLC0415 - numpy takes a moment

        await write_mix(store, story_id, written, is_shown=not as_json)
    await _write_stems(store, story_id, stems if is_mixed else None)
    if is_reported:
        await _report(store, detail, scenes, written, as_json=as_json)
    return DEGRADED if detail.degradations else DONE


@asynccontextmanager
async def _measuring(
    database: Database, story_id: str, show: Callable[[Progress], None] | None
) -> AsyncIterator[None]:
    """Show a story's progress for the duration of the block, and once more at its end.

    Nothing is measured where nobody watches (None).
    """
    if show is None:
        yield
        return
    meter = _Meter(database, story_id, show)
    task = asyncio.create_task(meter.measure_often())
    try:
        yield
        await meter.measure()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Meter:
    def __init__(self, database: Database, story_id: str, show: Callable[[Progress], None]) -> None:
        self._database = database
        self._story_id = story_id
        self._show = show
        self._last: Progress | None = None

    async def measure_often(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(MEASURE_S)

    async def measure(self) -> None:
        with suppress(StoreError):  # whoever works on the story meets it too, and tells of it
            async with self._database.read() as session:
                self._last = await measure(session, self._story_id, self._last)
            self._show(self._last)


def check_folder(folder: Path) -> None:
    """Make the folder of stems if need be.

    Raises:
        BadInput: if it cannot be written to.
    """
    try:
        folder.mkdir(exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"cannot be written to ({error.strerror or error})"
        raise BadInput("stems", str(folder), problem, "Choose another folder.") from error


async def _check_stems(store: OpenStore, story_id: str, folder: Path) -> None:
    async with store.database.read() as session:
        story = await stories.get(session, story_id)
    if story.engines is None:
        problem = f"cannot be written: story {story_id} has one composite clip a scene"
        remedy = "Make a story of stems: audiostory create --stems FOLDER"
        raise BadInput("stems", str(folder), problem, remedy)


async def _write_stems(store: OpenStore, story_id: str, folder: Path | None) -> None:
    """Write what each stem adds to the mix, before the master gain; None writes none."""
    if folder is None:
        return
    from api.exports.writing import write_stem  # noqa: PLC0415 - numpy takes a moment

    async with store.database.read() as session:
        story = await stories.get(session, story_id)
        mix = await revisions.find_mix(session, story.revision_id or 0)
    for stem in [stem for stem in Stem if mix is not None and stem in mix.stems]:
        await write_stem(store, story_id, stem, folder / f"{stem}.wav")
    console.err.print(f"stems in {folder}", markup=False, soft_wrap=True)


async def _report(
    store: OpenStore,
    detail: StoryDetail,
    scenes: list[SceneView],
    target: Path | None,
    *,
    as_json: bool,
) -> None:
    async with store.database.read() as session:
        _, _, revision = await stories.load(session, detail.id)
        seams = await list_seams(session, revision.id) if revision else []
    if as_json:
        output = str(target) if target is not None else None
        console.print_json(_as_json(detail, scenes) | {"seams": seams, "output": output})
        return
    console.show_scenes(scenes)
    for note in detail.notes:
        console.show_note(note)
    console.show_seams(seams)
    if detail.mastering is not None:
        console.out.print(console.mastering_line(detail.mastering), markup=False)
    console.show_degradations(detail.degradations)
    if target is not None:
        console.show_written(target, detail)
    if detail.status == StoryStatus.IN_REVIEW:
        console.show_review(detail)


async def _draw(store: OpenStore, story_id: str, plot: Path, scenes: list[SceneView]) -> None:
    from api.maintenance.repair import read_mended  # noqa: PLC0415 - numpy takes a moment
    from audiostory_core.audio.plot import draw  # noqa: PLC0415 - matplotlib takes half a second

    async def write() -> None:
        async with store.database.read() as session:
            mix = await open_mix(session, store.audio, story_id)
            _, _, revision = await stories.load(session, story_id)
            seams = await list_seams(session, revision.id) if revision else []
        with mix:
            draw(
                mix,
                [scene.start_s for scene in scenes],
                [scene.caption for scene in scenes],
                [(seam["at_s"], seam["overlap_s"]) for seam in seams],
                plot,
                title=f"story {story_id}",
            )

    await read_mended(store, write)


def _as_json(detail: StoryDetail, scenes: list[SceneView]) -> dict[str, object]:
    listed = [scene.model_dump(mode="json") for scene in scenes]
    return detail.model_dump(mode="json") | {"scenes": listed}

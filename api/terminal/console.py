"""What the command line shows: progress on stderr, tables and reports on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from api.stories.schemas import SceneView, StemView, StoryDetail, StoryStatus, StoryView
from api.terminal.shown import escaped, shown
from audiostory_core.story.plan import SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.shape_words import figures_of

if TYPE_CHECKING:  # a plan is shown without a database
    from storage.models import Event
    from storage.progress import Progress as Measured

MAKING = "making clips"
STEPS = {  # that an event begins, as the author reads it
    "run.started": "planning",
    "plan.ready": MAKING,
    "revision.ready": MAKING,
    "clip.queued": MAKING,
    "mix.ready": "mixed",
    "llm.waiting": "waiting for the language model",
    "engine.waiting": "waiting for a worker that has the engine",
}


class Terminal(Console):
    """A console on which no text of others controls anything; its own styles do."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text as it is shown, before it is measured for a table."""
        return super().render_str(shown(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of anything else as they are shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))


out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON that a script reads."""
    text = escaped(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    out.print(JSONHighlighter()(text), soft_wrap=True)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


class StoryBar:
    """A line that tells how far a story is.

    Args:
        line: what draws it.
    """

    def __init__(self, line: Progress) -> None:
        self._line = line
        self._task = line.add_task("planning", total=None, clips="", left="")

    @property
    def is_drawn(self) -> bool:
        """Whether anybody sees it: not in a pipe, and not beside JSON."""
        return not self._line.disable

    def hear(self, event: Event) -> None:
        """Tell which step an event begins."""
        if event.kind in STEPS:
            self._line.update(self._task, description=STEPS[event.kind])
        if event.kind == "scene.written":
            self._line.update(self._task, description=f"planning: {event.data['place']} scenes")

    def show(self, measured: Measured) -> None:
        """Tell how far the story is, and how long it will take at the pace that was measured."""
        if not measured.clips_total:
            return
        is_made = measured.clips_finished + measured.clips_failed == measured.clips_total
        if is_made and self._line.tasks[self._task].description == MAKING:
            self._line.update(self._task, description="mixing")
        left = "" if measured.eta_s is None else f"{_clock(measured.eta_s, 0)} left"
        self._line.update(
            self._task, total=1.0, completed=measured.share, clips=clips_line(measured), left=left
        )


def clips_line(measured: Measured) -> str:
    """Return how far the clips are, such as "3/8 clips, 2 in the making (40 %)"."""
    line = f"{measured.clips_finished}/{measured.clips_total} clips"
    if measured.working_share is not None:
        line += f", {measured.working} in the making ({measured.working_share:.0%})"
    if measured.clips_failed:
        line += f", {measured.clips_failed} failed"
    return line


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "2 scenes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def story_progress(is_shown: bool) -> Iterator[StoryBar]:
    """Show the progress of a story."""
    line = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[clips]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=err,
        disable=not (is_shown and err.is_terminal),
        transient=True,
    )
    with line:
        yield StoryBar(line)


@contextmanager
def export_progress(is_shown: bool, name: str) -> Iterator[Any]:
    """Show the progress of writing a file, in samples."""
    with Progress(
        TextColumn(f"writing {escape(name)}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not (is_shown and err.is_terminal),
        transient=True,
    ) as progress:
        task = progress.add_task("writing", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_plan(plan: StoryPlan) -> None:
    """Print a plan as a table."""
    table = _plan_table(f"{counted(len(plan.sub_events), 'sub-event')}, {plan.duration_s:g} s")
    for index, (start_s, event) in enumerate(zip(plan.starts_s, plan.sub_events, strict=True), 1):
        table.add_row(
            str(index), _clock(start_s), f"{event.duration_s:.2f}", escape(_telling(event))
        )
    out.print(table)
    for note in plan.notes:
        show_note(note)


def show_scenes(scenes: list[SceneView]) -> None:
    """Print the sub-events of a stored story as a table."""
    table = _plan_table(counted(len(scenes), "sub-event"))
    table.add_column("heard as", ratio=1)
    for scene in scenes:
        heard = _heard_as(scene.stems) if scene.status == "finished" else scene.status
        table.add_row(
            str(scene.index),
            _clock(scene.start_s),
            f"{scene.duration_s:.2f}",
            escape(scene.caption),
            escape(heard),
        )
    out.print(table)


def _heard_as(stems: Iterable[StemView]) -> str:
    """Return the kinds of sound in a scene's clips, such as "dialogue: speech; effects: rain"."""
    clips = []
    for stem in stems:
        kinds = dict.fromkeys(match.partition(":")[0] for match in stem.matched)
        named = "" if stem.stem == "composite" else f"{stem.stem}: "
        clips.append(named + ", ".join(kinds).replace("_", " "))
    return "; ".join(clips)


def show_story(detail: StoryDetail) -> None:
    """Print what is known of a story beside its scenes."""
    by_stem = (detail.engines or {}).items()
    made_by = ", ".join(f"{stem} {engine}" for stem, engine in by_stem) or detail.engine
    out.print(f"[bold]{detail.id}[/]  {detail.status}  seed {detail.seed}  {escape(made_by)}")
    out.print(escape(detail.instruction[:400]))
    for note in detail.notes:
        show_note(note)
    if detail.error:
        out.print(f"[red]error[/] {escape(detail.error)}")
    if detail.refusal:
        out.print(f"[yellow]not changed[/] {escape(detail.refusal)}")
    if detail.mastering:
        out.print(escape(mastering_line(detail.mastering)))
    if detail.status == StoryStatus.IN_REVIEW:
        show_review(detail)
    if detail.status == StoryStatus.WAITING:
        out.print(f"go on with: audiostory resume {detail.id}", soft_wrap=True)


def mastering_line(mastering: dict[str, Any]) -> str:
    """Return loudness and peak of a mix in one line."""
    loudness, peak = mastering["loudness_lufs"], mastering["true_peak_dbtp"]
    if loudness is peak is None and mastering["reason"] and "until accepted" in mastering["reason"]:
        return f"gain {mastering['gain_db']:+.1f} dB; {mastering['reason']}"
    parts = [
        "loudness undefined" if loudness is None else f"loudness {loudness:.1f} LUFS",
        "silence" if peak is None else f"true peak {peak:.1f} dBTP",
        f"gain {mastering['gain_db']:+.1f} dB",
    ]
    if mastering["reduction_db"] > 0:
        parts.append(f"limited by up to {mastering['reduction_db']:.1f} dB")
    line = ", ".join(parts)
    return line if mastering["reached"] else f"{line}; {mastering['reason']}"


def show_seams(seams: list[dict[str, Any]]) -> None:
    """Print the worst seams of a mix: those farthest outside the levels of their two sides."""
    if not seams:
        return
    worst = sorted(seams, key=lambda seam: -seam["excess_db"])[:5]
    table = Table(title=f"seams, the most audible of {len(seams)}", title_justify="left")
    for column in ("at", "before", "in", "after", "excess", "step", "ρ"):
        table.add_column(column, justify="right")
    for seam in worst:
        table.add_row(
            _clock(seam["at_s"]),
            *(_level(seam[name]) for name in ("before_db", "in_db", "after_db")),
            f"{seam['excess_db']:.1f} dB",
            f"{seam['step_db']:+.1f} dB",
            f"{seam['rho']:.2f}",
        )
    out.print(table)


def show_list(stories: list[StoryView]) -> None:
    """Print stories as a table, newest first."""
    table = Table(expand=True)
    table.add_column("id", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("instruction", ratio=1, no_wrap=True, overflow="ellipsis")
    for story in stories:
        length = "" if story.duration_s is None else _clock(story.duration_s)
        one_line = " ".join(story.instruction[:300].split())
        table.add_row(story.id, story.status, length, escape(one_line))
    out.print(table)


def show_degradations(lines: list[str]) -> None:
    """Print what could not be made."""
    for line in lines:
        err.print(f"[yellow]degraded[/] {escape(line)}")


def show_draft(number: int, event: SubEvent) -> None:
    """Print a sub-event that a planner has just written, before its time is settled."""
    err.print(f"[dim]{number:>3}  {escape(event.caption)}[/]")


def show_note(note: str) -> None:
    """Print a remark of the planner."""
    out.print(f"[yellow]note[/] {escape(note)}")


def show_written(path: Path, detail: StoryDetail) -> None:
    """Print where a finished story is, and how to come back to it."""
    out.print(f"[bold green]{escape(str(path))}[/]  {detail.duration_s:g} s", soft_wrap=True)
    out.print(f"story {detail.id}, seed {detail.seed}; more: audiostory show {detail.id}")


def show_interrupted(story_id: str, target: Path | None) -> None:
    """Print how to go on with a story after Ctrl-C."""
    where = f" -o {target}" if target is not None else ""
    err.print(f"go on with: audiostory resume {story_id}{where}", markup=False, soft_wrap=True)


def show_held(story_id: str, holder: str) -> None:
    """Print who works on a story while this process follows it."""
    line = f"story {story_id} is being worked on by another process ({holder}); following it"
    err.print(line, markup=False, soft_wrap=True)


def show_review(view: StoryView) -> None:
    """Print what a story in review waits for and how to go on."""
    from storage.models import Wait  # noqa: PLC0415 - see show_story

    verb = "resume" if view.waits_for == Wait.CLIP_REVIEW else "approve"
    go_on = f"audiostory {verb} {view.id} -o story.wav"
    out.print(f"waits for {view.waits_for}; go on with: {go_on}", soft_wrap=True)


def _plan_table(title: str) -> Table:
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("start", justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("caption", ratio=2)
    return table


def _telling(event: SubEvent) -> str:
    spoken = [layer for layer in event.layers if isinstance(layer, SpeechLayer)]
    lines = [f"{layer.speaker or 'voice'}: “{layer.words}”" for layer in spoken]
    shapes = [
        f"{layer.words if isinstance(layer, SpeechLayer) else layer.text}: {', '.join(words)}"
        for layer in event.layers
        if (words := figures_of(layer).values())
    ]
    return "\n".join([event.caption, *lines, *shapes])


def _clock(at_s: float, decimals: int = 1) -> str:
    minutes, rest = divmod(round(at_s, decimals), 60)
    hours, minutes = divmod(int(minutes), 60)
    seconds = f"{rest:0{3 + decimals if decimals else 2}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def _level(level_db: float) -> str:
    from audiostory_core.audio.seams import FLOOR_DB  # noqa: PLC0415 - imports numpy

    return "silent" if level_db <= FLOOR_DB else f"{level_db:.1f} dB"

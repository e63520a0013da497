"""Commands for the weights of networks. They need no database."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.terminal.options import AsJson

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Weights of the AudioStory network.")
app.add_typer(group, name="models")

Target = Annotated[Path, typer.Argument(metavar="DST", help="A folder that does not exist yet.")]


@group.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A checkpoint as its authors published it.")
    ],
    target: Target,
    llm: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Qwen2.5-3B-Instruct, if not in SRC.")
    ] = None,
    text_encoder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="flan-t5-large, if not in SRC.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="float32, bfloat16 or float16 (default: the checkpoint's)."),
    ] = None,
) -> None:
    """Write a published checkpoint in the studio's layout, which loads faster and serves vLLM."""
    from rich.filesize import decimal

    from api.models.service import network_libraries, shown_progress

    with network_libraries():
        from audiostory_core.model.weights import convert as conversion
    with shown_progress("converting") as on_progress:
        manifest = conversion.convert(
            source,
            target,
            llm=llm,
            text_encoder=text_encoder,
            dtype=dtype,
            on_progress=on_progress,
        )
    _show(f"{target}  revision {manifest.revision[:12]}, {decimal(manifest.size)}")


@group.command()
def pull(
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Such as TencentARC/AudioStory-3B.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to (default: below $AUDIOSTORY_HOME/models)."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit (default: the newest).")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror (default: HF_ENDPOINT).")
    ] = None,
) -> None:
    """Fetch a checkpoint from the Hugging Face Hub or a mirror; run it again to go on."""
    from api.models.service import network_libraries, shown_progress
    from api.settings import read_settings

    target = to or read_settings().models / repo.rpartition("/")[2]
    with network_libraries():
        from audiostory_core.model.weights import hub
    with shown_progress("fetching") as on_progress:
        hub.pull(repo, target, revision=revision, endpoint=endpoint, on_progress=on_progress)
    _show(str(target))


@group.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List what lies in $AUDIOSTORY_HOME/models."""
    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table

    from api.models import service
    from api.settings import read_settings
    from api.terminal import console

    models = service.list_models(read_settings().models)
    if as_json:
        console.print_json([asdict(model) for model in models])
        return
    table = Table()
    for column in ("name", "kind", "revision"):
        table.add_column(column, no_wrap=True)
    table.add_column("size", justify="right")
    for model in models:
        revision = "" if model.revision is None else model.revision[:12]
        table.add_row(escape(model.name), model.kind, revision, decimal(model.size))
    console.out.print(table)


@group.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Converted weights.")],
) -> None:
    """Read every file of converted weights again and compare it with its hash."""
    from api.models.service import shown_progress
    from audiostory_core.model.weights.manifest import Manifest

    manifest = Manifest.read(folder)
    with shown_progress("verifying") as on_progress:
        done = 0

        def on_bytes(more: int) -> None:
            nonlocal done
            done += more
            on_progress(done, manifest.size)

        manifest.verify(folder, on_bytes)
    _show(f"{folder} is whole, revision {manifest.revision[:12]}")


@group.command()
def tiny(
    target: Target,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of all weights.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=0, max=1_000_000, help="Of the language model's training.")
    ] = None,
) -> None:
    """Train a tiny checkpoint in the published layout, to try the whole path on a laptop."""
    from api.models.service import network_libraries, shown_progress

    with network_libraries():
        from audiostory_core.model.tiny.checkpoint import write_tiny
    options = {} if steps is None else {"steps": steps}
    with shown_progress("training") as on_step:
        write_tiny(target, seed, on_step, **options)
    _show(str(target))


def _show(line: str) -> None:
    from api.terminal import console

    console.out.print(line, markup=False, soft_wrap=True)

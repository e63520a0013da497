"""Commands for the weights of networks. They need no database."""

from pathlib import Path
from typing import Annotated

import typer

from api.terminal.options import AsJson

app = typer.Typer()
models = typer.Typer(no_args_is_help=True, help="Weights of the AudioStory network.")
app.add_typer(models, name="models")

Target = Annotated[Path, typer.Argument(metavar="DST", help="A folder that does not exist yet.")]


@models.command()
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
        typer.Option(help="float32, bfloat16 or float16; without it, the checkpoint's."),
    ] = None,
) -> None:
    """Write a published checkpoint in the studio's layout, which loads faster and serves vLLM."""
    from api.models import handlers

    handlers.convert(source, target, llm, text_encoder, dtype)


@models.command()
def pull(
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Such as TencentARC/AudioStory-3B.")],
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Without it, in $AUDIOSTORY_HOME/models.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; without it, the newest.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror; without it, HF_ENDPOINT.")
    ] = None,
) -> None:
    """Fetch a checkpoint from the Hugging Face Hub or a mirror; run it again to go on."""
    from api.models import handlers

    handlers.pull(repo, to, revision, endpoint)


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List what lies in $AUDIOSTORY_HOME/models."""
    from api.models import handlers

    handlers.list_all(as_json=as_json)


@models.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Converted weights.")],
) -> None:
    """Read every file of converted weights again and compare it with its hash."""
    from api.models import handlers

    handlers.verify(folder)


@models.command()
def tiny(
    target: Target,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of all weights.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=0, max=1_000_000, help="Of the language model's training.")
    ] = None,
) -> None:
    """Train a tiny checkpoint in the published layout, to try the whole path on a laptop."""
    from api.models import handlers

    handlers.tiny(target, seed, steps)

"""Commands for the server of the language model. They need no database."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="The language model on a server of its own.")
app.add_typer(group, name="llm")


@group.command()
def serve(
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="Converted weights, or as published.")
    ],
    vllm: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- VLLM]...", help="Further arguments, for vLLM itself."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8330,
    tensor_parallel: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="GPUs to share the model among.")
    ] = 1,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="float32, bfloat16 or float16 (default: float32 on a CPU, float16 on a GPU)."
        ),
    ] = None,
    states: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where states are handed over (default: in memory)."),
    ] = None,
    pooling: Annotated[
        bool,
        typer.Option("--pooling", help="Return states over HTTP, and do nothing else."),
    ] = False,
) -> None:
    """Serve the language model of WEIGHTS by vLLM until Ctrl-C or SIGTERM; see docs/serving.md."""
    from api.llm import vllm_process

    options = vllm_process.ServeOptions(
        weights=weights,
        host=host,
        port=port,
        tensor_parallel=tensor_parallel,
        dtype=dtype,
        states=states,
        is_pooling=pooling,
        further=tuple(vllm or ()),
    )
    raise typer.Exit(vllm_process.serve(options))

"""Commands that run the service and tell how it is."""

import asyncio
from typing import Annotated

import typer

from api.engines.options import EngineCommand
from api.operations.memory import share_one_arena
from api.terminal.options import AsJson, Weights

FAILED = 1

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8321,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Worker processes to supervise.")
    ] = None,
    weights: Weights = None,
) -> None:
    """Serve the HTTP API, with the workers it needs."""
    from api.operations.serving import serve_forever
    from api.settings import read_settings

    raise typer.Exit(serve_forever(read_settings(), host, port, workers))


@app.command(cls=EngineCommand)
def worker(
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine", metavar="NAME", help="Make clips of this engine only; repeatable."
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, max=256, help="Clips handed to an engine at once.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes that make clips (default: one per core)."),
    ] = None,
    weights: Weights = None,
    supervised: Annotated[
        bool, typer.Option("--supervised", help="Stop when standard input closes.", hidden=True)
    ] = False,
) -> None:
    """Make clips and drive stories until stopped (Ctrl-C or SIGTERM finish what is being done)."""
    from api.operations.worker_process import work_forever

    share_one_arena()
    asyncio.run(work_forever(supervised, engine or (), batch, processes))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; other commands do so by themselves."""
    from api.settings import read_settings
    from api.terminal.console import out
    from storage.database import Database
    from storage.location import shown
    from storage.schema import SCHEMA

    settings = read_settings()
    Database.open(settings.database)
    out.print(f"{shown(settings.database)} is at schema {SCHEMA}", markup=False, soft_wrap=True)


@app.command()
def doctor(weights: Weights = None, as_json: AsJson = False) -> None:
    """Tell what is installed, which engines and planners are usable here, and why not."""
    from api.operations.doctor import examine, show_findings
    from api.settings import read_settings
    from api.terminal.console import print_json

    findings = examine(read_settings())
    if as_json:
        print_json([finding.model_dump() for finding in findings])
    else:
        show_findings(findings)
    if any(finding.is_needed and not finding.is_usable for finding in findings):
        raise typer.Exit(FAILED)

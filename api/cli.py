"""The command line: every command checks its input, then hands over.

Exit codes: 0 done, 1 failed, 2 bad input, 3 finished with degradations, 130 interrupted.
"""

import atexit
import gc
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from api.backups import commands as backup_commands
from api.engines import commands as engine_commands
from api.exports import commands as export_commands
from api.keys import commands as key_commands
from api.llm import commands as llm_commands
from api.maintenance import commands as maintenance_commands
from api.models import commands as model_commands
from api.operations import commands as operation_commands
from api.revisions import commands as revision_commands
from api.stories import commands as story_commands
from api.terminal.shown import shown
from api.webhooks import commands as webhook_commands
from audiostory_core.errors import BadInput, StudioError
from storage.errors import StoreError, StoreUnusable

DONE, FAILED, BAD_INPUT, DEGRADED, INTERRUPTED = 0, 1, 2, 3, 130
COLLECT_AFTER = 50_000  # objects; at Python's 700, importing alone collects a hundred times

app = typer.Typer(
    name="audiostory",
    help="""Turn one instruction into a long audio story, and revise it scene by scene.

    Try:  audiostory create "A fire truck leaves the station, siren blaring" --duration 35.1 -o
    story.wav

    AUDIOSTORY_HOME names the data folder. Exit codes: 0 done, 1 failed, 2 bad input, 3 finished
    with degradations (listed), 130 interrupted; `audiostory resume ID` goes on after that.
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for commands in (
    story_commands,
    revision_commands,
    export_commands,
    operation_commands,
    maintenance_commands,
    backup_commands,
    key_commands,
    webhook_commands,
    engine_commands,
    model_commands,
    llm_commands,
):
    app.add_typer(commands.app)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"audiostory {version('audiostory-studio')}")
        raise typer.Exit


@app.callback()
def _begin(
    is_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Print the version and exit."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line; every error is one line that says what to do."""
    _collect_less()
    try:
        code = app(standalone_mode=False) or DONE  # 130 after Ctrl-C
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):  # the latter before a command begins
        code = INTERRUPTED
    except typer.TyperException as error:
        code = _complain(error.format_message(), BAD_INPUT)
    except (BadInput, StoreError) as error:
        is_away = isinstance(error, StoreUnusable) and error.is_passing
        code = _complain(str(error), FAILED if is_away else BAD_INPUT)
    except StudioError as error:
        code = _complain(str(error), FAILED)
    except (BrokenPipeError, SystemExit) as error:
        if BrokenPipeError not in (type(error), type(error.__context__)):
            raise
        code = _leave_pipe()
    sys.exit(code)


def _collect_less() -> None:
    """Spare a short command the search for garbage in its modules, a quarter of its time."""
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    atexit.register(gc.freeze)


def _complain(message: str, code: int) -> int:
    print(shown(f"audiostory: {message}"), file=sys.stderr)
    return code


def _leave_pipe() -> int:
    """Drop what is still to be printed: in `audiostory list | head`, head has all it wants.

    rich and typer end the process with 1 for it.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE

"""The command line: every command checks its input, then hands over.

Exit codes: 0 done, 1 failed, 2 bad input, 3 finished with degradations, 130 interrupted.
"""

import os
import sys

import typer

from api.keys import commands as key_commands
from api.llm import commands as llm_commands
from api.maintenance import commands as maintenance_commands
from api.models import commands as model_commands
from api.operations import commands as operation_commands
from api.revisions import commands as revision_commands
from api.stories import commands as story_commands
from api.webhooks import commands as webhook_commands
from audiostory_core.errors import BadInput, StudioError
from storage.errors import BadText, Conflict, NotFound, StoreError

FAILED, BAD_INPUT, DEGRADED, INTERRUPTED = 1, 2, 3, 130

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
    operation_commands,
    maintenance_commands,
    key_commands,
    webhook_commands,
    model_commands,
    llm_commands,
):
    app.add_typer(commands.app)


def main() -> None:
    """Run the command line; every error is one line that says what to do."""
    try:
        sys.exit(app(standalone_mode=False) or 0)  # 130 after Ctrl-C
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        _complain(error.format_message())
        sys.exit(BAD_INPUT)
    except (BadInput, NotFound, Conflict, BadText) as error:
        _complain(str(error))
        sys.exit(BAD_INPUT)
    except (StudioError, StoreError) as error:
        _complain(str(error))
        sys.exit(FAILED)
    except BrokenPipeError:  # `audiostory list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _complain(message: str) -> None:
    print(f"audiostory: {message}", file=sys.stderr)

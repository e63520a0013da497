"""The beginning of `audiostory`, which is `python -m api`."""

import os
import sys

INTERRUPTED = 130
try:
    import signal  # which imports enum, functools and collections
except KeyboardInterrupt:
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly, also while it is being imported."""
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heeded:  # an import could swallow KeyboardInterrupt, or chain another error to it
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from api import cli  # noqa: PLC0415 - what is being imported

    try:
        if is_heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()

"""The log of a flow: of an expected error its text, and no traceback; and no end when nobody reads it."""

import logging
from functools import partial

from cnnpipe.errors import CnnpipeError


class _WithoutTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], CnnpipeError):
            record.exc_info = None
        return True


_FILTER = _WithoutTraceback()


def show_expected_errors_as_text() -> None:
    """Drop tracebacks of expected errors from the logs of flow runs and task runs; all others stay."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_FILTER)  # the very same filter is added once


def go_on_without_a_reader() -> None:
    """Drop what is written to a terminal, or to a worker, that is gone: rich would end the stage instead.

    Prefect's server gets the log all the same. Source: rich 15, console.py, `on_broken_pipe`.
    """
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            console = getattr(handler, "console", None)
            if console is not None:
                console.on_broken_pipe = partial(setattr, console, "quiet", True)

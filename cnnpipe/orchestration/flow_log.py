"""What Prefect's log shows of an expected error: its text, and no traceback."""

import logging

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

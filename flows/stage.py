"""One stage as a flow, on a worker of another pool: flows.pipeline sends it there."""

from typing import Any

from cnnpipe import telemetry

telemetry.turn_off()  # before Prefect reads its settings

from prefect import flow  # noqa: E402

from cnnpipe.orchestration.flow.sent_stage import run_sent_stage  # noqa: E402


@flow(name="stage", persist_result=False)
def stage(name: str, revision: str, lock: dict[str, Any]) -> None:
    """Bring one stage up to date in a clone at the same commit, and push what it made.

    Args:
        name: of the stage, e.g. train@lenet.
        revision: the commit of the clone that sent it.
        lock: that clone's dvc.lock, as far as the stage needs it.
    """
    run_sent_stage(name, revision, lock)

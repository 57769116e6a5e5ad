"""The whole graph as a flow: `python -m flows.pipeline [STAGE...]`, or a deployment of prefect.yaml."""

import sys
from typing import Any

from cnnpipe import telemetry

telemetry.turn_off()  # before Prefect reads its settings

from prefect import State, flow  # noqa: E402

from cnnpipe.orchestration.flow.door import main  # noqa: E402
from cnnpipe.orchestration.flow.pipeline import run_pipeline  # noqa: E402


@flow(name="pipeline", persist_result=False)
def pipeline(
    stages: list[str] | None = None, revision: str | None = None, device_pool: str | None = None
) -> State[Any] | None:
    """Bring the project up to date, as `dvc repro` does.

    Args:
        stages: these and what they need, e.g. ["evaluate@lenet"]; none: all.
        revision: branch, tag or commit that a worker's clone is made at; here, the commit that is expected.
        device_pool: work pool that trainings and judgements are sent to, e.g. gpu; none: they run here.
    """
    return run_pipeline(stages or (), revision=revision, device_pool=device_pool)


if __name__ == "__main__":
    sys.exit(main(pipeline, sys.argv[1:]))

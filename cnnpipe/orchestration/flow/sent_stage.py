"""A stage that another flow has sent to this worker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dvc.utils.serialize import dump_yaml
from prefect import get_run_logger

from cnnpipe import paths
from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.orchestration import remote
from cnnpipe.orchestration.children import Children
from cnnpipe.orchestration.flow import log as flow_log
from cnnpipe.orchestration.flow.stage_runs import Site, push, run_stage
from cnnpipe.orchestration.graph import read_graph
from cnnpipe.orchestration.leases import devices, leased
from cnnpipe.params.experiment import TrainParams
from cnnpipe.params.load import did_you_mean, load_section

_GRACE_S: Final = 10.0


def run_sent_stage(stage: str, revision: str, lock: Mapping[str, Any]) -> None:
    """Bring one stage up to date in the working folder, a clone made for it, and push what it made.

    What the stage needs is not computed here: the lock names its content, the remote has it.

    Args:
        stage: its name in the graph.
        revision: the commit of the clone.
        lock: the sender's dvc.lock, as far as the stage needs it.

    Raises:
        ParamsError: the graph of this commit has no such stage.
        StorageError: there is no remote, or it did not take the results.
        CnnpipeError: of the class that the stage itself ended with.
    """
    flow_log.show_expected_errors_as_text()
    flow_log.go_on_without_a_reader()
    root, log = Path.cwd(), get_run_logger()
    nodes = {node.name: node for node in read_graph(root)}
    if stage not in nodes:
        raise ParamsError("name", f"{revision[:12]} has no stage {stage!r}", did_you_mean(stage, nodes))
    if remote.default_remote(root) is None:
        fix = "set one that all workers reach, and commit .dvc/config: docs/remotes.md"
        raise StorageError("the DVC remote", "none is set, so results cannot go back", fix)
    if lock["stages"]:
        dump_yaml(str(root / "dvc.lock"), dict(lock))
    machine = load_section(paths.PARAMS, "train", TrainParams)
    children = Children()
    site = Site(root=root, children=children)
    try:
        with leased(
            devices(threads=machine.num_threads, wanted=machine.device),
            holder=f"{stage} of {root.name}",
            is_stopped=children.is_stopping,
            on_wait=log.info,
        ) as lease:
            log.info("%s works on %s", stage, lease.name)
            run_stage(stage, site, on_line=log.info, pull="with what it needs", lease=lease)
        push(remote.push_command(stage), site, on_line=log.info)
    except BaseException:
        children.stop(grace_s=_GRACE_S)
        raise

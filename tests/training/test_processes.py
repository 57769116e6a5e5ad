"""Several processes by their environment: a number that does not agree, and a loss that is none in both."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_projects import ROOT, environment

from cnnpipe.errors import ParamsError
from cnnpipe.params.experiment import TrainParams
from cnnpipe.shares import own_share
from cnnpipe.training.processes import check_number, followers

# as the stage has it: the first process keeps checkpoints by the clock, of which the other knows nothing
DIVERGING = """
import sys
from dataclasses import replace
from pathlib import Path
from toy_pictures import toy_data, toy_network, toy_params
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import Pace, Surroundings, fit
from cnnpipe.training.processes import leave
data, calls = toy_data(), iter(range(1000))
def losses(network, batch, device):
    parts = data.objective.losses(network, batch, device)
    return {name: part * (float("nan") if next(calls) == 4 else 1.0) for name, part in parts.items()}
accelerator = make_accelerator("cpu")
pace = Pace(minutes=1e-9 if accelerator.is_main_process else None)
surroundings = Surroundings(accelerator, Path(sys.argv[1]), lambda *_: None, "float32", pace)
params = toy_params(on_divergence={"rate_factor": 0.5, "times": 1})
learnt = replace(data, objective=replace(data.objective, losses=losses))
print(fit(toy_network(seed=1), learnt, params, surroundings).incidents)
leave()
"""


def test_the_share_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert own_share() == (0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert own_share() == (2, 3)


def test_another_number_of_processes_than_params_say_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a part of what decides the result: a torchrun of three is no training by two."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    check_number(3)
    machine = TrainParams(device="cpu", precision="auto", num_threads=1, num_workers=0, processes=2)
    with (
        pytest.raises(ParamsError, match=r"is 2, and the environment \(WORLD_SIZE\) says 3") as caught,
        followers(machine, ["train", "lenet"]),
    ):
        pass
    assert caught.value.fix == "set it to 3, or start 2"


@pytest.mark.slow
def test_a_loss_that_is_no_number_takes_all_processes_back(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", DIVERGING, str(tmp_path)],
            env=environment(**shared, RANK=rank, LOCAL_RANK=rank),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        ends = [process.communicate(timeout=90) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    expected = "('diverged (training, step 5: the loss is nan): back to step 4, rate x 0.5',)\n"
    assert [said for said, _ in ends] == [expected] * 2, ends

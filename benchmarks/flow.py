"""What a flow costs beyond its stages, and what a second worker saves.

    .venv/bin/python -m benchmarks.flow [--out FILE]

A graph of stages that only wait, over real servers: first each stage's command by hand, then the flow with a
server that runs already, then the flow with a server of its own. Bounds: 2 s per stage with a running server;
10 % and 40 s with its own. Then two trainings of equal length sent to workers: two workers over one, bound
0.65.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import side_by_side

sys.path.append(str(side_by_side.RESULTS.parents[1] / "tests"))  # of the tests: a project, a free port

import tiny_projects
from stub_projects import make_stub_project
from tracking.mlflow_servers import free_port

STAGES: Final = 12
STAGE_S: Final = 3
TRAINING_S: Final = 60
BOUND_PER_STAGE_S: Final = 2.0
BOUND_FRESH: Final = (1.1, 40.0)  # factor, and seconds
BOUND_WORKERS: Final = 0.65
_UP_S: Final = 180.0
_DONE_S: Final = 900.0


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when a bound is passed."""
    options = side_by_side.options(__doc__, "flow", rounds=1).parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cnnpipe-flow-") as folder:
        measured = _measure(Path(folder))
    by_hand, running, fresh = (measured[name] for name in ("by_hand_s", "running_s", "fresh_s"))
    measured["per_stage_s"] = (running - by_hand) / STAGES
    measured["workers_ratio"] = measured["two_workers_s"] / measured["one_worker_s"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    factor, seconds = BOUND_FRESH
    print(f"{STAGES} stages by hand: {by_hand:.1f} s")
    print(f"as a flow {running:.1f} s, with a server of its own {fresh:.1f} s")
    print(f"per stage {measured['per_stage_s']:.2f} s, bound {BOUND_PER_STAGE_S}")
    print(f"with a server of its own {fresh - by_hand * factor:.1f} s beyond 10 %, bound {seconds:.0f}")
    print(
        f"two trainings: one worker {measured['one_worker_s']:.0f} s, two {measured['two_workers_s']:.0f} s"
    )
    print(f"ratio {measured['workers_ratio']:.2f}, bound {BOUND_WORKERS}")
    return int(
        measured["per_stage_s"] > BOUND_PER_STAGE_S
        or fresh > by_hand * factor + seconds
        or measured["workers_ratio"] > BOUND_WORKERS
    )


def _measure(folder: Path) -> dict[str, float]:
    chain = {f"s{i}": {"cmd": f"sleep {STAGE_S} && touch o{i}", "outs": [f"o{i}"]} for i in range(STAGES)}
    for i in range(STAGES):
        chain[f"s{i}"]["deps"] = ["input" if i == 0 else f"o{i - 1}"]
    graph = json.dumps({"stages": chain})  # JSON is YAML
    environment = _environment(folder)
    by_hand = _timed(
        ["sh", "-c", " && ".join(str(stage["cmd"]) for stage in chain.values())], folder, environment
    )
    flow = [sys.executable, "-m", "flows.pipeline"]
    fresh = _timed(flow, make_stub_project(folder / "fresh", graph), environment)
    trainings = make_stub_project(folder / "trainings", _trainings())
    (folder / "remote").mkdir()
    with _servers(trainings, environment) as served:
        running = _timed(flow, make_stub_project(folder / "running", graph), served)
        seconds = [_spread(trainings, served, workers) for workers in (1, 2)]
    return {
        "by_hand_s": by_hand,
        "running_s": running,
        "fresh_s": fresh,
        "one_worker_s": seconds[0],
        "two_workers_s": seconds[1],
    }


def _trainings() -> str:
    train = {
        "foreach": ["one", "two"],
        "do": {
            "cmd": f"sleep {TRAINING_S} && cp input ${{item}}.out",
            "deps": ["input"],
            "outs": ["${item}.out"],
            "meta": {"device": True},
        },
    }
    return json.dumps({"stages": {"train": train}})


def _spread(project: Path, environment: dict[str, str], workers: int) -> float:
    """Return how long the flow takes that sends both trainings to a pool of so many workers."""
    (project / "input").write_text(str(workers), encoding="utf-8")  # nothing is to be restored
    if not (project / ".dvc/config").read_text(encoding="utf-8").strip():
        store = str(project.with_name("remote"))
        remote = [sys.executable, "-m", "dvc", "remote", "add", "--default", "store", store]
        subprocess.run(remote, cwd=project, env=environment, check=True, capture_output=True)
    tiny_projects.git(project, "commit", "--quiet", "--all", "-m", "another input")
    command = [sys.executable, "-m", "cnnpipe", "worker", "--pool", "gpu", "--limit", "1"]
    running = []
    try:
        for number in range(workers):  # as on machines of their own
            own = {"CNNPIPE_WORK": f"{project}-work{number}", "CNNPIPE_LEASES": f"{project}-leases{number}"}
            running.append(
                subprocess.Popen(
                    command,
                    cwd=project,
                    env={**environment, **own},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        time.sleep(15)  # a worker is up
        return _timed([sys.executable, "-m", "flows.pipeline", "--device-pool", "gpu"], project, environment)
    finally:
        for process in running:
            process.terminate()
            process.wait()


def _timed(command: list[str], cwd: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=_DONE_S
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def _environment(folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    return {
        **own,
        **tiny_projects.environment(),
        "PREFECT_HOME": str(folder / "prefect"),
        "CNNPIPE_LEASES": str(folder / "leases"),
    }


@contextmanager
def _servers(project: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run `cnnpipe server` for the block; yield the environment of who talks to it."""
    prefect, mlflow = free_port(), free_port()
    api = f"http://127.0.0.1:{prefect}/api"
    ports = ["--prefect-port", str(prefect), "--mlflow-port", str(mlflow), "--folder", f"{project}-server"]
    log = project.with_name("server.log")
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "cnnpipe", "server", *ports],
            cwd=project,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + _UP_S
        while "In each other terminal" not in log.read_text(encoding="utf-8"):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"no server: {log.read_text(encoding='utf-8')}")
            time.sleep(0.5)
        tracking = f"http://127.0.0.1:{mlflow}"
        yield {**environment, "PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": tracking}
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

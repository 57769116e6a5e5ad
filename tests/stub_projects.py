"""A DVC project whose stages are a line of shell each: the flow knows no stage by name."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import tiny_projects
from tiny_projects import ROOT, git, tiny_params, write_params

# two ways side by side, joined at the end
GRAPH = """
stages:
  start: {cmd: cp input a, deps: [input], outs: [a]}
  train:
    foreach: [one, two]
    do: {cmd: "cp a ${item}.out", deps: [a], outs: ["${item}.out"], meta: {device: true}}
  end: {cmd: cat one.out two.out > z, deps: [one.out, two.out], outs: [z]}
"""

# what a shell starts in the background ignores SIGINT, and all that it starts does
_WITH_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, '-m', 'flows.pipeline', *sys.argv[1:]])"
)


def make_stub_project(
    folder: Path, graph: str = GRAPH, changes: Mapping[str, Mapping[str, object]] | None = None
) -> Path:
    """Make and commit a project of cnnpipe's flows around another graph; return its folder."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, check=True)
    for name in ("flows/__init__.py", "flows/pipeline.py", "flows/stage.py", "prefect.yaml", "prefect.toml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    write_params(folder, tiny_params({"lenet": {}}, {"flow": {"retry_delay_s": 1}, **(changes or {})}))
    (folder / "dvc.yaml").write_text(graph, encoding="utf-8")
    (folder / "input").write_text("1", encoding="utf-8")
    (folder / ".gitignore").write_text("/a\n/z\n/*.out\n/.cnnpipe/\n__pycache__\n", encoding="utf-8")
    (folder / ".dvcignore").write_text("__pycache__\n.cnnpipe\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "a project")
    return folder


class Flow:
    """Runs `python -m flows.pipeline` against a server."""

    def __init__(self, folder: Path, api: str, home: Path) -> None:
        self.folder = folder
        self.environment = tiny_projects.environment(
            PREFECT_API_URL=api, PREFECT_HOME=str(home), CNNPIPE_LEASES=str(folder.parent / "leases")
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it."""
        return subprocess.Popen(
            [sys.executable, "-c", _WITH_CTRL_C, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return its exit code and what it said."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

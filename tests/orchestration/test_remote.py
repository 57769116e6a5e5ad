"""The DVC remote, pushed to, restored from, gone, full: a folder and a real S3 server."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from s3_server import BUCKET, Server, s3_server
from tiny_projects import environment, git, make_tiny_project, run

from cnnpipe.errors import StorageError
from cnnpipe.orchestration import remote

GRAPH = """\
stages:
  code:
    cmd: exec python stub.py code.json
    always_changed: true
    outs:
      - code.json: {cache: false}
  ingest:
    cmd: exec python stub.py data/raw/a data/raw/b
    params: [ingest, {code.json: [digest]}]
    outs: [data/raw]
  train:
    foreach: ${experiments}
    do:
      cmd: exec python stub.py models/${key}/weights models/${key}/history
      deps: [data/raw]
      params: ["experiments.${key}", {code.json: [digest]}]
      outs: ["models/${key}/weights", "models/${key}/history"]
"""
STUB = """\
import pathlib, sys, time
for each in map(pathlib.Path, sys.argv[1:]):
    each.parent.mkdir(parents=True, exist_ok=True)
    params = pathlib.Path("params.yaml").read_text()
    each.write_text('{"digest": 1}' if each.name == "code.json" else f"{each} {params}")
    if (wait := pathlib.Path("wait")).exists() and "slow" in str(each):
        print("waiting", flush=True)
        time.sleep(float(wait.read_text()))
"""
STAGES = ("ingest", "train@lenet", "train@slow")
PARAMS = "ingest: 1\nexperiments: {lenet: {epochs: 1}, slow: {epochs: 2}}\n"
IGNORED = "/code.json\n/data/raw\n/models\n/big\n/wait\n"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project, computed, dvc.lock committed; tests work on copies."""
    root = tmp_path_factory.mktemp("stub") / "project"
    root.mkdir()
    for name, text in {
        "dvc.yaml": GRAPH,
        "stub.py": STUB,
        "params.yaml": PARAMS,
        ".gitignore": IGNORED,
    }.items():
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch=main")
    assert run(root, sys.executable, "-m", "dvc", "init", "--quiet").returncode == 0
    done = dvc(root, "repro")
    assert done.returncode == 0, done.stderr
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=x")
    return root


@pytest.fixture
def project(computed: Path, tmp_path: Path) -> Path:
    shutil.copytree(computed, tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> "Store":
    """An empty place for a remote."""
    if request.param == "folder":
        return folder_store(tmp_path / "store")
    return s3_store(request.getfixturevalue("server"), tmp_path.name)


class Store:
    """A place for a remote: its address and settings, what a process needs to reach it, its files."""

    def __init__(self, url: str, settings: Mapping[str, str], variables: dict[str, str], files: Path) -> None:
        self.url, self.settings, self.variables, self.files = url, settings, variables, files

    def set_on(self, root: Path) -> None:
        """Make it the default remote of a project."""
        lines = ["[core]", "remote = store", "['remote \"store\"']", f"url = {self.url}"]
        lines += [f"{key} = {value}" for key, value in self.settings.items()]
        (root / ".dvc/config.local").write_text("\n".join([*lines, ""]), encoding="utf-8")

    def push(self, root: Path, *stages: str) -> None:
        for stage in stages:
            remote.push_stage(root, stage, environment=environment(**self.variables))

    def repro(self, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return dvc(root, "repro", *words, **self.variables)

    def objects(self) -> set[str]:
        """Return the files it holds as clients see them, no temporary ones."""
        found = (each for each in self.files.rglob("*") if each.is_file())
        return {str(each.relative_to(self.files)) for each in found if ".rclone_temp" not in each.name}


def folder_store(folder: Path) -> Store:
    folder.mkdir(exist_ok=True)
    return Store(str(folder), {}, {}, folder)


def s3_store(server: Server, name: str) -> Store:
    settings = {"endpointurl": server.endpoint}
    return Store(f"s3://{BUCKET}/{name}", settings, server.environment(), server.folder / BUCKET / name)


def dvc(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(root, sys.executable, "-m", "dvc", *words, **variables)


def fresh_clone(project: Path, folder: Path, store: Store) -> Path:
    git(project.parent, "clone", "--quiet", str(project), str(folder))
    store.set_on(folder)
    return folder


def stages_that_ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


def test_a_stage_pushes_its_outputs_and_its_run_and_nothing_twice(project: Path, store: Store) -> None:
    store.set_on(project)
    store.push(project, "train@lenet")
    first = store.objects()
    assert sum(each.startswith("files/") for each in first) == 2  # weights, history
    assert sum(each.startswith("runs/") for each in first) == 1
    again = subprocess.run(
        remote.push_command("train@lenet"),
        cwd=project,
        env=environment(**store.variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == "store: 0 files pushed\n"
    assert store.objects() == first


def test_all_stages_pushed_are_what_dvc_itself_pushes(project: Path, tmp_path: Path) -> None:
    ours, theirs = folder_store(tmp_path / "ours"), folder_store(tmp_path / "theirs")
    ours.set_on(project)
    ours.push(project, "code", *STAGES)
    assert dvc(project, "remote", "add", "other", str(theirs.files)).returncode == 0
    assert dvc(project, "push", "--run-cache", "--remote", "other").returncode == 0
    assert ours.objects() == theirs.objects()


@pytest.mark.parametrize("is_locked", [True, False], ids=["lock committed", "no lock"])
def test_a_fresh_clone_restores_without_computing(
    project: Path, store: Store, tmp_path: Path, is_locked: bool
) -> None:
    store.set_on(project)
    store.push(project, *STAGES)
    clone = fresh_clone(project, tmp_path / "clone", store)
    if not is_locked:
        (clone / "dvc.lock").unlink()
    done = store.repro(clone, "--pull")
    assert done.returncode == 0, done.stderr
    assert stages_that_ran(done.stdout) == ["code"]
    assert (clone / "dvc.lock").read_bytes() == (project / "dvc.lock").read_bytes()
    assert (clone / "models/lenet/weights").read_bytes() == (project / "models/lenet/weights").read_bytes()


def test_what_was_not_pushed_is_computed(project: Path, store: Store, tmp_path: Path) -> None:
    store.set_on(project)
    store.push(project, "ingest", "train@lenet")
    done = store.repro(fresh_clone(project, tmp_path / "clone", store), "--pull")
    assert done.returncode == 0, done.stderr
    assert stages_that_ran(done.stdout) == ["code", "train@slow"]


def test_one_stage_elsewhere_restores_what_it_needs_by_the_lock(
    project: Path, store: Store, tmp_path: Path
) -> None:
    store.set_on(project)
    store.push(project, "ingest")
    done = store.repro(fresh_clone(project, tmp_path / "clone", store), "--pull", "train@lenet")
    assert done.returncode == 0, done.stderr
    assert stages_that_ran(done.stdout) == ["code", "train@lenet"]


def test_a_folder_that_is_gone_is_not_made_anew_and_the_next_push_completes(
    project: Path, tmp_path: Path
) -> None:
    store = folder_store(tmp_path / "store")
    store.set_on(project)
    store.files.rmdir()
    with pytest.raises(
        StorageError, match=r"there is no such folder\n  fix: mount its disk, or make"
    ) as told:
        store.push(project, "ingest")
    assert told.value.exit_code == 7
    assert remote.is_reachable(project) == "there is no such folder"
    assert not store.files.exists()
    store.files.mkdir()
    store.push(project, "ingest")
    assert remote.is_reachable(project) == ""
    assert store.objects()


def test_a_server_that_is_gone_is_told_within_seconds_and_the_next_push_completes(
    project: Path, tmp_path: Path
) -> None:
    with s3_server(tmp_path / "s3") as server:
        store = s3_store(server, "x")
        store.set_on(project)
        store.push(project, "ingest")
        assert remote.is_reachable(project, environment=environment(**store.variables)) == ""
        before = store.objects()
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"DVC remote store .*Could not connect to the endpoint"):
        store.push(project, "train@lenet")
    assert time.monotonic() - began < 30
    assert store.objects() == before
    with s3_server(tmp_path / "again") as server:
        shutil.copytree(store.files, server.folder / BUCKET / "x")
        anew = s3_store(server, "x")
        anew.set_on(project)
        anew.push(project, "train@lenet")
        assert len(anew.objects()) == len(before) + 3


# the program with less patience, or its tests would take minutes
IMPATIENT = (
    sys.executable,
    "-c",
    "import sys; from cnnpipe.orchestration import remote_transfer as program;"
    "program._ANSWER_S, program._WATCH_S = 3.0, 2.0; sys.exit(program.main(sys.argv[1:]))",
)


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up(project: Path, server: Server) -> None:
    store = s3_store(server, "silent")
    store.set_on(project)
    os.kill(server.process.pid, signal.SIGSTOP)  # it still accepts connections
    try:
        pushed = run(project, *IMPATIENT, "push", "ingest", **store.variables)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert "no answer within 3 s" in str(remote.push_fault(pushed.returncode, pushed.stdout))
    store.push(project, "ingest")


@pytest.mark.slow
def test_a_server_that_falls_silent_in_the_middle_is_given_up(project: Path, server: Server) -> None:
    make_big(project)
    store = s3_store(server, "middle")
    store.set_on(project)
    with subprocess.Popen(
        [*IMPATIENT, "push", "big"],
        cwd=project,
        env=environment(**store.variables),
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        wait_for_bytes(store.files)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            said, _ = child.communicate(timeout=100)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
            child.kill()
    assert child.returncode == 7
    assert "it took a connection, and no answer came" in str(remote.push_fault(child.returncode, said))
    store.push(project, "big")
    assert broken_objects(store) == []


@pytest.mark.parametrize(
    ("address", "changes", "told"),
    [
        ("s3://data/x", {"AWS_SECRET_ACCESS_KEY": "planted-wrong-secret"}, "does not match the signature"),
        (
            "s3://data/x",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "Unable to locate credentials",
        ),
        ("s3://nobucket/x", {}, "bucket does not exist"),
    ],
    ids=["wrong secret", "no credentials", "no bucket"],
)
def test_a_refusal_says_why_and_shows_no_secret(
    project: Path, server: Server, address: str, changes: dict[str, str], told: str
) -> None:
    variables = server.environment() | changes
    Store(address, {"endpointurl": server.endpoint}, variables, Path()).set_on(project)
    with pytest.raises(StorageError, match=told) as refused:
        remote.push_stage(project, "ingest", environment=environment(**variables))
    assert told in remote.is_reachable(project, environment=environment(**variables))
    for secret in filter(None, (variables["AWS_SECRET_ACCESS_KEY"], variables["AWS_ACCESS_KEY_ID"])):
        assert secret not in str(refused.value)


def test_an_address_in_a_complaint_shows_no_secret(project: Path) -> None:
    settings = {"endpointurl": "http://me:planted@127.0.0.1:9/?sig=known", "session_token": "sig=known"}
    Store("s3://data/x", settings, {}, Path()).set_on(project)
    variables = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "else"}
    told = remote.is_reachable(project, environment=environment(**variables))
    assert "127.0.0.1:9" in told
    assert "planted" not in told
    assert "sig=known" not in told


def make_big(project: Path) -> None:
    """Give a stage an output that takes a while to send."""
    text = (project / "dvc.yaml").read_text()
    big = (
        "  big:\n    cmd: exec head -c 200000000 /dev/urandom > big\n    params: [ingest]\n    outs: [big]\n"
    )
    (project / "dvc.yaml").write_text(text + big)
    assert dvc(project, "repro", "big").returncode == 0


def test_a_killed_push_leaves_nothing_broken_and_the_next_one_completes(project: Path, store: Store) -> None:
    make_big(project)
    store.set_on(project)
    command = remote.push_command("big")
    with subprocess.Popen(
        command, cwd=project, env=environment(**store.variables), start_new_session=True
    ) as child:
        wait_for_bytes(store.files)
        os.killpg(child.pid, signal.SIGKILL)
    assert 0 < max(sizes(store.files)) < 200_000_000  # in the middle of the file
    assert broken_objects(store) == []
    assert not any(each.startswith("runs/") for each in store.objects())
    store.push(project, "big")
    assert broken_objects(store) == []
    assert sum(each.startswith("files/") for each in store.objects()) >= 1
    assert sum(each.startswith("runs/") for each in store.objects()) == 1


def wait_for_bytes(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not sizes(folder) and time.monotonic() < deadline:
        time.sleep(0.001)


def sizes(folder: Path) -> list[int]:
    found = []
    for each in folder.rglob("*"):
        try:
            found += [each.stat().st_size] if each.is_file() else []
        except FileNotFoundError:  # a temporary one
            continue
    return [size for size in found if size]


def broken_objects(store: Store) -> list[str]:
    """Return the objects whose content is not what their name says."""
    found = [each for each in store.objects() if each.startswith("files/md5/")]
    return [
        each
        for each in found
        if not each.endswith(".tmp")
        and hashlib.md5((store.files / each).read_bytes(), usedforsecurity=False).hexdigest()
        != each.removeprefix("files/md5/").replace("/", "").removesuffix(".dir")
    ]


def test_a_full_disk_is_told_and_the_next_push_completes(project: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        make_big(project)
        store = folder_store(disk)
        store.set_on(project)
        with pytest.raises(StorageError, match="No space left on device"):
            store.push(project, "big")
        assert broken_objects(store) == []
        subprocess.run(["mount", "-o", "remount,size=300m", str(disk)], check=True)
        store.push(project, "big")
        assert broken_objects(store) == []
        assert max(sizes(disk)) == 200_000_000
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_push_runs_beside_a_stage(project: Path, store: Store) -> None:
    store.set_on(project)
    (project / "wait").write_text("5")
    (project / "params.yaml").write_text(PARAMS.replace("epochs: 2", "epochs: 3"))
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", "train@slow"]
    with subprocess.Popen(
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as stage:
        assert stage.stdout is not None
        while "waiting" not in stage.stdout.readline():
            assert stage.poll() is None
        store.push(project, "train@lenet")
        assert stage.poll() is None  # still computing
        stage.communicate()
        assert stage.returncode == 0
    assert load_yaml(str(project / "dvc.lock"))["stages"]["train@slow"]["params"]["params.yaml"] == {
        "experiments.slow": {"epochs": 3}
    }


def test_without_a_remote_there_is_none(project: Path) -> None:
    assert remote.default_remote(project) is None
    assert remote.is_reachable(project) == "none is set"
    with pytest.raises(StorageError, match=r"none is set\n  fix: dvc remote add --default NAME URL"):
        remote.push_stage(project, "ingest", environment=environment())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:planted@server/x", "https://server/x"),
        ("ssh://me:planted@server:22/x", "ssh://server:22/x"),
        ("s3://data/x", "s3://data/x"),
    ],
)
def test_the_address_of_a_remote_shows_no_password(project: Path, url: str, shown: str) -> None:
    Store(url, {}, {}, Path()).set_on(project)
    found = remote.default_remote(project)
    assert found == remote.Remote(name="store", address=shown, is_folder=False)


def test_a_default_remote_that_is_not_there_is_named(project: Path) -> None:
    (project / ".dvc/config.local").write_text("[core]\n    remote = gone\n")
    with pytest.raises(StorageError, match=r"there is no remote 'gone'"):
        remote.default_remote(project)


def test_a_project_that_dvc_cannot_open_is_told_without_a_traceback(project: Path, tmp_path: Path) -> None:
    folder_store(tmp_path / "store").set_on(project)
    shutil.rmtree(project / ".git")
    assert "is not a git repository" in remote.is_reachable(project)


@pytest.mark.parametrize(
    ("exit_code", "output", "told"),
    [
        (7, "noise\nerror: DVC remote x (y): it is full\n  fix: make room\n", "it is full\n  fix: make room"),
        (-9, "", "killed by signal 9"),
        (1, "Traceback\nBoom: http://me:planted@host\n", "ended with exit code 1: Boom: http://host"),
    ],
)
def test_a_push_fault_tells_what_the_push_said(exit_code: int, output: str, told: str) -> None:
    fault = remote.push_fault(exit_code, output)
    assert told in str(fault)
    assert "planted" not in str(fault)
    assert fault.exit_code == 7


@pytest.mark.slow
def test_a_real_project_is_restored_from_a_real_server(server: Server, tmp_path: Path) -> None:
    project = make_tiny_project(tmp_path / "project")
    store = s3_store(server, "tiny")
    store.set_on(project)
    made = store.repro(project, "split")
    assert made.returncode == 0, made.stderr
    ran = stages_that_ran(made.stdout)
    assert ran == ["code", "sample", "ingest", "validate", "split"]
    pushed = run(project, *remote.push_command(*ran), **store.variables)
    assert pushed.returncode == 0, pushed.stdout
    clone = fresh_clone(project, tmp_path / "clone", store)
    restored = store.repro(clone, "--pull", "split")  # no lock was committed: from the run cache
    assert restored.returncode == 0, restored.stderr
    assert stages_that_ran(restored.stdout) == ["code"]
    assert (clone / "dvc.lock").read_bytes() == (project / "dvc.lock").read_bytes()

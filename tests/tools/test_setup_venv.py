"""Set-up: begun, interrupted, gone on with, done twice at once; with fakes in the place of pip."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tools import environment, pip_runs, setup_venv
from tools.environment import Mark
from tools.setup_venv import SetupError

ROOT = Path(__file__).resolve().parents[2]


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


class Interrupted(BaseException):
    """Stands for a kill: nothing after it runs."""


class Installs:
    """Counts the calls, and fails as told."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails: BaseException | None = None

    def __call__(self, project: Path, wanted: Mark) -> None:
        self.calls += 1
        if self.fails:
            raise self.fails


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose environment is made in no time: an empty folder with a link to this Python."""
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "requirements.lock").write_text("dvc==1.0 \\\n    --hash=sha256:aa\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "thing"\n')

    def make(venv: Path) -> None:
        shutil.rmtree(venv, ignore_errors=True)
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/python").symlink_to(sys.executable)

    monkeypatch.setattr(setup_venv, "_make", make)
    monkeypatch.setattr(environment, "is_usable", lambda venv: (venv / "bin/python").exists())
    monkeypatch.setattr(setup_venv, "_check_disk", lambda venv, keep: None)
    monkeypatch.setattr(setup_venv, "_check_machine", lambda system, machine: None)
    return folder


def test_a_finished_environment_is_left_alone(project: Path) -> None:
    install = Installs()
    setup_venv.set_up(project, install)
    setup_venv.set_up(project, install)
    assert install.calls == 1


@pytest.mark.parametrize("end", [Interrupted(), SetupError("a", "b", "c"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_set_up_is_noticed_and_gone_on_with(project: Path, end: BaseException) -> None:
    install = Installs()
    install.fails = end
    with pytest.raises(type(end)):
        setup_venv.set_up(project, install)
    (project / ".venv/kept").touch()
    install.fails = None
    setup_venv.set_up(project, install)
    assert install.calls == 2
    assert (project / ".venv/kept").exists(), "the environment was made anew, not gone on with"


def test_a_changed_lock_file_is_noticed(project: Path) -> None:
    install = Installs()
    setup_venv.set_up(project, install)
    (project / "requirements.lock").write_text("dvc==1.1 \\\n    --hash=sha256:bb\n")
    setup_venv.set_up(project, install)
    assert install.calls == 2


def test_packages_of_an_older_lock_file_are_remembered_over_an_interruption(project: Path) -> None:
    install = Installs()
    setup_venv.set_up(project, install)
    (project / "requirements.lock").write_text("typer==1.0 \\\n    --hash=sha256:bb\n")
    install.fails = Interrupted()
    with pytest.raises(Interrupted):
        setup_venv.set_up(project, install)
    mark = environment.read_mark(project / ".venv")
    assert mark is not None
    assert mark.packages == {"dvc", "typer"}
    assert not environment.is_ready(project / ".venv", environment.wanted_mark(project))


def test_a_second_set_up_waits_and_finds_all_done(project: Path) -> None:
    wanted = environment.wanted_mark(project)
    holder = """
import fcntl, pathlib, sys, time
project = pathlib.Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from tools import environment
(project / ".cnnpipe").mkdir()
with (project / ".cnnpipe/setup.lock").open("w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(0.5)
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(sys.executable)
    environment.write_mark(project / ".venv", environment.wanted_mark(project))
"""
    command = [sys.executable, "-c", holder, str(project), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        install = Installs()
        setup_venv.set_up(project, install)
    assert install.calls == 0
    assert environment.is_ready(project / ".venv", wanted)


def test_the_lock_outlives_its_holder_in_a_pip_that_goes_on(tmp_path: Path) -> None:
    """Killed without a chance to stop pip, a set-up must not be joined by a second one."""
    orphan = """
import os, pathlib, subprocess, sys
sys.path.insert(0, sys.argv[2])
from tools import setup_venv
with setup_venv._only_one(pathlib.Path(sys.argv[1])):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"], close_fds=False)
    os._exit(9)
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", orphan, str(tmp_path / "lock"), str(ROOT)], check=False)
    with setup_venv._only_one(tmp_path / "lock"):
        assert time.monotonic() - began > 1


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64")])
def test_another_machine_is_told_what_to_do(system: str, machine: str) -> None:
    with pytest.raises(SetupError, match=f"{system} {machine}\n  fix: make one by hand"):
        setup_venv._check_machine(system, machine)


@pytest.mark.parametrize(
    ("free", "present", "keep", "is_enough"),
    [
        (20e9, 0, False, True),
        (5e9, 0, False, False),
        (1e9, 7.3e9, True, True),  # only a little is missing
        (1e9, 1e9, True, False),
        (10e9, 7e9, False, True),  # what will be cleared counts as free
    ],
)
def test_the_disk_must_hold_what_is_still_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, present: float, keep: bool, is_enough: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, int(free)))
    monkeypatch.setattr(environment, "size_bytes", lambda venv: int(present))
    if is_enough:
        setup_venv._check_disk(tmp_path / ".venv", keep=keep)
    else:
        with pytest.raises(SetupError, match=f"^{tmp_path}: set-up needs .* GB .* finds .* GB\n  fix: "):
            setup_venv._check_disk(tmp_path / ".venv", keep=keep)


def fake_pip(project: Path, script: str) -> pip_runs.Runner:
    """Return a runner whose `python -I -u -m pip WORDS` is a shell script."""
    (project / ".venv/bin").mkdir(parents=True, exist_ok=True)
    python = project / ".venv/bin/python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return pip_runs.Runner(project / ".venv", log=project / "setup.log", total=4)


def test_a_failed_pip_shows_its_last_words_and_its_code(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = fake_pip(
        project, "echo lost >&2; i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); done; exit 3"
    )
    with pytest.raises(pip_runs.PipError, match="pip install ended with 3"):
        runner.run(["install"])
    said = capsys.readouterr().err
    assert "line 19" in said
    assert "lost" not in said
    assert "lost" in runner.log.read_text()


def test_a_killed_pip_is_named(project: Path) -> None:
    with pytest.raises(pip_runs.PipError, match="pip install was killed by signal 9"):
        fake_pip(project, "kill -9 $$").run(["install"])


def test_pip_unpacks_beside_the_environment_and_leaves_nothing(project: Path) -> None:
    runner = fake_pip(project, 'echo "$TMPDIR"; touch "$TMPDIR/wheel"')
    runner.run(["install"])
    assert runner.log.read_text().strip() == str(project / ".venv/tmp")
    assert not (project / ".venv/tmp").exists()


def test_a_stopped_set_up_stops_pip(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = fake_pip(project, "echo $$; exec sleep 60")

    def interrupt(runner: pip_runs.Runner, words: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(pip_runs, "_TERMINAL_EVERY_S", 0.0)
    monkeypatch.setattr(pip_runs, "_LOG_EVERY_S", 0.0)
    monkeypatch.setattr(pip_runs.Runner, "progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner.run(["install"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(runner.log.read_text()), 0)


@pytest.mark.parametrize(
    ("words", "progress"),
    [
        ("", "fetched 0 of 4 packages"),
        ("Collecting a\n  Downloading a.whl\nRequirement already satisfied: b\n", "fetched 2 of 4 packages"),
        ("Collecting a\nInstalling collected packages: a, b\n", "installed 1 of 4 packages"),
    ],
)
def test_progress_is_read_from_what_pip_says_and_does(project: Path, words: str, progress: str) -> None:
    (project / ".venv/lib/python3.11/site-packages/a-1.dist-info").mkdir(parents=True)
    assert fake_pip(project, "").progress(words) == progress


def find_python(path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "tools" / "find_python.sh"
    return subprocess.run(
        ["/bin/sh", str(script)],
        env={"PATH": f"{path}:/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def stub(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_python_that_only_has_the_name_is_passed_over(tmp_path: Path) -> None:
    stub(tmp_path / "python3.11", "exit 127")  # as the shim of a version manager does
    stub(tmp_path / "python3", f'exec "{sys.executable}" "$@"')
    ran = find_python(tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()) == Path(sys.executable).resolve()


def test_no_fitting_python_says_what_was_found_and_what_to_install(tmp_path: Path) -> None:
    stub(tmp_path / "other", 'case "$1" in --version) echo Python 3.13.1;; *) exit 1;; esac')
    ran = find_python(tmp_path, PYTHON=str(tmp_path / "other"))
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "needs Python 3.11" in ran.stderr
    assert f"{tmp_path}/other: Python 3.13.1" in ran.stderr
    assert "fix: install it" in ran.stderr

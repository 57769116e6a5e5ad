"""Several processes that share each batch, by the environment that torchrun gives its own.

One that says RANK and WORLD_SIZE makes this process one of several, on one machine or on more. Where params
ask for more processes and the environment does not, `followers` starts them beside this one. The first of
them, rank 0, is the only one that writes, records and judges on val.

Source: torch, torchrun (Elastic Launch), "Environment Variables".
"""

import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Final, NamedTuple, TypeVar

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from accelerate.state import AcceleratorState, PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cnnpipe.errors import CnnpipeError, ParamsError
from cnnpipe.params.experiment import TrainParams
from cnnpipe.shares import own_share
from cnnpipe.training.devices import uses_cuda

Told = TypeVar("Told")

_READY: Final = "CNNPIPE_READY_FD"  # of a follower: the end of a pipe
_POLL_S: Final = 0.25
_PATIENCE_S: Final = 20.0  # that followers have to end after the first
_NUM_LINES: Final = 2  # of what a follower said last, in an error


class _Follower(NamedTuple):
    """A process that computes a share."""

    process: "subprocess.Popen[bytes]"
    said: IO[bytes]  # its output
    ready: int  # readable when it is about to meet the first


def tell_ready() -> None:
    """Tell the first process, where it waits for it, that this one is about to meet it."""
    if name := os.environ.pop(_READY, ""):
        os.write(int(name), b"1")
        os.close(int(name))


def in_processes(
    network: nn.Module, accelerator: Accelerator, *, has_frozen: bool
) -> DistributedDataParallel | None:
    """Return `network` as several processes compute it, or None where this one is alone.

    Its gradients are the averages of all processes'.

    Args:
        network: on its device; what is to learn at any time must learn now.
        accelerator: of this process.
        has_frozen: parts of the network stay as they are in some steps, and have no gradient to exchange.
    """
    if accelerator.num_processes == 1:
        return None
    device_ids = [accelerator.device] if accelerator.device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=device_ids, find_unused_parameters=has_frozen)


def told_by_the_first(accelerator: Accelerator, make: Callable[[], Told]) -> Told:
    """Return in every process what `make` returns in the first one.

    Raises:
        SystemExit: in the others, where it failed in the first one, which says how.
    """
    if accelerator.num_processes == 1:
        return make()
    told: list[tuple[bool, Told | None]] = [(False, None)]
    try:
        if accelerator.is_main_process:
            told = [(True, make())]
    finally:
        broadcast_object_list(told, from_process=0)
    is_well, value = told[0]
    if not is_well:
        raise SystemExit(1)
    return value  # type: ignore[return-value]  # it is what `make` returned


@contextmanager
def followers(machine: TrainParams, command: Sequence[str]) -> Iterator[None]:
    """Run the block as the first of several processes; the others run a command of cnnpipe beside it.

    Where the environment makes this process one of several already, nothing is started.

    Args:
        machine: how many processes, and with how many threads each.
        command: of cnnpipe, which ends in the same training, e.g. ["train", "lenet"].

    Raises:
        ParamsError: there are fewer GPUs than processes, or the environment has another number of processes.
        CnnpipeError: a follower failed.
    """
    num_processes = machine.processes
    if "RANK" in os.environ:
        check_number(num_processes)
        with _telling_of_others():
            yield
        return
    if num_processes == 1:
        yield
        return
    if uses_cuda(machine.device) and torch.cuda.device_count() < num_processes:
        what = f"is {num_processes}, and this machine has {torch.cuda.device_count()} GPUs"
        raise ParamsError("train.processes", what, "set it to the number of GPUs, or train.device: cpu")
    leave()  # what this process did before, it did alone
    with ExitStack() as stack:
        shared = _rendezvous(num_processes, num_threads=machine.num_threads)
        started = [
            stack.enter_context(_follower(command, shared | _place(rank))) for rank in range(1, num_processes)
        ]
        stack.enter_context(_environment(shared | _place(0)))
        try:
            _wait_until_ready(started)
            yield
        except RuntimeError as error:  # of torch: a connection broke
            raise _fault(started) or error from error
        finally:
            leave()
        for follower in started:  # all is written: one that lingers is ended
            with suppress(subprocess.TimeoutExpired):
                follower.process.wait(_PATIENCE_S)


def check_number(num_processes: int) -> None:
    """Check that the environment has as many processes as params: they are a part of what makes a result.

    Raises:
        ParamsError: it has another number.
    """
    started = own_share().num_ranks
    if started != num_processes:
        what = f"is {num_processes}, and the environment (WORLD_SIZE) says {started}"
        raise ParamsError("train.processes", what, f"set it to {started}, or start {num_processes}")


@contextmanager
def _telling_of_others() -> Iterator[None]:
    """Tell in words that a connection to another process broke."""
    try:
        yield
    except RuntimeError as error:
        if "onnection" not in str(error):  # torch has no class of its own for gloo's
            raise
        what = f"the connection to another process broke: {str(error).splitlines()[0]}"
        raise CnnpipeError("training", what, "look at what the others say; the next run goes on") from error


def _rendezvous(num_processes: int, *, num_threads: int) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "WORLD_SIZE": str(num_processes),
        "OMP_NUM_THREADS": str(num_threads),  # accelerate would choose a number of its own
        "LOCAL_WORLD_SIZE": str(num_processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        # gloo asks the name service for this machine's address otherwise, which may lead outside
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo"),
        "CNNPIPE_WATCH_PID": str(os.getpid()),
    }


def _place(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


@contextmanager
def _follower(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[_Follower]:
    ready, tells = os.pipe()
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "cnnpipe", *command],
                env={**os.environ, **environment, _READY: str(tells)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[tells],
            )
        finally:
            os.close(tells)
        try:
            yield _Follower(process, said, ready)
        finally:
            process.kill()  # of one that has ended it does nothing
            process.wait()
            os.close(ready)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    own = {name: value for name, value in changes.items() if name != "CNNPIPE_WATCH_PID"}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def leave() -> None:
    """Let go of the other processes; the next accelerator of this process is alone again."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    AcceleratorState._reset_state()
    PartialState._reset_state()


def _wait_until_ready(started: Sequence[_Follower]) -> None:
    """Wait until every follower is about to meet this process, which then waits for it without an end.

    Raises:
        CnnpipeError: one has ended before.
    """
    for follower in started:
        while not select.select([follower.ready], [], [], _POLL_S)[0]:
            if fault := _fault(started):
                raise fault
        if not os.read(follower.ready, 1) and (fault := _fault(started)):  # the end of the pipe is its own
            raise fault


def _fault(started: Sequence[_Follower]) -> CnnpipeError | None:
    """Return what to say where a follower has ended, or None."""
    for rank, (process, said, _) in enumerate(started, start=1):
        try:
            code = process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()[-_NUM_LINES:]
        last = " | ".join(lines) or "without a word"
        what = f"process {rank} of {len(started) + 1} ended with {code}: {last}"
        return CnnpipeError("training", what, "mend what it says; the next run goes on from the checkpoint")
    return None

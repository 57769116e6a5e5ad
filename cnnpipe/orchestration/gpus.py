"""The GPUs of this host that a flow may use, by NVIDIA's identifiers; torch would take seconds to tell."""

import logging
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from cnnpipe.errors import ParamsError

_QUERY: Final = ("nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader")
_ANSWER_S: Final = 10.0  # where no process keeps the driver loaded, nvidia-smi loads it first
_ROW: Final = re.compile(r"\s*(\d+), *(GPU-[\w-]+), *(.*?)\s*")

log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """A row of nvidia-smi."""

    number: str  # from 0, in the order of the bus
    uuid: str
    model: str


def visible_gpus() -> tuple[str, ...]:
    """Return what to write to CUDA_VISIBLE_DEVICES for each GPU that may be used, one at a time.

    Where CUDA_VISIBLE_DEVICES is set, those it names.

    Raises:
        ParamsError: it names them by numbers that do not tell which they are.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None and not named.strip():
        return ()
    gpus = parse_gpus(_ask())
    if named is None:
        return tuple(gpu.uuid for gpu in gpus)
    if _is_ambiguous(named, gpus):
        what = f"{named} names GPUs of different models by number, and CUDA counts the fastest first"
        fix = "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them as `nvidia-smi -L` does: GPU-…"
        raise ParamsError("CUDA_VISIBLE_DEVICES", what, fix)
    return chosen_gpus(named, gpus)


def parse_gpus(said: str) -> tuple[Gpu, ...]:
    """Return the GPUs in an answer of nvidia-smi; lines of another form are passed over."""
    rows = (_ROW.fullmatch(line) for line in said.splitlines())
    return tuple(Gpu(*row.groups()) for row in rows if row)


def chosen_gpus(named: str, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """Return the identifiers that a value of CUDA_VISIBLE_DEVICES names, each once.

    As for CUDA, a word that names none hides all that follow.

    Args:
        named: numbers, identifiers or unique beginnings of them, with commas between.
        gpus: those of the host; none: not known, and every word is taken as it stands.

    Source: NVIDIA, CUDA C++ Programming Guide, "CUDA Environment Variables".
    """
    return tuple(dict.fromkeys(_known_up_to_first_fault(named, gpus)))


def _known_up_to_first_fault(named: str, gpus: Sequence[Gpu]) -> Iterator[str]:
    for word in (each.strip() for each in named.split(",")):
        if word.startswith("MIG-") or (not gpus and (word.isdecimal() or word.startswith("GPU-"))):
            yield word
            continue
        found = [gpu.uuid for gpu in gpus if _is_meant(word, gpu)]
        if len(found) != 1:
            return
        yield found[0]


def _is_meant(word: str, gpu: Gpu) -> bool:
    if word.isdecimal():
        return int(word) == int(gpu.number)
    return word.startswith("GPU-") and gpu.uuid.startswith(word)


def _is_ambiguous(named: str, gpus: Sequence[Gpu]) -> bool:
    has_numbers = any(word.strip().isdecimal() for word in named.split(","))
    is_by_bus = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return has_numbers and not is_by_bus and len({gpu.model for gpu in gpus}) > 1


def _ask() -> str:
    """Return what nvidia-smi says, or "" where there is none or it fails."""
    try:
        done = subprocess.run(
            _QUERY, capture_output=True, text=True, errors="replace", timeout=_ANSWER_S, check=False
        )
    except (FileNotFoundError, PermissionError):
        return ""
    except subprocess.TimeoutExpired:
        log.warning("nvidia-smi did not answer within %.0f s: no GPU is used", _ANSWER_S)
        return ""
    if done.returncode != 0:
        said = (done.stdout or done.stderr).strip().partition("\n")[0]
        log.warning("nvidia-smi fails, so no GPU is used: %s", said)
        return ""
    return done.stdout

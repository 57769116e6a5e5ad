"""What a plan says: one record per stage, with every reason."""

from typing import Any, Final, Literal

import msgspec

Verdict = Literal["unchanged", "restorable", "to run"]
VERDICTS: Final[tuple[Verdict, ...]] = ("to run", "restorable", "unchanged")
Kind = Literal["always", "new", "command", "param", "code", "package", "input", "upstream", "output"]


class FileChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How two lists of files differ: all counted, the first of each kind named."""

    num_added: int = 0
    num_removed: int = 0
    num_changed: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a stage is not unchanged; `text` is for people, the rest says the same for programs."""

    kind: Kind
    text: str
    name: str = ""  # of the param, the package, or the path of the input
    old: Any = None  # value in dvc.lock; None: there is none
    new: Any = None  # value now
    names: tuple[str, ...] = ()  # stages upstream, or paths of outputs
    files: FileChanges | None = None  # of an input or of the code; None: not known file by file


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """What the next `dvc repro` will do with a stage."""

    stage: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

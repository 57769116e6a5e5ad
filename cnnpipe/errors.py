"""The errors a user can meet: each says where, what, and how to fix it."""

from typing import ClassVar


class CnnpipeError(Exception):
    """Base of every expected error; it ends the program without a traceback.

    Args:
        where: file, key, picture or region the error is about.
        what: what is wrong there.
        fix: what the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(f"{where}: {what}\n  fix: {fix}")
        self.where = where
        self.what = what
        self.fix = fix


class ParamsError(CnnpipeError):
    """params.yaml, or an argument, is wrong."""

    exit_code = 2


class DataError(CnnpipeError):
    """Data is refused or missing."""

    exit_code = 3


class AnnotationError(DataError):
    """An annotation file, or one region in it, cannot be used."""


class ModelError(CnnpipeError):
    """A network, weights or a checkpoint cannot be used."""

    exit_code = 4


class GateError(CnnpipeError):
    """A gate refused, and whoever ran it wanted it to pass."""

    exit_code = 6


class StorageError(CnnpipeError):
    """The tracking store, the disk or a remote cannot be reached or is full."""

    exit_code = 7


class BusyError(CnnpipeError):
    """Another process does this very work now; try again later."""

    exit_code = 75

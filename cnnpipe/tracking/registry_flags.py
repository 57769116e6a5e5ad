"""One gate at a time: who is about to move a champion raises a flag in the registry.

MLflow changes an alias without asking what it was, so two gates must not do so at once. A flag is an empty
registered model of a name that no other process has. Whoever raises his and then sees no other is alone: of
two, at least one sees the other's. Who sees one lowers his own and tries again. The flag of a process that is
gone, or an old one, is taken down; its name is never used again, so nobody else's can be meant by that.
"""

import random
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from cnnpipe.errors import BusyError
from cnnpipe.tracking import processes

_OLD_MS: Final = 60_000  # a gate holds its flag for a second at most
_PATIENCE_S: Final = 90.0
_PAUSES_S: Final = (0.05, 0.25)  # drawn anew each time, or two would meet again and again
_ABOUT: Final = "A gate of cnnpipe is at work; the flag goes within a second. One that stays may be deleted."


@contextmanager
def only_gate(client: MlflowClient, model: str) -> Iterator[None]:
    """Run the block as the only gate of a registered model, on all machines that use the store.

    Raises:
        BusyError: others took turns there for a minute and a half.
    """
    flag = f"{model}.gate.{uuid.uuid4().hex}"
    end = time.monotonic() + _PATIENCE_S
    try:
        while _others(client, model, client.create_registered_model(flag, processes.own_tags(), _ABOUT)):
            client.delete_registered_model(flag)
            if time.monotonic() > end:
                raise BusyError(f"model {model}", "other gates are at work", "run `cnnpipe register` again")
            time.sleep(random.uniform(*_PAUSES_S))  # noqa: S311 (no result depends on it)
        yield
    finally:
        _lower(client, flag)


def _others(client: MlflowClient, model: str, own: RegisteredModel) -> bool:
    """Whether somebody else's flag is up; those that are left over are taken down."""
    is_flag = re.compile(rf"{re.escape(model)}\.gate\.[0-9a-f]{{32}}")
    # in LIKE "_" is any character, so more may be found than flags of this model
    found = client.search_registered_models(f"name LIKE '{model}.gate.%'", max_results=1000)
    flags = [one for one in found if is_flag.fullmatch(one.name) and one.name != own.name]
    left_over = [one for one in flags if _is_left_over(one, own)]
    for one in left_over:
        _lower(client, one.name)
    return len(flags) > len(left_over)


def _is_left_over(flag: RegisteredModel, own: RegisteredModel) -> bool:
    """Whether its process is gone, or it is older by a minute than one that was raised just now."""
    age_ms = int(own.creation_timestamp) - int(flag.creation_timestamp)  # on a server, of one clock
    return age_ms > _OLD_MS or processes.is_gone(flag.tags)


def _lower(client: MlflowClient, flag: str) -> None:
    try:
        client.delete_registered_model(flag)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise

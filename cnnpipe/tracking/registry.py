"""MLflow's model registry: a model per task, versions by signature, a champion that one at a time moves."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from cnnpipe.errors import StorageError
from cnnpipe.evaluation.promotion import Proposal, Settled, Standing, worth_of
from cnnpipe.tracking import place
from cnnpipe.tracking.place import CHALLENGER, CHAMPION, EXPERIMENT, SIGNATURE
from cnnpipe.tracking.registry_flags import only_gate
from cnnpipe.tracking.runs import find_runs
from cnnpipe.tracking.store import Store, open_store, reported

_DATA_HASH: Final = "cnnpipe.data_hash"
_MODEL_VERSIONS: Final = "mlflow.modelVersions"  # on a logged model: where MLflow's pages find its versions


def champion_of(model: str) -> Standing | None:
    """Return who has the alias `champion`, with neither val nor test; None where nobody has.

    Raises:
        StorageError: the registry cannot be reached.
    """
    store = open_store()
    client = _client(store)
    with reported(store.uri):
        found = _registered(client, model)
        number = None if found is None else _aliased(found, CHAMPION)
        if number is None:
            return None
        version = client.get_model_version(model, str(number))
        tags = _run_tags(client, version) | version.tags
        return Standing(
            experiment=tags.get(EXPERIMENT, f"version {version.version}"),
            signature=tags.get(SIGNATURE, ""),
            version=int(version.version),
        )


def settle(proposal: Proposal) -> Settled | None:
    """Carry out a proposal; None where another champion stands there by now, which must be judged against.

    A version is made of the model that its run logged, and found again by its signature. A process that dies
    at any point leaves a registry that the same proposal completes: aliases move last.

    Raises:
        StorageError: the registry cannot be reached, or a training has no run or its run no model.
        BusyError: other gates do not let this one in.
    """
    store = open_store()
    client = _client(store)
    with reported(store.uri):
        _ensure_registered(client, proposal.model)
        with only_gate(client, proposal.model):
            found = client.get_registered_model(proposal.model)
            if _aliased(found, CHAMPION) != proposal.expected:
                return None
            champion = _ensure_version(store, proposal, proposal.champion)
            other = proposal.challenger
            challenger = None if other is None else _ensure_version(store, proposal, other)
            for key, value in proposal.tags.items():
                client.set_model_version_tag(proposal.model, str(champion), key, value)
            _point(client, found, CHAMPION, champion)
            _point(client, found, CHALLENGER, challenger)
            return Settled(champion, challenger)


def _client(store: Store) -> MlflowClient:
    return MlflowClient(store.uri, registry_uri=store.uri)  # models stand beside their runs


def _registered(client: MlflowClient, model: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _ensure_registered(client: MlflowClient, model: str) -> None:
    if _registered(client, model) is None:
        try:
            client.create_registered_model(model)
        except MlflowException as error:  # another process was first
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _point(client: MlflowClient, found: RegisteredModel, alias: str, version: int | None) -> None:
    """Let an alias name a version, or nothing."""
    if _aliased(found, alias) == version:
        return
    if version is None:
        client.delete_registered_model_alias(found.name, alias)
    else:
        client.set_registered_model_alias(found.name, alias, str(version))


def _ensure_version(store: Store, proposal: Proposal, standing: Standing) -> int:
    if standing.version is not None:
        return standing.version
    client, model = _client(store), proposal.model
    run = _run_of(store, standing)
    for version in client.search_model_versions(f"name = '{model}'"):
        if standing.signature == version.tags.get(SIGNATURE) or version.run_id == run.info.run_id:
            return int(version.version)
    with _default_address(store.uri):
        made = client.create_model_version(
            model,
            f"models:/{_logged_model(store, run)}",
            run.info.run_id,
            tags={
                SIGNATURE: standing.signature,
                EXPERIMENT: standing.experiment,
                _DATA_HASH: run.data.tags.get(_DATA_HASH, ""),
            },
            description=f"`{standing.experiment}`: {worth_of(standing, proposal.metric)}.",
            model_id=_logged_model(store, run),
            await_creation_for=0,
        )
    _show_on_model(store, run, made)
    return int(made.version)


def _run_of(store: Store, standing: Standing) -> Run:
    condition = f"tags.`{SIGNATURE}` = '{standing.signature}' and attributes.status = 'FINISHED'"
    runs = find_runs(store, condition)
    if not runs:
        what = f"holds no finished run of {standing.experiment}"
        raise StorageError(place.shown(store.uri), what, "run `cnnpipe register` again: it builds the run")
    return store.client.get_run(runs[0].info.run_id)  # with its outputs


def _logged_model(store: Store, run: Run) -> str:
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    if not outputs:
        what = f"the run {run.info.run_id} has no model"
        fix = "delete that run in MLflow's pages, and run `cnnpipe register` again: it builds the run anew"
        raise StorageError(place.shown(store.uri), what, fix)
    return str(outputs[-1].model_id)


def _show_on_model(store: Store, run: Run, made: ModelVersion) -> None:
    """Note a version on the model that it is of; a server does that by itself."""
    if not store.uri.startswith(("http://", "https://")):
        model_id = _logged_model(store, run)
        noted = store.client.get_logged_model(model_id).tags.get(_MODEL_VERSIONS, "[]")
        versions = [*json.loads(noted), {"name": made.name, "version": int(made.version)}]
        store.client.set_logged_model_tags(model_id, {_MODEL_VERSIONS: json.dumps(versions)})


def _run_tags(client: MlflowClient, version: ModelVersion) -> dict[str, str]:
    """Return the tags of a version's run: a version that a person registered has none of its own."""
    try:
        return dict(client.get_run(version.run_id).data.tags) if version.run_id else {}
    except MlflowException:  # deleted
        return {}


@contextmanager
def _default_address(uri: str) -> Iterator[None]:
    """Let MLflow's own store look up a logged model at `uri`: it does so at the default address."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]


def _aliased(found: RegisteredModel, alias: str) -> int | None:
    """Return the version of an alias; a server tells it as text, a database as a number."""
    version = found.aliases.get(alias)
    return None if version is None else int(version)

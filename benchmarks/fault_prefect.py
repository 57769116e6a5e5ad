"""What the faults ask of Prefect's API, and do to it: runs, their states, a cancel."""

import json
import urllib.request
from typing import Any

from benchmarks.fault_processes import until
from benchmarks.fault_site import Site


def ask(site: Site, path: str, content: object = None) -> Any:
    """Ask Prefect's API: GET without a content, else POST."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(  # noqa: S310 (on this machine)
        f"{site.api}/{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def newest_flow_run(site: Site) -> str:
    """Return the id of the flow run that was started last."""
    found = ask(site, "flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    return str(found[0]["id"])


def run_deployment(site: Site, name: str) -> str:
    """Have workers run a deployment, e.g. pipeline/cpu; return the id of the flow run."""
    deployment = ask(site, f"deployments/name/{name}")["id"]
    return str(ask(site, f"deployments/{deployment}/create_flow_run", {})["id"])


def state_of(site: Site, run: str) -> str:
    """Return the type of a flow run's state, e.g. RUNNING."""
    found = ask(site, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return str(found[0]["state_type"])


def until_state(site: Site, run: str, wanted: str) -> float:
    """Wait until a flow run has a state; return the seconds it took."""
    return until(lambda: state_of(site, run) == wanted, f"flow run {wanted}")


def cancel(site: Site, run: str) -> None:
    """Do what the button Cancel of Prefect's pages does."""
    ask(site, f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})

"""Addresses of runs in MLflow's pages."""

import urllib.parse
from typing import Any

from cnnpipe.tracking import place, rest


def run_pages() -> dict[str, str]:
    """Return signature -> address of the page of its finished run.

    Empty where the store has no server, or it does not answer: a page that cannot be opened is none.
    """
    uri = place.tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return {}
    try:
        return _pages(uri.rstrip("/"))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _pages(uri: str) -> dict[str, str]:
    name = urllib.parse.quote(place.project())
    found = rest.ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    experiment = found["experiment"]["experiment_id"]
    query = {
        "experiment_ids": [experiment],
        "filter": "attributes.status = 'FINISHED'",
        "max_results": 1000,
        "order_by": ["attributes.start_time ASC"],  # of several, the latest
    }
    runs = rest.ask(f"{uri}/api/2.0/mlflow/runs/search", query).get("runs", [])
    start = f"{place.shown(uri)}/#/experiments/{experiment}/runs"
    return {_signature(run): f"{start}/{run['info']['run_id']}" for run in runs}


def _signature(run: Any) -> str:
    return next((tag["value"] for tag in run["data"].get("tags", ()) if tag["key"] == place.SIGNATURE), "")

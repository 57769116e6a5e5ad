"""Prefect's server, where a variable names one: whether it answers."""

import os
from typing import Final

from cnnpipe.projects.checks import servers
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.results import Result, note, ok, warning
from cnnpipe.tracking.place import shown

_CHECK: Final = "Prefect"


def check_prefect(_facts: Facts) -> list[Result]:
    """Ask the server of PREFECT_API_URL; without one, flows start their own."""
    api = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not api:
        return [note(_CHECK, "PREFECT_API_URL is not set: a flow starts a server of its own, each time anew")]
    if not servers.is_http(api):
        return [
            warning(_CHECK, f"PREFECT_API_URL is no http address: {shown(api)}", "http://127.0.0.1:4200/api")
        ]
    if fault := servers.fault_of(f"{api}/health"):
        fix = "start it with `cnnpipe server`, or unset PREFECT_API_URL"
        return [warning(_CHECK, f"the server at {shown(api)} does not answer: {fault}", fix)]
    return [ok(_CHECK, f"the server at {shown(api)} answers")]

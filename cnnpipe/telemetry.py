"""The one place where the libraries below are told not to phone home.

Imported first of all, before anything heavy: they read these variables when they are imported.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Each name stands in the source of its library (dvc 3.67, prefect 3.8, mlflow 3.17, albumentations 2.0,
# huggingface_hub 2.4).
OFF: Final[Mapping[str, str]] = MappingProxyType(
    {
        # mlflow accepts no other word than "true" here, the others do not mind
        "DO_NOT_TRACK": "true",
        "DVC_NO_ANALYTICS": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        # timm asks the hub for weights by name; only models/weights_hub.py does, and lifts this for its call
        "HF_HUB_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Prefect's own limit of 20 s fails where its server takes 13 to 37 s to start
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
)


def turn_off() -> None:
    """Turn telemetry off for this process and its children, where the user has not decided otherwise.

    DVC's search for updates has no variable: `check_update = false` in .dvc/config turns it off.
    """
    for name, value in OFF.items():
        os.environ.setdefault(name, value)

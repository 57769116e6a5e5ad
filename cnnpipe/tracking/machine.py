"""How busy the machine is while a training runs: processor, memory, disk, network and GPU."""

from typing import Final

from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

PREFIX: Final = "system/"  # MLflow shows them on a page of their own


class Machine:
    """MLflow's monitors of this machine, without the thread that would send them by itself.

    That thread ends for good when the store is away once.
    """

    def __init__(self) -> None:
        self._monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *_gpu()]  # type: ignore[no-untyped-call]

    def sample(self) -> dict[str, float]:
        """Return the metrics of this moment by name."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()  # type: ignore[no-untyped-call]
            metrics = monitor.aggregate_metrics()  # type: ignore[no-untyped-call]
            found |= {f"{PREFIX}{name}": float(value) for name, value in metrics.items()}
            monitor.clear_metrics()  # type: ignore[no-untyped-call]
        return found


def _gpu() -> list[BaseMetricsMonitor]:
    try:
        return [GPUMonitor()]  # type: ignore[no-untyped-call]
    except Exception:  # it needs pynvml and a driver, and tells their absence in many ways
        return []

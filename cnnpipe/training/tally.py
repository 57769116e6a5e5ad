"""What the steps of an epoch add up to, so far: its means, and what a checkpoint within it has to carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Tally:
    """The parts of the loss of each step, over all processes, and how many pictures it was of.

    The numbers stay on their device until they are asked for: reading one every step would make a GPU wait.
    """

    names: tuple[str, ...] = ()  # of the parts, in one order for all steps
    parts: list[Tensor] = field(default_factory=list)  # per step: a vector of the parts' means
    sizes: list[int] = field(default_factory=list)  # pictures of each step

    def add(self, parts: Mapping[str, Tensor], size: int) -> None:
        """Add a step: the mean of each part of the loss over its `size` pictures."""
        self.names = tuple(parts)
        self.parts.append(torch.stack(list(parts.values())))
        self.sizes.append(size)

    def first_no_number(self) -> tuple[int, float] | None:
        """Return number (from 0) and loss of the first step whose loss is NaN or infinite, or None."""
        losses = self._parts().sum(dim=1)
        if bool(losses.isfinite().all()):
            return None
        index = int((~losses.isfinite()).nonzero()[0])
        return index, float(losses[index])

    def means(self) -> dict[str, float]:
        """Return the means over all pictures so far: "loss", and where it has several parts "loss/<part>"."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        means = (self._parts() * sizes[:, None]).sum(dim=0) / sizes.sum()
        found = {"loss": float(means.sum())}
        if len(self.names) > 1:
            found |= {f"loss/{name}": float(mean) for name, mean in zip(self.names, means, strict=True)}
        return found

    def state(self) -> dict[str, Any]:
        """Return what `of_state` needs."""
        return {"names": list(self.names), "parts": self._parts(), "sizes": list(self.sizes)}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> "Tally":
        """Return the tally that `state` was called of."""
        return cls(names=tuple(state["names"]), parts=list(state["parts"]), sizes=list(state["sizes"]))

    def _parts(self) -> Tensor:
        """Return the parts of every step, S x P, in float64 on the CPU."""
        if not self.parts:
            return torch.zeros((0, len(self.names)), dtype=torch.float64)
        return torch.stack([part.to("cpu", torch.float64) for part in self.parts])

"""All of params.yaml as one checked document."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from cnnpipe.params.augment import AugmentParams
from cnnpipe.params.evaluate import CompareParams, EvaluateParams
from cnnpipe.params.experiment import ExperimentParams, TrainParams
from cnnpipe.params.flow import FlowParams
from cnnpipe.params.ingest import IngestParams
from cnnpipe.params.register import RegisterParams
from cnnpipe.params.sample import SampleParams
from cnnpipe.params.section import Params
from cnnpipe.params.split import SplitParams
from cnnpipe.params.tracking import TrackingParams
from cnnpipe.params.validate import ValidateParams

# A dot breaks DVC's params, an integer key is dropped by DVC in silence.
ExperimentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]


class Document(Params):
    """The whole of params.yaml. Only the demo has a section `sample`."""

    sample: SampleParams | None = None
    ingest: IngestParams
    validate_: Annotated[ValidateParams, Field(alias="validate")]  # pydantic has a method `validate`
    split: SplitParams
    augment: AugmentParams
    train: TrainParams
    experiments: Annotated[
        dict[ExperimentName, Annotated[ExperimentParams, Field(discriminator="task")]], Field(min_length=1)
    ]
    evaluate: EvaluateParams
    compare: CompareParams
    register_: Annotated[RegisterParams, Field(alias="register")]  # ABCMeta has a method `register`
    flow: FlowParams
    tracking: TrackingParams

    @model_validator(mode="after")
    def _every_task_has_its_view_and_its_metric(self) -> Self:
        for name, experiment in self.experiments.items():
            if getattr(self.augment, experiment.task) is None:
                raise ValueError(f"augment.{experiment.task} is missing: experiment {name!r} reads that view")
            if getattr(self.compare, experiment.task) is None:
                raise ValueError(f"compare.{experiment.task} is missing: experiments are ranked by it")
        return self

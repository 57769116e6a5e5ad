"""All of params.yaml as one checked document."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cnnpipe.params.augment import AugmentParams
from cnnpipe.params.evaluate import CompareParams, EvaluateParams
from cnnpipe.params.experiment import ExperimentParams, TrainParams
from cnnpipe.params.ingest import IngestParams
from cnnpipe.params.sample import SampleParams
from cnnpipe.params.section import Params
from cnnpipe.params.split import SplitParams
from cnnpipe.params.validate import ValidateParams

# A dot breaks DVC's params, an integer key is dropped by DVC in silence.
ExperimentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]


class Document(Params):
    """The whole of params.yaml."""

    sample: SampleParams
    ingest: IngestParams
    validate_: Annotated[ValidateParams, Field(alias="validate")]  # pydantic has a method `validate`
    split: SplitParams
    augment: AugmentParams
    train: TrainParams
    experiments: Annotated[dict[ExperimentName, ExperimentParams], Field(min_length=1)]
    evaluate: EvaluateParams
    compare: CompareParams

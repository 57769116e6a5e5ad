"""What the flow by hand says when Prefect's server does not come back."""

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from cnnpipe.orchestration.flow.door import main


def test_a_server_that_is_away_for_minutes_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def pipeline(**_words: object) -> None:
        raise httpx.ConnectError("connection refused")

    with temporary_settings({PREFECT_API_URL: "http://ann:secret@127.0.0.1:4200/api"}):
        assert main(pipeline, []) == 7
    said = capsys.readouterr().err
    assert (
        "error: Prefect's server http://127.0.0.1:4200/api: does not answer: connection refused\n  fix: "
        in said
    )

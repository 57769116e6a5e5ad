"""A plan in words: its counts, and a Markdown table."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from cnnpipe.orchestration.planning.records import VERDICTS, PlannedStage, Verdict

_NUM_REASONS: Final = 4  # told of one stage


def counts(planned: Sequence[PlannedStage]) -> dict[Verdict, int]:
    """Return the number of stages per verdict."""
    numbers = Counter(each.verdict for each in planned)
    return {verdict: numbers[verdict] for verdict in VERDICTS}


def summary(planned: Sequence[PlannedStage]) -> str:
    """Return e.g. "3 to run, 1 restorable, 9 unchanged"."""
    return ", ".join(f"{number} {verdict}" for verdict, number in counts(planned).items())


def why(stage: PlannedStage) -> str:
    """Return the reasons of one stage, the first few of many."""
    texts = [reason.text for reason in stage.reasons]
    more = [f"{len(texts) - _NUM_REASONS} more"] if len(texts) > _NUM_REASONS else []
    return "; ".join([*texts[:_NUM_REASONS], *more])


def plan_markdown(planned: Sequence[PlannedStage]) -> str:
    """Return the plan as a Markdown table with the counts below."""
    rows = [f"| {each.stage} | {each.verdict} | {_cell(why(each))} |" for each in planned]
    return "\n".join(["| stage | verdict | why |", "|---|---|---|", *rows, "", summary(planned), ""])


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")

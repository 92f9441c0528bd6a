"""Wakes every run that is due, and says what is overdue."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.runs.service import SweepRuns
from watchkeeper.settings import SweepRunsSettings
from watchkeeper.telemetry import logger, metrics


@cache
def runs() -> SweepRuns:
    return SweepRuns(SweepRunsSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, list[str]]:
    triggers.parse(triggers.sweep_runs, event)
    return runs().handle(utc_now())

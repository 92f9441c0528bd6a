"""Proves that what is backed up can be recovered."""

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.drills.drill import DrillRestores
from watchkeeper.settings import DrillRestoresSettings
from watchkeeper.telemetry import logger, metrics


@cache
def drills() -> DrillRestores:
    return DrillRestores(DrillRestoresSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    trigger = triggers.parse(triggers.drill_restores, event)
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return drills().handle(trigger, utc_now, deadline)

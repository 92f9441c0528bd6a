"""Turns alarms into incidents, and incidents into answers with evidence."""

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.settings import TriageIncidentsSettings
from watchkeeper.telemetry import logger, metrics
from watchkeeper.triage.respond import TriageIncidents


@cache
def incidents() -> TriageIncidents:
    return TriageIncidents(TriageIncidentsSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, str]:
    trigger = triggers.parse(triggers.triage_incidents, event)
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return incidents().handle(trigger, utc_now, deadline)

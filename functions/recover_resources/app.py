"""Restores to a new name, beside the original, what a person asks for."""

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.recovery.recover import RecoverResources
from watchkeeper.settings import RecoverResourcesSettings
from watchkeeper.telemetry import logger, metrics


@cache
def recoveries() -> RecoverResources:
    return RecoverResources(RecoverResourcesSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, str]:
    trigger = triggers.parse(triggers.recover_resources, event)
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return recoveries().handle(trigger, utc_now, deadline)

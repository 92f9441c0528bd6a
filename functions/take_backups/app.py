"""Takes the recovery points that a backup plan says are due."""

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.backups.take import TakeBackups
from watchkeeper.settings import TakeBackupsSettings
from watchkeeper.telemetry import logger, metrics


@cache
def backups() -> TakeBackups:
    return TakeBackups(TakeBackupsSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, str]:
    trigger = triggers.parse(triggers.take_backups, event)
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return backups().handle(trigger, utc_now, deadline)

"""Removes the recovery points that retention no longer keeps."""

import os
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from watchkeeper import triggers
from watchkeeper.aws.clock import utc_now
from watchkeeper.backups.expire import ExpireBackups
from watchkeeper.settings import ExpireBackupsSettings
from watchkeeper.telemetry import logger, metrics


@cache
def backups() -> ExpireBackups:
    return ExpireBackups(ExpireBackupsSettings.read(os.environ))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    trigger = triggers.parse(triggers.expire_backups, event)
    deadline = utc_now() + timedelta(milliseconds=context.get_remaining_time_in_millis())
    return backups().handle(trigger, utc_now, deadline)

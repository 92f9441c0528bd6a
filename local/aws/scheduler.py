"""EventBridge Scheduler beyond moto: schedules fire, and bad expressions are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule

from local.aws_schedules import BadAwsSchedule, check_aws_schedule
from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Check expressions and time zones, and start what is created or changed."""

    def create(backend: EventBridgeSchedulerBackend, *args: Any, **kwargs: Any) -> Schedule:
        _check(kwargs)
        schedule: Schedule = create_as_moto(backend, *args, **kwargs)
        cloud.schedules.start(schedule)
        return schedule

    def update(backend: EventBridgeSchedulerBackend, *args: Any, **kwargs: Any) -> Schedule:
        _check(kwargs)
        schedule: Schedule = update_as_moto(backend, *args, **kwargs)
        cloud.schedules.start(schedule)
        return schedule

    owner = EventBridgeSchedulerBackend
    create_as_moto = replace(cloud.stack, owner, "create_schedule", create)
    update_as_moto = replace(cloud.stack, owner, "update_schedule", update)


def _check(request: dict[str, Any]) -> None:
    zone = request.get("schedule_expression_timezone") or "UTC"
    try:
        ZoneInfo(zone)
        check_aws_schedule(request["schedule_expression"])
    except (ZoneInfoNotFoundError, BadAwsSchedule) as error:
        raise ValidationException(
            f"Invalid Schedule Expression {request['schedule_expression']}: {error}"
        ) from error

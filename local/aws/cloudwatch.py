"""CloudWatch beyond moto: alarms are evaluated, and a change of state acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Evaluate every alarm that is put, and let SetAlarmState tell actions and the event bus."""

    def put(backend: CloudWatchBackend, *args: Any, **kwargs: Any) -> Alarm:
        alarm: Alarm = put_as_moto(backend, *args, **kwargs)
        cloud.alarms.watch(alarm)
        return alarm

    def set_state(
        backend: CloudWatchBackend,
        alarm_name: str,
        reason: str,
        reason_data: str | None,
        state_value: str,
    ) -> None:
        alarm = backend.alarms.get(alarm_name)
        before = alarm.state_value if alarm else None
        if alarm is None or before == state_value:
            set_as_moto(backend, alarm_name, reason, reason_data, state_value)
        else:
            cloud.alarms.change(alarm, state_value, reason, reason_data or "{}")

    put_as_moto = replace(cloud.stack, CloudWatchBackend, "put_metric_alarm", put)
    set_as_moto = replace(cloud.stack, CloudWatchBackend, "set_alarm_state", set_state)

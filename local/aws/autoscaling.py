"""Application Auto Scaling as AWS documents it, where moto answers with too much.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it corrects: the policies
of a table are its own, and not also those of each index whose name begins with its name.
"""

from __future__ import annotations

from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend

from local.aws.ebs import Box
from local.replacing import replace


def install(cloud: Box) -> None:
    """Make moto's Application Auto Scaling behave like this until `cloud.stack` closes."""

    def policies(
        backend: Any, service_namespace: str, resource_id: str | None, *given: Any, **named: Any
    ) -> Any:
        # moto asks whether the id of a policy's resource is *in* this.
        only = [resource_id] if resource_id else None
        return as_moto(backend, service_namespace, only, *given, **named)

    as_moto = replace(
        cloud.stack, ApplicationAutoscalingBackend, "describe_scaling_policies", policies
    )

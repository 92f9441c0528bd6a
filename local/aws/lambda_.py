"""Lambda beyond moto: Invoke runs the real handler, without Docker."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import LambdaFunction, LayerVersion

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud

# Lambda's log tail in the answer of Invoke is the last 4 KB.
LOG_TAIL_BYTES = 4096


def install(cloud: Cloud) -> None:
    """Answer Invoke with what the function of the box does."""

    def invoke(
        function: LambdaFunction, body: Any, request_headers: Any, response_headers: dict[str, str]
    ) -> bytes:
        event = json.loads(body or "{}")
        deployed = cloud.functions.find(function.function_name)
        kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            cloud.functions.queue(deployed, event)
            return b""
        invocation = cloud.functions.invoke(deployed, event)
        log = "\n".join(invocation.log).encode()[-LOG_TAIL_BYTES:]
        response_headers["x-amz-log-result"] = base64.b64encode(log).decode()
        if invocation.ok:
            return json.dumps(invocation.result).encode()
        response_headers["x-amz-function-error"] = "Unhandled"
        error, _, message = (invocation.error or "").partition(": ")
        return json.dumps({"errorMessage": message, "errorType": error}).encode()

    replace(cloud.stack, LambdaFunction, "invoke", invoke)
    # Without it, Ref of a layer in CloudFormation gives a Python object.
    replace(cloud.stack, LayerVersion, "physical_resource_id", property(lambda layer: layer.arn))

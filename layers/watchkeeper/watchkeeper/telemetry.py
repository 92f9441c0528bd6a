"""Logs and metrics, made once. Tracing is switched on in the template: the X-Ray SDK would cost 165
ms a cold start.
"""

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
"""Structured JSON on stdout; service and level come from POWERTOOLS_SERVICE_NAME and
POWERTOOLS_LOG_LEVEL.
"""

metrics = Metrics()
"""Embedded metric format on stdout: a metric costs no API call and cannot fail. One dimension:
service = the stack.
"""


def count(name: str, value: float = 1) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def count_for_plan(plan: str, name: str, value: float) -> None:
    """The same metric again per plan: a handful of plans is affordable where thousands of resources
    are not.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=value) as metric:
        metric.add_dimension(name="service", value=metrics.service or "watchkeeper")
        metric.add_dimension(name="plan", value=plan)

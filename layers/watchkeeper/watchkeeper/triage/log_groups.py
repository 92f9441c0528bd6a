"""Where a resource writes its logs: by its tag, the operator's policy or its service's habit. Pure.

No group of these need exist. What nobody can know from an ARN alone is left to tag and policy: the
logs of an instance, of a pod, of an Aurora instance (its cluster has them).
"""

import re
from collections.abc import Mapping, Sequence

TAG = "watchkeeper:logs"
"""Its value names log groups, with spaces between them."""
MOST_GROUPS = 10
"""Log groups of one resource: each is read, and paid by size."""

_VALID = re.compile(r"[A-Za-z0-9_./#-]{1,512}")
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html"""
_DATABASE = ("postgresql", "error", "slowquery", "alert")
"""Of PostgreSQL, of MySQL and MariaDB, and of Oracle. Left out: `general` and `audit`, which hold
every statement and are paid by size.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Procedural.UploadtoCloudWatch.html
"""
_HABITS: Sequence[tuple[re.Pattern[str], Sequence[str]]] = tuple(
    (re.compile(pattern), groups)
    for pattern, groups in (
        (r"lambda:function:([^:/]+)(?::.*)?", ("/aws/lambda/{0}",)),
        (r"rds:db:([^:/]+)", tuple(f"/aws/rds/instance/{{0}}/{log}" for log in _DATABASE)),
        (r"rds:cluster:([^:/]+)", tuple(f"/aws/rds/cluster/{{0}}/{log}" for log in _DATABASE[:3])),
        # What the console writes into a task definition; many keep it.
        (r"ecs:service/[^/]+/([^/]+)", ("/ecs/{0}",)),
        (r"ecs:service/([^/]+)", ("/ecs/{0}",)),
        (r"apigateway:/(?:rest)?apis/([^/]+)", ("/aws/apigateway/{0}",)),
        (
            r"apigateway:/restapis/([^/]+)/stages/([^/]+)",
            ("API-Gateway-Execution-Logs_{0}/{1}", "/aws/apigateway/{0}"),
        ),
        (r"apigateway:/apis/([^/]+)/stages/[^/]+", ("/aws/apigateway/{0}",)),
        (
            r"states:stateMachine:([^:]+)(?::.*)?",
            ("/aws/vendedlogs/states/{0}-Logs", "/aws/vendedlogs/states/{0}"),
        ),
        (r"codebuild:project/([^/]+)", ("/aws/codebuild/{0}",)),
        (r"logs:log-group:([^:*]+)(?::\*)?", ("{0}",)),
    )
)
_IMPLIED = (
    (re.compile(r"/aws/lambda/([A-Za-z0-9_-]{1,64})"), "lambda", "function:{0}"),
    (re.compile(r"/aws/rds/instance/([A-Za-z0-9-]{1,63})/[a-z-]+"), "rds", "db:{0}"),
    (re.compile(r"/aws/rds/cluster/([A-Za-z0-9-]{1,63})/[a-z-]+"), "rds", "cluster:{0}"),
)


def valid_group(name: str) -> bool:
    """Whether CloudWatch Logs could have a group that is called so."""
    return _VALID.fullmatch(name) is not None


def groups_of(arn: str, tags: Mapping[str, str], by_policy: Sequence[str]) -> tuple[str, ...]:
    """Log groups of a resource, the surest first: its tag, the policy, the habit of its service.

    A tag is anybody's text: what is no name of a log group in it is left out.
    """
    named = [*tags.get(TAG, "").split(), *by_policy, *by_habit(arn)]
    return tuple(dict.fromkeys(filter(valid_group, named)))[:MOST_GROUPS]


def by_habit(arn: str) -> list[str]:
    """Where its service writes by itself, or as its console proposes."""
    parts = arn.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004  (arn:partition:service:region:account:resource)
        return []
    what = f"{parts[2]}:{parts[5]}"
    for pattern, groups in _HABITS:
        match = pattern.fullmatch(what)
        if match:
            return [one.format(*match.groups()) for one in groups]
    return []


def writer_of(group: str) -> tuple[str, str] | None:
    """The service and the resource part of the ARN of what writes to a group, by its name."""
    for pattern, service, resource in _IMPLIED:
        match = pattern.fullmatch(group)
        if match:
            return service, resource.format(*match.groups())
    return None

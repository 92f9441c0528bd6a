"""What RDS lets an account have and write: quotas, and the tags of its resources."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import RDSClientError

# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Tagging.html
MOST_TAGS = 50
LONGEST = {"Key": 128, "Value": 256}
# "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", and no key may begin with AWS's own prefixes:
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_Tag.html
SIGNS = frozenset("_.:/=+-@")
RESERVED = ("aws:", "rds:")


def check_tags(tags: Iterable[Mapping[str, str]] | None, already: Iterable[str] = ()) -> None:
    """Refuse what RDS refuses; `already` are the keys that the resource has."""
    keys = set(already)
    for tag in tags or ():
        keys.add(tag["Key"])
        if tag["Key"].startswith(RESERVED):
            raise _invalid(f"Tag keys starting with {' or '.join(RESERVED)} are reserved")
        for part, longest in LONGEST.items():
            text = tag.get(part, "")
            if len(text) > longest or not all(map(_is_taken, text)):
                raise _invalid(f"The tag {part.lower()} {text!r} is not valid")
    # AWS's own do not count.
    if sum(not key.startswith("aws:") for key in keys) > MOST_TAGS:
        raise _invalid(f"A resource cannot have more than {MOST_TAGS} tags")


def _is_taken(sign: str) -> bool:
    return sign in SIGNS or unicodedata.category(sign)[0] in "LZN"


def _invalid(message: str) -> RDSClientError:
    return RDSClientError("InvalidParameterValue", message)


def account_attributes(backend: Any, most_snapshots: int) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AccountQuota.html

    Those quotas that say something here.
    """
    quotas = {
        "DBInstances": (backend.databases, 40),
        "ManualSnapshots": (_manual(backend.database_snapshots), most_snapshots),
        "DBClusters": (backend.clusters, 40),
        "ManualClusterSnapshots": (_manual(backend.cluster_snapshots), most_snapshots),
    }
    shown = [
        {"AccountQuotaName": name, "Used": len(used), "Max": most}
        for name, (used, most) in quotas.items()
    ]
    return ActionResult({"AccountQuotas": shown})


def _manual(snapshots: Mapping[str, Any]) -> list[Any]:
    return [one for one in snapshots.values() if one.snapshot_type == "manual"]

"""The evidence that drills have left in a box, and whether its chains are whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.cloud import Cloud


@dataclass(frozen=True)
class Filed:
    """A document of a chain, in short."""

    run: str
    level: str
    verdict: str
    failure: str
    checks: int


def chains_of(
    cloud: Cloud, arns: Mapping[str, str], stored: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, tuple[Filed, ...]], tuple[str, ...]]:
    """Per name its evidence in order; and where a chain is not whole, by its newest proof among
    the `stored` items of the table.
    """
    from watchkeeper.aws.evidence import EvidenceReader  # noqa: PLC0415, importable inside a box
    from watchkeeper.drills.chain import Anchor, verify_chain  # noqa: PLC0415

    reader = EvidenceReader(cloud.physical_id("EvidenceBucket"))
    chains: dict[str, tuple[Filed, ...]] = {}
    breaks = []
    for name, arn in arns.items():
        chain = reader.chain(arn)
        documents = [(one.sequence, reader.read(one)) for one in chain]
        chains[name] = tuple(_filed(document) for _, document in documents)
        of_it = [one for one in stored if one["pk"] == f"PROOF#{arn}"]
        newest = max(of_it, key=lambda one: int(one["sequence"]), default=None)
        anchor = Anchor(newest["sequence"], newest["digest"]) if newest else None
        if broken := verify_chain(documents, chain[0].chain if chain else "", anchor):
            breaks.append(f"{name}: {broken}")
    return chains, tuple(breaks)


def without_page(cloud: Cloud, arns: Mapping[str, str]) -> dict[str, int]:
    """Per name, how many documents of its chain have no page beside them."""
    from watchkeeper.aws.evidence import EvidenceReader  # noqa: PLC0415 (as above)

    reader = EvidenceReader(cloud.physical_id("EvidenceBucket"))
    listed = cloud.client("s3").list_objects_v2(Bucket=reader.bucket).get("Contents", [])
    keys = {one["Key"] for one in listed}
    return {
        name: sum(one.key.replace(".json", ".html") not in keys for one in reader.chain(arn))
        for name, arn in arns.items()
    }


def _filed(document: bytes) -> Filed:
    found = json.loads(document)
    return Filed(
        found["run"], found["level"], found["verdict"], found["failure"], len(found["checks"])
    )

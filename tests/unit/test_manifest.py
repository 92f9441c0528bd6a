"""The document beside a recovery point: the same bytes for ever, read back as it was meant."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.backups.manifest import BadManifest, Manifest, digest
from watchkeeper.backups.model import Kind
from watchkeeper.backups.sample import Sample

GOLDEN = Path(__file__).parents[1] / "golden"
FIRST = (GOLDEN / "manifest-v1.json").read_bytes()
MANIFEST = Manifest(
    point="3f9d1c0a7be24856",
    resource="arn:aws:dynamodb:eu-west-1:111122223333:table/rates",
    kind=Kind.TABLE,
    run="backup#by-hand#before-import#000",
    plan="gold",
    asked_at=datetime(2026, 11, 23, 2, 0, 4, 250000, tzinfo=UTC),
    words=("before-import", "release-42"),
    key="arn:aws:kms:eu-west-1:111122223333:key/0b6c1d1e-7a53-4f0e-9d8f-2c1f5a4b3c2d",
    settings={
        "time_to_live": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"},
        "tags": {"owner": "Zoë", "backup-plan": "gold"},
        "table_class": "STANDARD",
        "stream": {},
        "scaling": {
            "targets": [{"ResourceId": "table/rates", "MinCapacity": 5, "MaxCapacity": 50}],
            "policies": [
                {
                    "PolicyName": "reads",
                    "CreationTime": datetime(2026, 1, 12, 9, 30, tzinfo=UTC),
                    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.5},
                }
            ],
            "scheduled_actions": [],
        },
        "resource_policy": "",
        "replica_regions": ["eu-central-1"],
        "point_in_time_recovery": {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": 7,
        },
        "kinesis_destinations": [],
        "deletion_protection": True,
    },
)
SAMPLED = replace(
    MANIFEST,
    settings={"key_schema": [{"AttributeName": "id", "KeyType": "HASH"}]},
    sample=Sample(
        items={"8830cd2ed24e55fa": "765453f4afc7463c", "8e0ad5bb5f0a2a70": "1d0c6e1f2f2eee89"},
        looked_at=3,
        changed=1,
        is_whole=True,
        at=datetime(2026, 11, 23, 2, 0, 5, tzinfo=UTC),
        count=3,
        size=96,
    ),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def settings_of(document: bytes) -> Any:
    return json.loads(document)["settings"]


def written(**settings: object) -> Any:
    return settings_of(replace(MANIFEST, settings=settings).to_json())


def test_the_first_manifest_is_written_as_it_was_and_read_as_it_was_meant() -> None:
    assert MANIFEST.to_json() == FIRST
    assert digest(FIRST) == "48b4e301cd4d333aeb3ff917315e8854baf05385cb43ba16fa2e22f94cafaa2b"
    assert Manifest.of(FIRST) == replace(MANIFEST, settings=settings_of(FIRST))


@pytest.mark.parametrize(
    "sample", [SAMPLED.sample, Sample(count=7, size=70, why="dynamodb:Scan answered X")]
)
def test_what_items_were_is_read_back(sample: Sample) -> None:
    manifest = replace(SAMPLED, sample=sample)

    assert Manifest.of(manifest.to_json()) == manifest


def test_the_first_sample_is_written_as_it_was() -> None:
    first = (GOLDEN / "manifest-v1-sampled.json").read_bytes()

    assert SAMPLED.to_json() == first
    assert Manifest.of(first) == SAMPLED


def test_what_a_newer_version_adds_does_not_get_in_the_way() -> None:
    newer = json.loads(FIRST) | {"schema": 2, "checksums": {"rows": 7}}

    assert Manifest.of(json.dumps(newer).encode()) == Manifest.of(FIRST)


@given(st.dictionaries(st.text(), plain))
def test_settings_are_read_back_and_their_order_makes_no_difference(
    settings: dict[str, object],
) -> None:
    manifest = replace(MANIFEST, settings=settings)
    backwards = replace(MANIFEST, settings=dict(reversed(settings.items())))

    assert Manifest.of(manifest.to_json()) == manifest
    assert backwards.to_json() == manifest.to_json()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (70.0, 70),
        (0.1, "0.1"),
        (Decimal("1.50"), "1.50"),
        (Decimal(40), 40),
        (float("inf"), "Infinity"),
        (True, True),
        (
            datetime(2026, 11, 23, 3, tzinfo=timezone(timedelta(hours=1))),
            "2026-11-23T02:00:00.000Z",
        ),
        (("a", 1), ["a", 1]),
        ({1: None}, {"1": None}),
    ],
)
def test_what_aws_answers_with_is_written_without_fractions_or_zones(
    value: object, shown: object
) -> None:
    found = written(one=value)["one"]

    assert (found, type(found)) == (shown, type(shown))


def test_what_json_cannot_hold_is_named() -> None:
    with pytest.raises(TypeError, match="cannot hold <object"):
        written(one=object())


def without(name: str) -> bytes:
    found = json.loads(FIRST)
    del found[name]
    return json.dumps(found).encode()


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(FIRST) | fields).encode()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe\x00", "it is no JSON"),
        (b"[1]", r"it is no JSON object but \[1\]"),
        (without("point"), "its point is null where a str is expected"),
        (changed(words="x"), 'its words is "x" where a list is expected'),
        (changed(settings=[]), r"its settings is \[\] where a dict is expected"),
        (changed(kind="floppy-disk"), "'floppy-disk' is not a valid Kind"),
        (changed(asked_at="yesterday"), "yesterday"),
        (changed(sample=7), "its sample is 7 where a dict is expected"),
        (changed(sample={}), "its items is null where a dict is expected"),
        (changed(sample={"items": {"a": 1}}), "its a is 1 where a str is expected"),
    ],
)
def test_what_is_no_manifest_is_refused_with_what_is_wrong(document: bytes, why: str) -> None:
    with pytest.raises(BadManifest, match=why):
        Manifest.of(document)

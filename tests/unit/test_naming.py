"""Stored names: frozen as they are, read back as they were, ordered as the times they hold."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper import naming

AT = datetime(2026, 11, 23, 2, 0, 30, 123456, tzinfo=UTC)
NIGHT = "backup#gold#2026-11-23T02:00Z"
moments = st.integers(0, 10**14).map(
    lambda microseconds: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@pytest.mark.parametrize(
    ("built", "name"),
    [
        (naming.minute(AT), "2026-11-23T02:00Z"),
        (naming.instant(AT), "2026-11-23T02:00:30.123Z"),
        (naming.night_id("gold", AT), NIGHT),
        (naming.shard_id(NIGHT, 3), f"{NIGHT}#003"),
        (naming.by_hand_id("backup", "try-1"), "backup#by-hand#try-1"),
        (naming.rebuild_id("try-1"), "backup#rebuild#try-1"),
        (naming.expiry_id(AT), "expire#2026-11-23T02:00Z"),
        (naming.run_key(NIGHT), {"pk": f"RUN#{NIGHT}", "sk": "RUN"}),
        (naming.targets_key(NIGHT, 3), {"pk": f"RUN#{NIGHT}", "sk": "TARGETS#003"}),
        (naming.history_key(NIGHT, 3, "take"), {"pk": f"RUN#{NIGHT}", "sk": "STEP#0003#take"}),
        (naming.due_key("backup"), "DUE#backup"),
        (naming.point_pk("arn:x"), "POINT#arn:x"),
        (naming.point_sk(AT, "ab12"), "2026-11-23T02:00:30.123Z#ab12"),
        (naming.listing_key("prod"), "POINTS#prod"),
        (naming.policy_key("backups"), {"pk": "POLICY#backups", "sk": "LAST_GOOD"}),
        (naming.coverage_pk("backups"), "COVERAGE#backups"),
        (naming.receipt_key("toy", "event-1"), {"pk": "SEEN#toy#event-1", "sk": "RECEIPT"}),
        (naming.STOP_KEY, {"pk": "STOP", "sk": "STOP"}),
        (naming.TAG_STACK, "watchkeeper:stack"),
        (naming.TAG_RUN, "watchkeeper:run"),
        (naming.TAG_PLAN, "watchkeeper:plan"),
        (naming.TAG_SOURCE, "watchkeeper:source"),
        (naming.TAG_POINT, "watchkeeper:point"),
        (naming.short_id("a"), "ca978112ca1bbdca"),
    ],
)
def test_stored_names_never_change(built: object, name: object) -> None:
    assert built == name


def test_times_are_stored_in_utc_whatever_their_zone() -> None:
    berlin = AT.astimezone(ZoneInfo("Europe/Berlin"))
    assert naming.minute(berlin) == naming.minute(AT)
    assert naming.instant(berlin) == naming.instant(AT)
    kathmandu = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert naming.night_id("gold", kathmandu) == naming.night_id("gold", AT)


@given(moments)
def test_times_are_read_back(at: datetime) -> None:
    assert naming.parse_minute(naming.minute(at)) == at.replace(second=0, microsecond=0)
    parsed = naming.parse_instant(naming.instant(at))
    assert parsed == at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert parsed.utcoffset() == timedelta(0)


@given(moments, moments)
def test_the_order_of_stored_times_is_the_order_of_time(one: datetime, other: datetime) -> None:
    texts = naming.instant(one), naming.instant(other)
    assert (texts[0] < texts[1]) <= (one < other)
    assert (one <= other) <= (texts[0] <= texts[1])
    assert len(texts[0]) == len(texts[1]) == 24


def test_a_time_of_another_form_is_no_run_time() -> None:
    with pytest.raises(ValueError, match="does not match"):
        naming.parse_minute("2026-11-23 02:00")


@given(st.text(), st.text())
def test_short_ids_fit_names_that_aws_limits_and_tell_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", naming.short_id(one))
    assert (naming.short_id(one) == naming.short_id(other)) is (one == other)


def test_a_run_id_leads_to_its_capability_and_back_from_its_key() -> None:
    for run_id in (NIGHT, naming.shard_id(NIGHT, 1), naming.rebuild_id("x")):
        assert naming.capability_of(run_id) == "backup"
        assert naming.run_id_of(naming.run_key(run_id)["pk"]) == run_id
    assert naming.capability_of(naming.expiry_id(AT)) == "expire"


def test_recovery_points_are_one_per_run_and_source_and_doubles_are_told_apart() -> None:
    point = naming.point_id(NIGHT, "arn:a")
    others = {
        naming.point_id(NIGHT, "arn:b"),
        naming.point_id(naming.shard_id(NIGHT, 1), "arn:a"),
        naming.point_id(NIGHT, "arn:a", "snap-2"),
    }
    assert point == naming.point_id(NIGHT, "arn:a")
    assert point not in others
    assert len(others) == 3


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:ec2:eu-west-1:123456789012:snapshot/snap-1",
        "arn:aws:ec2::eu-west-1:snapshot/snap-1",  # as EBS's events write it
        "snap-1",
    ],
)
def test_the_bare_id_of_every_form(arn: str) -> None:
    assert naming.ec2_id(arn) == "snap-1"


def test_arns_are_built_and_typed() -> None:
    place = ("aws-cn", "cn-north-1", "123456789012")
    volume = naming.volume_arn(place, "vol-1")
    assert volume == "arn:aws-cn:ec2:cn-north-1:123456789012:volume/vol-1"
    assert naming.ec2_type(volume) == "volume"
    assert naming.ec2_type(naming.instance_arn(place, "i-1")) == "instance"


@pytest.mark.parametrize("text", ["", "vol-1", "arn:aws:rds:eu-west-1:123456789012:db:x"])
def test_what_is_no_ec2_arn_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no EC2 ARN; expected arn:aws:ec2"):
        naming.ec2_type(text)

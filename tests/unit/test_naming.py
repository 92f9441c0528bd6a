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
        (
            naming.table_backup("prod", "gold", f"{NIGHT}#003", "3f9d1c0a7be24856"),
            "wk.prod.gold.backup_ngold_n2026-11-23T02_c00Z_n003.3f9d1c0a7be24856",
        ),
        (naming.manifest_key("3f9d1c0a7be24856"), "manifests/3f9d1c0a7be24856.json"),
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


words = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
runs = st.one_of(
    st.builds(naming.shard_id, st.builds(naming.night_id, words, moments), st.integers(0, 999)),
    # The request ids that a trigger takes.
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).map(
        lambda request: naming.shard_id(naming.by_hand_id("backup", request), 0)
    ),
)


@given(words, words, runs, st.text().map(naming.short_id))
def test_a_backup_of_a_table_says_in_its_name_what_tags_would_say(
    stack: str, plan: str, run: str, point: str
) -> None:
    try:
        name = naming.table_backup(stack, plan, run, point)
    except ValueError:  # a request id of underscores, which take two characters each
        assert run.count("_") > 30
    else:
        assert re.fullmatch(r"[a-zA-Z0-9_.-]{3,255}", name)
        assert naming.parse_table_backup(name) == (stack, plan, run, point)


@pytest.mark.parametrize(
    "name",
    [
        "nightly",
        "wk.prod.gold.backup_ngold",
        "wk.prod.gold.backup_ngold.3F9D1C0A7BE24856",
        "awk.prod.gold.backup_ngold.3f9d1c0a7be24856",
        "wk.prod.gold.backup_ngold.3f9d1c0a7be24856\n",
    ],
)
def test_a_name_of_another_form_is_nobodys(name: str) -> None:
    assert naming.parse_table_backup(name) is None


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


PLACE = ("aws-cn", "cn-north-1", "123456789012")


@pytest.mark.parametrize(
    ("arn", "service_and_type", "name"),
    [
        (naming.volume_arn(PLACE, "vol-1"), ("ec2", "volume"), "vol-1"),
        (naming.instance_arn(PLACE, "i-1"), ("ec2", "instance"), "i-1"),
        (naming.database_arn(PLACE, "orders"), ("rds", "db"), "orders"),
        (naming.cluster_arn(PLACE, "ledger"), ("rds", "cluster"), "ledger"),
        ("arn:aws:rds:x:1:snapshot:awsbackup:job-7", ("rds", "snapshot"), "awsbackup:job-7"),
        (naming.table_arn(PLACE, "carts.v2"), ("dynamodb", "table"), "carts.v2"),
        ("arn:aws:dynamodb:x:1:table/carts/backup/01-2", ("dynamodb", "table"), "carts"),
        ("arn:aws:s3:::orders", ("s3", "bucket"), ""),
        ("vol-1", ("", ""), ""),
        ("", ("", ""), ""),
    ],
)
def test_arns_are_built_and_read(arn: str, service_and_type: tuple[str, str], name: str) -> None:
    readers = {"ec2": naming.ec2_id, "rds": naming.rds_name, "dynamodb": naming.table_name}

    assert naming.service_and_type(arn) == service_and_type
    assert readers.get(service_and_type[0], lambda _: "")(arn) == name


def test_run_ids_survive_the_tags_of_rds() -> None:
    run = naming.shard_id("backup#gold#2026-11-23T02:00Z", 7)

    assert "#" not in naming.rds_value(run)
    assert naming.from_rds_value(naming.rds_value(run)) == run

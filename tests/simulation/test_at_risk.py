"""Who falls behind is told once, by name, also while an older alarm is still sounding."""

from datetime import timedelta

from local.aws.ec2 import installed_in
from local.cloud import Cloud
from local.triggers import Published
from tests.crash.night import ARCHIVE, BROKEN, SCRATCH, account


def told(cloud: Cloud) -> list[Published]:
    pages = cloud.published("PagesTopic")
    return [page for page in pages if (page.subject or "").startswith("At risk")]


def test_each_resource_that_comes_to_be_at_risk_is_told_once_by_name() -> None:
    with account() as made:
        made.cloud.clock.run_for(timedelta(days=1))
        (first,) = told(made.cloud)

        ec2 = installed_in(made.cloud)
        ec2.fail_snapshot_of(made.ids[ARCHIVE], "An internal error occurred.", times=99)
        made.cloud.clock.run_for(timedelta(days=1))
        assert told(made.cloud) == [first]  # the objective of the archive is not missed yet

        made.cloud.clock.run_for(timedelta(days=1))
        _, second = told(made.cloud)

    assert BROKEN in first.message
    assert SCRATCH not in first.message
    assert second.subject == "At risk in plan nightly: 1 more, 2 in all"
    assert ARCHIVE in second.message
    assert BROKEN not in second.message

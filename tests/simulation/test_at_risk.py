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


def test_how_a_plan_stands_is_measured_for_all_and_for_the_plan() -> None:
    with account() as made:
        made.cloud.clock.run_for(timedelta(hours=2))
        measured = [metric for metric in made.cloud.metrics if metric.name == "ProtectedResources"]

    assert [(metric.value, metric.dimensions) for metric in measured] == [
        (4, {"service": "watchkeeper", "plan": "nightly"}),
        (4, {"service": "watchkeeper"}),
    ]

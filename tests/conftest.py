"""What every test can count on: no way into a real account, one Region, UTC, and no silent skips.

Sockets are closed by pytest-socket (see pyproject.toml). Nothing here starts moto: a test that
wants a simulated account asks `local` for one.
"""

import os
import time
from collections.abc import Generator

import pytest
from hypothesis import settings

REGION = "eu-west-1"
"""Not us-east-1, which AWS treats specially: code that forgets to name a Region shows it here."""

IN_CI = os.environ.get("CI") == "true"

# Set while this file is imported, before any test module creates a client or takes a local time.
for _name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "TZ": "UTC",
}
time.tzset()

# No deadline: the machine may be busy, and an example that is slow is not wrong. In CI the same
# examples every time: a change is not blamed for what chance found, which a desk run will find too.
settings.register_profile("watchkeeper", deadline=None, derandomize=IN_CI)
settings.load_profile("watchkeeper")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test has failed: what CI cannot run, nobody runs."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report

"""A round of drills: chosen and shown with its estimate, begun, looked at, reported."""

from datetime import timedelta

from watchkeeper.drills.choosing import ensure_begun, ensure_chosen
from watchkeeper.drills.reading import ensure_looked, ensure_reported
from watchkeeper.runs.record import Step

ROUND = (
    Step("choose", ensure_chosen,   within=timedelta(hours=1)),
    Step("begin",  ensure_begun,    within=timedelta(hours=1)),
    Step("look",   ensure_looked,   within=timedelta(hours=6)),
    Step("report", ensure_reported, within=timedelta(hours=1)),
)  # fmt: skip

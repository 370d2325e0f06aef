"""Asynchronous jobs by the Universal Worker Service pattern 1.1, for any service of this project.

`Jobs` keeps and runs them, `job_list` gives the blueprint of one job list, and a `JobKind` says what its jobs do.
"""

from __future__ import annotations

from obscore_tap.uws.execution import JobRun
from obscore_tap.uws.jobs import Jobs
from obscore_tap.uws.kinds import JobKind
from obscore_tap.uws.model import Job, JobError, JobLimits, Phase, Result
from obscore_tap.uws.views import job_list

__all__ = ["Job", "JobError", "JobKind", "JobLimits", "JobRun", "Jobs", "Phase", "Result", "job_list"]

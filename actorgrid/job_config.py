"""Configurations of jobs: the names of ``ray.job_config``."""

from actorgrid.api.job_config import JobConfig

__all__ = ["JobConfig"]

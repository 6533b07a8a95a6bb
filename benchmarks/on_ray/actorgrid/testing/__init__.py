"""What the tests need of ``actorgrid.testing``; who leaves what behind is not asked of Ray."""

from __future__ import annotations

from contextlib import nullcontext as no_leaks

__all__ = ["no_leaks"]

"""The names of ``ray.types``: for annotations, as in ``-> ObjectRef[int]``."""

from actorgrid.engine.refs import ObjectRef

__all__ = ["ObjectRef"]

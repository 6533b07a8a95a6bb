"""What ``import ray`` finds in a process that a program of ``actorgrid ray`` has started by itself: actorgrid."""

import importlib
import sys

del sys.modules["ray"]  # this one: as_ray must be there before anything that is called so
importlib.import_module("actorgrid.as_ray")
importlib.import_module("ray")

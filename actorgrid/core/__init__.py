"""WHAT HAPPENS: pure state machines. No input or output, clocks, threads, randomness or ``id()``.

``messages``    everything that crosses a pipe: the one definition
``states``      the transition tables
``head/``       the machine that owns the task graph
``client``      what one process knows of the objects and actors it refers to
``worker``      what one worker was given and what it runs
``resources``   exact amounts and pools; ``extents``: where values lie in shared memory; ``ids``, ``signals``
"""

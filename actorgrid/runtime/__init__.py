"""HOW IT REALLY RUNS: processes, pipes, signals and shared memory around the machines of ``core``.

``driver``     starts a grid and talks to it          ``head``      the head's loop
``boot``       the first code of a new process        ``launcher``  forks and reaps workers
``worker``     runs tasks; ``execution``, ``async_actor``, ``threaded_actor``, ``outbox``, ``worker_engine``
``process``    what driver and worker share           ``links``     frames and descriptors over socket pairs
``store``, ``arenas``  shared memory                  ``lifetime``  who dies with whom; ``output``, ``surroundings``
"""

"""HOW IT REALLY RUNS: processes, pipes, signals and shared memory around the machines of ``core``.

``driver``     starts a grid and talks to it          ``head``      the head's loop
``boot``       the first code of a new process        ``launcher``  forks and reaps workers
``worker``     runs tasks; ``async_actor``, ``awaiting_calls``, ``threaded_actor``, ``outbox``, ``worker_engine``
``interruption``  cancelling what a worker runs        ``way_out``   how its process ends
``crew``       the workers, as the head sees them     ``drivers``   the drivers
``limits``     what errors say of the system's limits
``aftermath``  what a task leaves in its process, put right; ``watched``: the functions through which it changes it
``door``       the socket of a persistent grid        ``lobby``     who has come through it and said nothing yet
``hearing``    what clients send, whatever that is
``process``    what driver and worker share           ``links``     frames and descriptors over socket pairs
``store``, ``arenas``, ``segments``  shared memory      ``lifetime``  who dies with whom; ``output``, ``surroundings``
``tracker``    the resource tracker of Python's that program and workers share
``undertaker``  kills what is left of workers
"""

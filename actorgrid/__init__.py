"""Ray's programming model — remote functions, object references, actors — for one machine, on plain processes.

The map of the house; each line may use the lines below it::

    cli/            the ``actorgrid`` command
    api/            what users call: remote functions, actors, get, put, wait, init
    runtime/        how it really runs: driver, head, launcher, workers, pipes, shared memory
    engine/         the protocol between ``api`` and whatever runs the program; references
    observe/        what can be seen of a running grid
    wire/           how bytes look: frames, payloads, exceptions
    core/           what happens: pure state machines of head, client and worker
    exceptions.py   every exception; the tree is drawn at its top
"""

__version__ = "0.1.0"

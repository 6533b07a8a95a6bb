"""A web-ish fan-out in asyncio: one request asks several backends at once and awaits their answers.

References are awaitable in any event loop; an asynchronous actor serves many requests at a time in one process.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import actorgrid as ag

PAUSE = 0.05


class Backend:
    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, question: str) -> str:
        """Answer after a while, as if a database had been asked."""
        await asyncio.sleep(PAUSE)
        return f"{self.name} says {len(question)}"


@ag.remote
def render(title: str, answers: list[str]) -> str:
    """Work for a CPU: done in another process, so the loop stays free."""
    return f"<h1>{title}</h1>" + "".join(f"<p>{answer}</p>" for answer in answers)


async def handle(backends: list[Any], request: int) -> str:
    """One request."""
    question = "?" * request
    answers = await asyncio.gather(*(backend.answer.remote(question) for backend in backends))
    return await render.remote(f"request {request}", list(answers))


async def serve() -> list[str]:
    """A hundred requests at once."""
    remote = ag.remote(Backend)
    backends = [remote.remote(name) for name in ("users", "prices", "stock")]
    return await asyncio.gather(*(handle(backends, number) for number in range(100)))


def main() -> None:
    """Serve, and show that the waits overlapped."""
    began = time.perf_counter()
    pages = asyncio.run(serve())
    seconds = time.perf_counter() - began
    print(f"{len(pages)} pages in {seconds:.2f} s; their waits, one by one, are {300 * PAUSE:.0f} s")
    print(pages[3])
    assert pages[3] == "<h1>request 3</h1><p>users says 3</p><p>prices says 3</p><p>stock says 3</p>"
    assert seconds < 300 * PAUSE


if __name__ == "__main__":
    main()

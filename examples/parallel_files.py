"""A parallel map over files: count lines of code in a package, a batch of files per task.

Paths travel, contents do not: each task opens its own files and sends back only the counts.
"""

from __future__ import annotations

import json
from pathlib import Path

import actorgrid as ag


@ag.remote
def count_lines(paths: list[Path]) -> dict[str, int]:
    """Return the number of lines that are neither empty nor comments, by file name."""
    counts: dict[str, int] = {}
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        counts[path.name] = sum(1 for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return counts


def main() -> None:
    """Count the lines of the standard library's top-level modules."""
    paths = sorted(Path(json.__file__).parents[1].glob("*.py"))
    batches = [paths[at : at + 20] for at in range(0, len(paths), 20)]
    counts: dict[str, int] = {}
    for part in ag.get([count_lines.remote(batch) for batch in batches]):
        counts |= part
    longest = max(counts, key=lambda name: counts[name])
    print(f"{len(counts)} modules, {sum(counts.values()):,} lines; the longest is {longest} ({counts[longest]:,})")
    assert set(counts) == {path.name for path in paths}


if __name__ == "__main__":
    main()

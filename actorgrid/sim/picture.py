"""A failure as one HTML file: a lane for each task and actor, an arrow for each call, deviations and deaths marked."""

from __future__ import annotations

from html import escape
from typing import Final

from actorgrid.sim.runner import Run
from actorgrid.sim.story import Step

LANE: Final = 170
ROW: Final = 34
LEFT: Final = 90
TOP: Final = 56

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }}
h1 {{ font-size: 1.3em; }}
pre {{ background: #f6f6f4; padding: 1em; overflow-x: auto; font-size: 12.5px; }}
svg text {{ font: 12px system-ui, sans-serif; fill: #222; }}
svg .name {{ font-weight: 600; text-anchor: middle; }}
svg .time {{ fill: #888; text-anchor: end; font-variant-numeric: tabular-nums; }}
svg .lane {{ stroke: #d8d8d4; }}
svg .call {{ stroke: #4a6fa5; stroke-width: 1.6; fill: none; }}
svg .odd {{ stroke: #c0392b; stroke-width: 2.6; }}
svg .oddtext {{ fill: #c0392b; font-weight: 600; }}
svg .what {{ text-anchor: middle; paint-order: stroke; stroke: #fff; stroke-width: 4px; }}
svg .other {{ fill: #8a5a00; }}
</style>
<h1>{title}</h1>
<p>Time runs downwards. An arrow is a call at the moment when the actor started it; red is what is not dull.</p>
<div style="overflow-x: auto">
<svg width="{width}" height="{height}" role="img" aria-label="{title}">
<defs>
<marker id="a" markerWidth="9" markerHeight="7" refX="8" refY="3.5" orient="auto"><path d="M0 0 9 3.5 0 7z" fill="#4a6fa5"/></marker>
<marker id="r" markerWidth="7" markerHeight="6" refX="6" refY="3" orient="auto"><path d="M0 0 7 3 0 6z" fill="#c0392b"/></marker>
</defs>
{drawing}
</svg>
</div>
<h2>The same in words</h2>
<pre>{report}</pre>
</html>
"""  # noqa: E501  # markup


def picture(run: Run, report: str) -> str:
    """Return the page. ``run`` was made with ``details``."""
    lanes = _lanes(run.story)
    height = TOP + ROW * (len(run.story) + 1)
    parts = [_lane(name, x, height) for name, x in lanes.items()]
    for row, step in enumerate(run.story):
        parts.append(_step(step, TOP + ROW * (row + 1), lanes, odd=run.deviates(row)))
    title = escape(report.splitlines()[0])
    width = LEFT + LANE * max(len(lanes), 1) + 40
    return _PAGE.format(title=title, width=width, height=height, drawing="\n".join(parts), report=escape(report))


def _lanes(story: list[Step]) -> dict[str, int]:
    """Return where each lane stands: whoever calls first, then actors, both in order of appearance."""
    callers = [step.caller for step in story if step.caller]
    actors = [step.where for step in story if step.where]
    names = list(dict.fromkeys([*callers, *actors]))
    names.sort(key=lambda name: (name in actors, name != "main"))
    return {name: LEFT + LANE // 2 + LANE * index for index, name in enumerate(names)}


def _lane(name: str, x: int, height: int) -> str:
    return (
        f'<text class="name" x="{x}" y="24">{escape(name)}</text>'
        f'<line class="lane" x1="{x}" y1="36" x2="{x}" y2="{height - 10}"/>'
    )


def _step(step: Step, y: int, lanes: dict[str, int], *, odd: bool) -> str:
    time = f'<text class="time" x="{LEFT - 14}" y="{y + 4}">{step.when:.3f} s</text>'
    tip = f"<title>{escape(step.site)}</title>" if step.site else ""
    if step.kind != "call":
        css = "oddtext" if odd or step.kind == "kill" else "other"
        sign = "✕ " if step.kind == "kill" else ""
        return f'<g>{tip}{time}<text class="{css}" x="{LEFT}" y="{y + 4}">{sign}{escape(step.what)}</text></g>'
    start, end = lanes[step.caller], lanes[step.where]
    css, marker = ("call odd", "r") if odd else ("call", "a")
    around, across = f"M{start} {y - 8} h26 v14 h-24", f"M{start} {y} H{end - 3 if end > start else end + 3}"
    path = around if start == end else across
    text = "what oddtext" if odd else "what"
    label = f'<text class="{text}" x="{(start + end) // 2}" y="{y - 6}">{escape(step.what)}</text>'
    return f'<g>{tip}{time}<path class="{css}" d="{path}" marker-end="url(#{marker})"/>{label}</g>'

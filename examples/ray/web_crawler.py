"""A crawler: pages found on a page are fetched next, each once, with at most so many under way."""

from __future__ import annotations

import time

import ray

PAGES = 120
AT_ONCE = 8


def links_of(page: int) -> list[int]:
    """Return what stands for the links of a page: this web is a graph of numbers."""
    return [target for target in (2 * page + 1, 2 * page + 2, page // 3) if target < PAGES]


@ray.remote
def fetch(page: int) -> tuple[int, list[int]]:
    time.sleep(0.001)  # the network
    return page, links_of(page)


@ray.remote
class Index:
    def __init__(self) -> None:
        self.links: dict[int, list[int]] = {}

    def add(self, page: int, links: list[int]) -> int:
        assert page not in self.links, f"page {page} was fetched twice"
        self.links[page] = links
        return len(self.links)

    def most_linked(self) -> int:
        pages = [target for links in self.links.values() for target in links]
        return max(sorted(set(pages)), key=pages.count)


def main() -> None:
    ray.init(num_cpus=4)
    index = Index.remote()
    seen, frontier, fetching = {0}, [0], []
    added = []
    while frontier or fetching:
        while frontier and len(fetching) < AT_ONCE:
            fetching.append(fetch.remote(frontier.pop()))
        done, fetching = ray.wait(fetching, num_returns=1)
        page, links = ray.get(done[0])
        added.append(index.add.remote(page, links))
        new = [link for link in links if link not in seen]
        seen.update(new)
        frontier.extend(new)
    print(f"{max(ray.get(added))} pages; most links lead to page {ray.get(index.most_linked.remote())}")


if __name__ == "__main__":
    main()

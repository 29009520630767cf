"""Several calls at once."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int, done: Callable[[int], None]
) -> list[_Result]:
    """Call the function for each item, so many at once, and give the results in the items' order.

    ``done`` hears how many are there. The first error is raised at once, and no further call begins; those under way
    are left to themselves, as Ctrl-C is not to wait for them either.
    """
    if len(items) == 1 or workers == 1:
        results = []
        for item in items:
            results.append(function(item))
            done(len(results))
        return results
    return _parallel(function, items, workers, done)


def _parallel(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int, done: Callable[[int], None]
) -> list[_Result]:
    ended: queue.SimpleQueue[tuple[int, _Result | BaseException]] = queue.SimpleQueue()

    def work(number: int) -> bool:
        outcome = _outcome(function, items[number])
        ended.put((number, outcome))
        return not isinstance(outcome, BaseException)

    stopped = _start(work, len(items), workers)
    results: dict[int, _Result] = {}
    try:
        while len(results) < len(items):
            number, outcome = ended.get()
            if isinstance(outcome, BaseException):
                raise outcome
            results[number] = outcome
            done(len(results))
    finally:
        stopped.set()
    return [results[number] for number in range(len(items))]


def _start(work: Callable[[int], bool], count: int, workers: int) -> threading.Event:
    """Do the numbered work in threads until some of it fails; give what stops them from beginning more."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(count):
        waiting.put(number)
    stopped = threading.Event()

    def run() -> None:
        with contextlib.suppress(queue.Empty):
            while not stopped.is_set():
                if not work(waiting.get_nowait()):
                    stopped.set()

    for _ in range(min(workers, count)):
        threading.Thread(target=run, daemon=True).start()
    return stopped


def _outcome(function: Callable[[_Item], _Result], item: _Item) -> _Result | BaseException:
    try:
        return function(item)
    except BaseException as error:  # noqa: BLE001 - it is raised where the results are waited for
        return error

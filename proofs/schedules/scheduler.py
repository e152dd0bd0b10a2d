"""Law: one worker runs at a time, and who runs next is a choice that is tried both ways.

Workers are threads over the real code. Each stops at every boundary (`pause`) and goes on only
when it is handed the baton. A run is the list of choices made; `explore` makes each run once, depth
first, by running everything again from the start with the next list. Where there are too many,
the first of them differ in their last steps alone: `draw` makes some from all over instead.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

Choose = Callable[[int, Sequence[str]], int]  # (which choice of the run, who can go on)
PATIENCE: Final = 60.0  # seconds without a boundary: a worker hangs, which is a failure


class Stuck(RuntimeError):
    """No worker can go on, or one does not come back."""


@dataclass
class Worker:
    """One thread and what it waits for."""

    name: str
    work: Callable[[], object]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ready: Callable[[], bool] = lambda: True
    done: bool = False
    result: object = None


class Baton:
    """Hands the baton from worker to worker, by the choices of one run."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._workers: dict[int, Worker] = {}
        self._back = threading.Semaphore(0)
        self.taken: list[tuple[int, int]] = []  # (choice, of how many)
        self.log: list[str] = []

    def pause(self, label: str, ready: Callable[[], bool] = lambda: True) -> None:
        """A boundary: others may run before this worker goes on. Outside a run it is nothing."""
        worker = self._workers.get(threading.get_ident())
        if worker is None:
            return
        worker.ready = ready
        self._back.release()
        worker.go.acquire()
        self.log.append(f"{worker.name}: {label}")

    def note(self, label: str) -> None:
        """Something happened that nobody needs to be asked about."""
        if worker := self._workers.get(threading.get_ident()):
            self.log.append(f"{worker.name}: {label}")

    def run(self, work: dict[str, Callable[[], object]]) -> dict[str, object]:
        """What each worker returned, or the exception it ended with. Raises Stuck."""
        workers = [Worker(name, job) for name, job in work.items()]
        threads = [
            threading.Thread(target=self._thread, args=(w,), name=w.name, daemon=True)
            for w in workers
        ]
        for thread in threads:
            thread.start()
        while alive := [w for w in workers if not w.done]:
            able = [w for w in alive if w.ready()]
            if not able:
                raise Stuck("no worker can go on:\n" + "\n".join(self.log))
            choice = self._choose(len(self.taken), [w.name for w in able])
            self.taken.append((choice, len(able)))
            able[choice].go.release()
            if not self._back.acquire(timeout=PATIENCE):
                raise Stuck(f"{able[choice].name} does not come back:\n" + "\n".join(self.log))
        for thread in threads:
            thread.join()
        return {w.name: w.result for w in workers}

    def _thread(self, worker: Worker) -> None:
        worker.go.acquire()
        self._workers[threading.get_ident()] = worker
        try:
            worker.result = worker.work()
        except Exception as error:  # noqa: BLE001  judged by whoever asked for the run
            worker.result = error
        finally:
            del self._workers[threading.get_ident()]
            worker.done = True
            self._back.release()


def _listed(choices: Sequence[int], at: int, able: Sequence[str]) -> int:
    return choices[at] if at < len(choices) else 0


def draw(run: Callable[[Baton], None], most: int) -> Iterator[int]:
    """So many schedules of `run`, drawn; always the same ones. In some runs the workers change
    seldom, in some at every step."""
    for made in range(1, most + 1):
        run(Baton(_drawn(random.Random(made))))
        yield made


def _drawn(source: random.Random) -> Choose:
    often = source.random()
    ranks: dict[str, float] = {}

    def choose(_: int, able: Sequence[str]) -> int:
        if source.random() < often:
            ranks.clear()
        drawn = [ranks.setdefault(name, source.random()) for name in able]
        return drawn.index(max(drawn))

    return choose


def explore(run: Callable[[Baton], None], most: int) -> Iterator[int]:
    """Every schedule of `run`, until `most`; yields how many were made. The last number is below
    `most` exactly if there are no others."""
    choices: list[int] = []
    for made in range(1, most + 1):
        baton = Baton(partial(_listed, choices))
        run(baton)
        yield made
        taken = baton.taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        if not taken:
            return
        choices = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]

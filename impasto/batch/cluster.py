"""Workers on many machines, by the address of a Dask scheduler. The only importer of Dask.

Dask finds workers that come and gives their tasks to others when they go; there is no scheduler of
our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from impasto.batch.work import Outcome, carry_out
from impasto.errors import MissingDependencyError, UsageError

AHEAD = 2
"""Tasks on the way for each thread of the cluster: one more than it works at."""
PATIENCE = 20  # seconds to find the scheduler


class DaskWorkers:
    """The workers of the scheduler at ``address``, such as ``tcp://10.0.0.1:8786``.

    Without ``ship`` they read and write the files themselves, in a folder that all machines share;
    with it, pictures travel as bytes. Raises MissingDependencyError, and UsageError where there is
    no scheduler.
    """

    def __init__(
        self,
        address: str,
        perform: Callable[[Any], Outcome] = carry_out,
        *,
        ship: bool = False,
    ) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise MissingDependencyError("a cluster", "cluster") from None
        try:
            self.client: Any = Client(  # type: ignore[no-untyped-call]  # distributed has half of its types
                address, timeout=PATIENCE, set_as_default=False
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                f"there is no scheduler at {address} ({error})",
                "start one with: dask scheduler; and workers with: dask worker ADDRESS",
            ) from None
        self.perform, self.ship = perform, ship
        self.tasks: dict[Any, Any] = {}
        self.styles: dict[bytes, Any] = {}

    @property
    def slots(self) -> int:
        """By the threads of the workers that are there now; they may come and go."""
        return max(1, AHEAD * sum(map(int, self.client.nthreads().values())))

    def submit(self, task: Any) -> None:
        """Line it up at the scheduler. Styles are sent once, and kept by each worker."""
        styles: list[Any] = [
            self._shipped(style) if isinstance(style, bytes) else style for style in task.styles
        ]
        bare = replace(task, styles=())
        future = self.client.submit(_perform, self.perform, bare, styles, pure=False, retries=0)
        self.tasks[future] = task

    def wait(self) -> list[tuple[Any, Outcome]]:
        """What is over; at least one."""
        from distributed import wait

        with self.client.as_current():
            done = wait(  # type: ignore[no-untyped-call]
                list(self.tasks), return_when="FIRST_COMPLETED"
            ).done
        return [(self.tasks.pop(future), _outcome(future)) for future in done]

    def close(self) -> None:
        """Take back what is lined up, and leave the cluster as it is."""
        self.client.cancel(list(self.tasks))
        self.client.close()

    def _shipped(self, style: bytes) -> Any:
        future = self.styles.get(style)
        if future is None or future.status != "finished":  # the workers that had it have gone
            future = self.client.scatter(style, hash=False, broadcast=True)
            self.styles[style] = future
        return future


def _perform(perform: Callable[[Any], Outcome], task: Any, styles: list[str | bytes]) -> Outcome:
    return perform(replace(task, styles=tuple(styles)))


def _outcome(future: Any) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = future.exception() if future.status == "error" else future.status
    return Outcome(error=f"{type(error).__name__}: {error}")

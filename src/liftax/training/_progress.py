"""The progress bar of a run: silent unless the output is a terminal."""

from types import TracebackType
from typing import Any, Protocol


class Progress(Protocol):
    """What a run tells its progress bar."""

    def update(self, step: int, figures: dict[str, float]) -> None:
        """`step` steps are done; `figures` to show beside the bar."""
        ...


class Silent:
    """Shows nothing."""

    def update(self, step: int, figures: dict[str, float]) -> None:
        """Ignore the news."""


class Bar:
    """A rich progress bar with loss, metric, samples per second and the time left."""

    def __init__(self, label: str, steps: int, batch: int):
        # rich is imported here: `import liftax` does not need it.
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._batch = batch
        self._bar: Any = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task(label, total=steps, figures="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, step: int, figures: dict[str, float]) -> None:
        """Move the bar to `step` and show the figures."""
        task = self._bar.tasks[0]
        speed = f"{task.speed * self._batch:,.0f} samples/s" if task.speed else ""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._bar.update(self._task, completed=step, figures=f"{shown}  {speed}")


def on_terminal() -> bool:
    """Whether standard error or output is a terminal that can show a bar."""
    from rich.console import Console

    return Console().is_terminal

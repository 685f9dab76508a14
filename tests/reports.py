"""Records the metrics that a part of the package reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.metrics import Metric


class Reports:
    """A ``Report`` that keeps what it is called with, and refuses outcomes that the metric does not have."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, float]] = []

    def __call__(self, metric: Metric, outcome: str, value: float = 1) -> None:
        assert outcome in metric.outcomes, f"{metric.name} has no outcome {outcome!r}"
        self.all.append((metric.name, outcome, value))

    def of(self, metric: Metric) -> list[str]:
        """Return the outcomes of a metric."""
        return [outcome for name, outcome, _ in self.all if name == metric.name]

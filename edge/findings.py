"""What is found of a camera itself: a condition of the contract, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from edge.messages import ConditionName


@dataclass(frozen=True)
class Found:
    """One condition and the confidence in it, 0–1."""

    name: ConditionName
    confidence: float

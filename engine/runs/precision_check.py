"""The effect of a faster precision than float32, as it is stored in a run's config."""

from __future__ import annotations

from dataclasses import dataclass

NOISE = 0.01  # share of the log loss by which a faster precision may change it in any case


@dataclass(frozen=True)
class PrecisionCheck:
    """The difference between predictions in a faster precision and in float32, same network.

    Attributes
    ----------
    images : validation images that were compared
    largest_probability_change : over images and classes
    log_loss_change : log loss minus that of float32, natural logarithm
    seconds : duration of the comparison
    precision : the faster one
    log_loss, log_loss_float32 : of the compared images in both; None in runs of earlier versions
    interval : paired 95 % interval of the change
    """

    images: int
    largest_probability_change: float
    log_loss_change: float
    seconds: float = 0.0
    precision: str = ""
    log_loss: float | None = None
    log_loss_float32: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def within_noise(self) -> bool:
        """Return whether the interval of the change includes 0, or the change is below 1 %."""
        if self.interval is None or self.log_loss_float32 is None:
            return True
        low, high = self.interval
        return low <= 0 <= high or abs(self.log_loss_change) < NOISE * self.log_loss_float32

    def sentence(self, used: str) -> str:
        """Return the result of the comparison in one sentence; ``used`` is the run's precision."""
        n, fast = f"{self.images:,} validation images", self.precision or used
        if self.log_loss is None or self.log_loss_float32 is None:
            return (
                f"Computed in {used}. Compared with float32 on {n}, probabilities differ by at "
                f"most {self.largest_probability_change:.2g} and the log loss by "
                f"{self.log_loss_change:+.2g}."
            )
        if used != fast:
            return (
                f"Computed in {used}, because on {n} the log loss is {self.log_loss:.4f} in {fast} "
                f"and {self.log_loss_float32:.4f} in float32."
            )
        beyond = "" if self.within_noise else ", a change beyond noise"
        return (
            f"Computed in {used}: on {n} the log loss is {self.log_loss:.4f}, and "
            f"{self.log_loss_float32:.4f} in float32{beyond}; no probability differs by more than "
            f"{self.largest_probability_change:.2g}."
        )

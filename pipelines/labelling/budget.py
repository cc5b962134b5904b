"""What labels may cost."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import ConfigError

MILLION = 1_000_000


@dataclass(frozen=True)
class Budget:
    """What may be spent in all, in the currency of the prices; prices are for a million tokens."""

    most: float
    price_in: float
    price_out: float

    def __post_init__(self) -> None:
        """Raise ConfigError for amounts that are none."""
        if self.most <= 0 or min(self.price_in, self.price_out) < 0:
            raise ConfigError("--spend-at-most: expected an amount above 0, and prices of 0 or more")

    @classmethod
    def of(cls, most: float | None, price_in: float | None, price_out: float | None) -> Budget | None:
        """Return the budget of three options that belong together, None without them; raise ConfigError for some."""
        if most is None or price_in is None or price_out is None:
            if (most, price_in, price_out) != (None, None, None):
                raise ConfigError("--spend-at-most, --price-in and --price-out: expected all three, or none")
            return None
        return cls(most, price_in, price_out)

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what some tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / MILLION

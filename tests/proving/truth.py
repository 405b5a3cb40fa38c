"""What is true of a world's population: shares and differences from the generator's own probabilities.

Put here the same quantities that the method estimates, over at least a million accounts, nothing drawn but the accounts:
each counts with its probability of being compared and of staying. Keep out the generator (`worlds.py`) and the method.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.proving.worlds import BANDS, World, draw

_Floats = NDArray[np.float64]

POPULATION = 1_000_000
LARGEST_VALUE = 2_000
"""Larger values count as this one: no candidate lies there."""


@dataclass(frozen=True)
class Truth:
    """A world's population, by value: shares of all accounts compared, shape (values, strata) each.

    Attributes:
        mass: share of the compared accounts with this value, in this stratum.
        stayed: the part of it that stays, on average.
    """

    mass: _Floats
    stayed: _Floats

    @classmethod
    def of(cls, world: World, seed: int, accounts: int = POPULATION) -> "Truth":
        """Return the population of a world."""
        people = draw(world, np.random.default_rng([seed, 1]), accounts)
        weight = 1 - people.early_leaving
        return cls.tally(people.value, people.plan * len(BANDS) + people.band, weight, people.staying)

    @classmethod
    def tally(cls, value: NDArray[np.int64], stratum: NDArray[np.intp], weight: _Floats, staying: _Floats) -> "Truth":
        """Return the population that these accounts make, each with its weight."""
        strata = int(stratum.max()) + 1
        cell = np.minimum(value, LARGEST_VALUE) * strata + stratum
        size = (LARGEST_VALUE + 1) * strata
        mass = np.bincount(cell, weights=weight, minlength=size).reshape(-1, strata)
        stayed = np.bincount(cell, weights=weight * staying, minlength=size).reshape(-1, strata)
        return cls(mass / weight.sum(), stayed / weight.sum())

    def at(self, value: float) -> "Divided":
        """Return the population divided at a value."""
        place = int(np.ceil(value))
        return Divided(
            self.mass[place:].sum(axis=0),
            self.stayed[place:].sum(axis=0),
            self.mass[:place].sum(axis=0),
            self.stayed[:place].sum(axis=0),
        )

    def within(self, part: float, count: int) -> "Divided":
        """Return the population divided at a count within the first days, into which each event falls with probability `part`."""
        from scipy.stats import binom

        did = binom.sf(count - 1, np.arange(len(self.mass)), part)[:, None]
        above, stayed = (self.mass * did).sum(axis=0), (self.stayed * did).sum(axis=0)
        return Divided(above, stayed, self.mass.sum(axis=0) - above, self.stayed.sum(axis=0) - stayed)

    def best(self, candidates: _Floats) -> float:
        """Return the largest adjusted difference at any of the candidates."""
        return max(self.at(float(candidate)).adjusted for candidate in candidates)

    @property
    def base(self) -> float:
        """Share of the compared accounts that stays."""
        return float(self.stayed.sum())


@dataclass(frozen=True)
class Divided:
    """A population in two groups, by stratum: the share of it above and below, and of each the part that stays."""

    above: _Floats
    stayed_above: _Floats
    below: _Floats
    stayed_below: _Floats

    @property
    def reach(self) -> float:
        """Share of the population in the upper group."""
        return float(self.above.sum())

    @property
    def crude(self) -> float:
        """Difference of the shares that stay."""
        return float(self.stayed_above.sum() / self.above.sum() - self.stayed_below.sum() / self.below.sum())

    @property
    def adjusted(self) -> float:
        """Difference within strata, weighted by above × below / both: what Mantel and Haenszel's estimate tends to."""
        known = (self.above > 0) & (self.below > 0)
        above, below = self.above[known], self.below[known]
        weight = above * below / (above + below)
        within = self.stayed_above[known] / above - self.stayed_below[known] / below
        return float((weight * within).sum() / weight.sum())

    @property
    def least_cell(self) -> float:
        """Share of the population in the smallest of the four cells, group × staying."""
        above, below = self.above.sum(), self.below.sum()
        stayed_above, stayed_below = self.stayed_above.sum(), self.stayed_below.sum()
        return float(min(stayed_above, above - stayed_above, stayed_below, below - stayed_below))

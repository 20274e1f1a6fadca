"""What is measured: one row per system, float type and activation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

# Particle–datum–step triples per timed run, for narrow inputs; wide ones get fewer.
_WORK = 1e8
_PEER_BYTES = 12e9  # for the (n, N) arrays of every replica, about six of which the peers hold

DTYPES = ("float64", "float32")
ACTIVATIONS = ("tanh", "relu", "silu", "gelu")


@dataclass(frozen=True)
class Row:
    """One system.

    Parameters
    ----------
    n_particles, n_replicas, n_data, n_features : int
        N, R, n and d.
    dtype : str
        Float type of the particles.
    activation : str
        Name of the activation.
    """

    n_particles: int
    n_replicas: int
    n_data: int
    n_features: int
    dtype: str
    activation: str

    @property
    def key(self) -> str:
        """The row in a word."""
        sizes = f"N{self.n_particles}-R{self.n_replicas}-n{self.n_data}-d{self.n_features}"
        return f"{sizes}-{self.dtype}-{self.activation}"

    @property
    def description(self) -> str:
        """The row for a reader."""
        return (
            f"N = {self.n_particles} × {self.n_replicas}, n = {self.n_data}, "
            f"d = {self.n_features}, {self.dtype}, {self.activation}"
        )

    @property
    def pairs(self) -> int:
        """Particle–datum pairs per step."""
        return self.n_particles * self.n_replicas * self.n_data

    @property
    def n_steps(self) -> int:
        """Steps per timed run: about a second's worth, and enough to outweigh the first."""
        least = 10 if self.pairs < 2e7 else 5
        return int(min(1000, max(least, _WORK / self.pairs / (1 + self.n_features / 16))))

    def as_dict(self) -> dict[str, int | str]:
        """The row as JSON."""
        return asdict(self)


def small() -> Iterator[Row]:
    """A few quick rows."""
    for dtype in DTYPES:
        yield Row(4096, 1, 512, 10, dtype, "tanh")
        yield Row(64, 256, 64, 10, dtype, "tanh")


def standard() -> Iterator[Row]:
    """One size after the other is varied around N = 4096, n = 512, d = 10, tanh."""
    for dtype in DTYPES:
        for n_features in (1, 2, 10, 32, 64, 256):
            yield Row(4096, 1, 512, n_features, dtype, "tanh")
        for activation in ("relu", "silu", "gelu"):
            yield Row(4096, 1, 512, 10, dtype, activation)
        yield Row(64, 256, 64, 10, dtype, "tanh")
        yield Row(1024, 1, 64, 3072, dtype, "tanh")
    for activation in ("relu", "silu", "gelu"):
        for n_features in (2, 256):
            yield Row(4096, 1, 512, n_features, "float64", activation)
    for n_particles, n_data in ((1024, 64), (4096, 4096), (10**5, 512)):
        yield Row(n_particles, 1, n_data, 10, "float64", "tanh")


def complete() -> Iterator[Row]:
    """All combinations, less what the peers cannot hold in memory; takes many hours."""
    sizes = [(64, 256), (1024, 1), (4096, 1), (65536, 1), (10**6, 1)]
    for dtype in DTYPES:
        for activation in ACTIVATIONS:
            for n_particles, n_replicas in sizes:
                for n_data in (64, 512, 4096):
                    for n_features in (1, 2, 10, 32, 64, 256, 3072):
                        row = Row(n_particles, n_replicas, n_data, n_features, dtype, activation)
                        state = n_particles * n_replicas * n_features
                        if 8 * 6 * max(row.pairs, state) <= _PEER_BYTES:
                            yield row


GRIDS = {"small": small, "standard": standard, "complete": complete}


def scaling() -> dict[str, list[Row]]:
    """Rows along which one size grows, measured for meanfield alone."""
    return {
        "particles": [Row(4**k, 1, 64, 10, "float64", "tanh") for k in range(5, 11)],
        "data": [Row(4096, 1, 4**k, 10, "float64", "tanh") for k in range(3, 8)],
        "replicas": [Row(256, 4**k, 64, 10, "float64", "tanh") for k in range(1, 7)],
    }


def largest() -> Row:
    """A million particles and a thousand data: what memory it takes."""
    return Row(10**6, 1, 1000, 10, "float64", "tanh")

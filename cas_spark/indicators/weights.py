"""Weights as declared whole numbers, so that every weighted sum is exact and free of order.

They stand here as numbers, since `exp` differs in its last bits between processors; a test holds
them to their formula.
"""

GAUSSIAN_SCALE_BITS = 7
"""Weights along one axis are in units of 2^-7, so products over two axes in units of 2^-14."""

GAUSSIAN: dict[int, tuple[int, ...]] = {
    125: (128, 78, 17, 1),
    250: (128, 113, 78, 42, 17, 6, 1),
}
"""Bandwidth in metres -> round(2^7 exp(-(125 i)^2 / (2 bandwidth^2))) for i = 0, 1, 2 … cells."""

HALO_CELLS = max(len(weights) for weights in GAUSSIAN.values()) - 1
"""How far an incident reaches, in cells along one axis."""

"""Random numbers by name: what one part draws never shifts what another part draws."""

import hashlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for the part called `names`, the same for the same seed and names."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()])

# SPDX-License-Identifier: Apache-2.0
"""Find the runs of zeros in a piece of an image."""

from typing import Iterator
from typing import Tuple

#: Runs are found in whole blocks of this size.
BLOCK = 64 * 1024
_ZEROS = bytes(BLOCK)
# One comparison for what is most common in a sparse image: nothing but zeros.
_MANY = bytes(4 * 1024 * 1024)


def runs(data: bytes) -> Iterator[Tuple[int, int, bool]]:
    """Yield (start, end, is it zero) of the runs of some data, in order and without gaps."""
    if len(data) <= len(_MANY) and data == (_MANY if len(data) == len(_MANY) else bytes(len(data))):
        if data:
            yield 0, len(data), True
        return
    start, was = 0, False
    for here in range(0, len(data), BLOCK):
        zero = _zero(data, here, min(here + BLOCK, len(data)))
        if zero != was:
            if here > start:
                yield start, here, was
            start, was = here, zero
    yield start, len(data), was


def _zero(data: bytes, start: int, end: int) -> bool:
    # Almost all that is not zero is seen without a copy.
    if data[start] or data[end - 1] or data[(start + end) // 2]:
        return False
    return data[start:end] == (_ZEROS if end - start == BLOCK else bytes(end - start))

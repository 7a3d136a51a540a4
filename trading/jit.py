"""Functions compiled by numba. Imported lazily, as numba costs about half a second."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(*signature: Any, **options: Any) -> Callable[[F], F]:
    """njit that does not hold Python's lock, with numba's disk cache; without it where no directory can be written.

    Args:
        signature: types of arguments and result, to compile when the module is imported; without it, when called.
        options: of numba.
    """

    def compiled(function: F) -> F:
        try:
            return cast(F, numba.njit(*signature, cache=True, nogil=True, **options)(function))
        except RuntimeError:
            return cast(F, numba.njit(*signature, nogil=True, **options)(function))

    return compiled

"""Functions compiled by numba. Imported lazily, as numba costs about half a second."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

F = TypeVar("F", bound=Callable[..., Any])


def jit(*signature: Any, **options: Any) -> Callable[[F], F]:
    """njit that does not hold Python's lock, with numba's disk cache; without it where no directory can be written.

    Args:
        signature: types of arguments and result, to compile when the module is imported; without it, when called.
        options: of numba.
    """

    def compiled(function: F) -> F:
        dispatcher: Any = numba.njit(nogil=True, **options)(function)
        with suppress(RuntimeError):  # what numba says where there is no place for its files
            dispatcher._cache = _CacheOfPackage(function)
        if signature:
            dispatcher.compile(*signature)
            dispatcher.disable_compile()
        return cast(F, dispatcher)

    return compiled


class _CacheOfPackage(FunctionCache):  # type: ignore[misc]
    """numba's disk cache, under a name for the sources of the whole package.

    What is stored of a function has the code of all that it calls in it, but numba asks only whether the function's own file
    has changed: after an upgrade of another file it would go on with the old code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{_sources(Path(function.__code__.co_filename).parent)}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )


@cache
def _sources(package: Path) -> str:
    """Names and contents of a package's modules, and of this one, as a hash."""
    digest = hashlib.sha256()
    for file in (*sorted(package.glob("*.py")), Path(__file__)):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]

"""Functions compiled by numba. Imported lazily, as numba costs about half a second."""

import fcntl
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

_LOOK_EVERY = 0.05  # seconds
_LOOKS = 2400  # two minutes; the longest compilation takes a quarter of that

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

    What several processes lack, one of them compiles while the others wait for it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{_sources(Path(function.__code__.co_filename).parent)}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )
        self._turn = _turn(Path(self._cache_path))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is stored for the signature; where nothing is, it is this process's turn to compile it."""
        found = super().load_overload(sig, target_context)
        if found is None:
            self._turn.take()
            found = super().load_overload(sig, target_context)
            if found is not None:
                self._turn.give_back()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store what was compiled; the turn is another process's."""
        try:
            super().save_overload(sig, data)
        finally:
            self._turn.give_back()


class _Turn:
    """A lock among processes, taken again for what is compiled on the way. numba's own lock keeps threads apart.

    Where compiling fails it is kept until the process ends: those who wait do so for a bounded time, then compile themselves.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._depth = file, 0
        self._held: IO[str] | None = None

    def take(self) -> None:
        self._depth += 1
        if self._held is None:
            with suppress(OSError):  # no lock where there can be none: then it is compiled twice
                self._held = self._file.open("a")
                self._wait(self._held)

    def _wait(self, file: IO[str]) -> None:
        for _ in range(_LOOKS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                threading.Event().wait(_LOOK_EVERY)
            else:
                return

    def give_back(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._held is not None:
            self._held.close()
            self._held = None


@cache
def _turn(folder: Path) -> _Turn:
    return _Turn(folder / "compiling.lock")


@cache
def _sources(package: Path) -> str:
    """Names and contents of a package's modules, and of this one, as a hash."""
    digest = hashlib.sha256()
    for file in (*sorted(package.glob("*.py")), Path(__file__)):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]

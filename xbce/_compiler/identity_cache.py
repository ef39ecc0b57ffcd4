"""A cache keyed by identity."""

from collections.abc import Callable
from typing import Any

_MOST = 1024


class IdentityCache:
    """Keeps what a function returns for a key and other arguments.

    Keyed by `id()`, which is faster than hashing; the key is kept alive, so that its id is not reused.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._known: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def __call__(self, key: Any, *rest: Any) -> Any:
        """Return `function(key, *rest)`."""
        found = self._known.get((id(key), *rest))
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[(id(key), *rest)] = (key, self._function(key, *rest))
        return found[1]

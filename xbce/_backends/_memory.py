"""What is kept between calls."""

from collections.abc import Callable
from typing import Any

_MOST = 1024


class ByIdentity:
    """Keeps what a function returns for an object and other arguments.

    The object is told by its identity, which is found sooner than an equal one; it is kept, so that no other one gets
    that identity.
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

"""Recorded calls of losses: kept in a file, judged afterwards."""

import functools
import inspect
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np

from xbce_conformance.cases import PLAIN, case_named
from xbce_conformance.data.arrays import BadData, Data, numpy_of
from xbce_conformance.inputs.formats import FORMATS, Floats
from xbce_conformance.subjects.order import wrong_with_order

if TYPE_CHECKING:
    from xbce_conformance.data.replay import Replay

Reduction = Literal["none", "mean", "sum"]
_META = "xbce_recording"
_PACKAGE = str(Path(__file__).parent)


@dataclass(frozen=True)
class Call:
    """One call of a loss."""

    system: str
    """The subject that it is, such as "torch", or the name of a function that was wrapped."""
    function: str
    case: str
    reduction: Reduction
    place: str
    """File and line of the caller."""
    arrays: dict[str, Floats]
    """By argument, in the shapes and dtypes of the call; with "weight", if there was one."""
    result: Floats
    """What came."""

    def data(self, name: str) -> Data:
        """Return its arguments as a data set."""
        return Data.of(self.arrays, name=name, weight=self.arrays.get("weight"), case=case_named(self.case))


class Recording:
    """Calls of losses with their inputs and results, in order."""

    def __init__(self, calls: list[Call] | None = None) -> None:
        self.calls = calls or []
        self._open = True
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.calls)

    def wrap(
        self,
        function: Callable[..., Any],
        *,
        order: tuple[str, ...] = (),
        case: str = PLAIN.name,
        reduction: Reduction | None = None,
    ) -> Callable[..., Any]:
        """Return a loss of one's own that is recorded when it is called.

        Parameters
        ----------
        function : callable
            The loss.
        order : tuple of str, default those of the case
            Its arguments as it takes them, as in `Adapter`: ``("labels", "logits")``.
        case : str, default "binary_cross_entropy_with_logits"
            What it computes.
        reduction : {"none", "mean", "sum"}, optional
            What it returns; "none" if its result has the shape of its first argument, "mean" otherwise.
        """
        wrong = wrong_with_order(order, case_named(case))
        if wrong:
            raise ValueError(wrong)
        entries = order or case_named(case).arguments
        name = getattr(function, "__name__", type(function).__name__)

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            given = _arguments(function, entries, args, kwargs)
            arrays = {argument: given[argument] for argument in case_named(case).arguments}
            same = np.shape(result) == np.shape(next(iter(arrays.values())))
            self.keep(name, name, case, reduction or ("none" if same else "mean"), arrays, result)
            return result

        return recorded

    def keep(
        self, system: str, function: str, case: str, reduction: Reduction, arrays: dict[str, Any], result: Any
    ) -> None:
        """Keep a call; from within a compiled function of JAX when it runs."""
        place = _place()
        names, values = tuple(arrays), (*arrays.values(), result)

        def keep(*values: Any) -> None:
            *arguments, came = (np.array(numpy_of(value)) for value in values)
            with self._lock:
                if self._open:  # what was compiled within the block is called after it, too
                    kept = dict(zip(names, arguments, strict=True))
                    self.calls.append(Call(system, function, case, reduction, place, kept, came))

        jax = sys.modules.get("jax")
        if jax is not None and any(isinstance(value, jax.core.Tracer) for value in values):
            jax.debug.callback(keep, *values)
        else:
            keep(*values)

    def close(self) -> None:
        """Record no more."""
        jax = sys.modules.get("jax")
        if jax is not None:
            jax.effects_barrier()  # calls that run behind the program
        self._open = False

    def save(self, path: str | Path) -> None:
        """Write an .npz file, which `xbce-conformance run --data` and `Recording.read` take.

        Raises
        ------
        ValueError
            If no loss was called.
        """
        self.check()
        arrays: dict[str, Any] = {}
        entries = []
        for i, call in enumerate(self.calls):
            named = {**call.arrays, "result": call.result}
            entry = {key: value for key, value in asdict(call).items() if key not in ("arrays", "result")}
            entries.append({**entry, "dtypes": {name: str(array.dtype) for name, array in named.items()}})
            for name, array in named.items():  # NumPy's files have no bfloat16
                arrays[f"{i}.{name}"] = array.view(np.uint16) if str(array.dtype) == "bfloat16" else array
        arrays[_META] = np.array(json.dumps({"version": 1, "calls": entries}))
        np.savez(path, **arrays)

    @classmethod
    def read(cls, path: str | Path) -> "Recording":
        """Read a file that `save` has written.

        Raises
        ------
        ValueError
            If it is none.
        """
        if not is_recording(Path(path)):
            msg = f"{path} is no recording; one that Recording.save has written is expected"
            raise BadData(msg)
        with np.load(path, allow_pickle=False) as arrays:
            try:
                entries = json.loads(str(arrays[_META]))["calls"]
                return cls([_read_call(i, entry, arrays) for i, entry in enumerate(entries)])
            except (KeyError, TypeError, ValueError) as error:
                msg = f"{path} is a recording that lacks something: {type(error).__name__}: {error}"
                raise BadData(msg) from error

    def data(self) -> list[Data]:
        """Return the arguments of each call as a data set."""
        self.check()
        return [call.data(f"call {i}") for i, call in enumerate(self.calls)]

    def judge(self, other: str = "xbce") -> "Replay":
        """Compare what came with another system and with the certified values.

        Parameters
        ----------
        other : str, default "xbce"
            A name that ``xbce-conformance list`` shows; on the same backend, if it is there.

        Returns
        -------
        Replay
            ``calls`` has an entry for each call; it prints itself as a table, and shows itself in notebooks.

        Raises
        ------
        ValueError
            If no loss was recorded, or there is no such system here.
        """
        from xbce_conformance.data.replay import replay  # it imports this module

        return replay(self, other)

    def check(self) -> None:
        """Refuse to go on with nothing: that would look like success."""
        if not self.calls:
            msg = (
                "no loss was recorded. Seen are torch.nn.functional.binary_cross_entropy_with_logits and "
                "binary_cross_entropy in eager mode, and optax.sigmoid_binary_cross_entropy called by this name and "
                "first compiled within the block; wrap others with recording.wrap(loss)"
            )
            raise BadData(msg)


def is_recording(path: Path) -> bool:
    """Tell whether a file is one that `Recording.save` has written."""
    if path.suffix != ".npz":
        return False
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _META in arrays
    except (BadZipFile, ValueError, EOFError, TypeError):  # what is wrong with it, `columns_of` says
        return False


def _read_call(i: int, entry: dict[str, Any], arrays: Any) -> Call:
    named = {}
    for name, dtype in entry.pop("dtypes").items():
        array = arrays[f"{i}.{name}"]
        named[name] = array.view(FORMATS["bfloat16"].dtype) if dtype == "bfloat16" else array
    return Call(arrays=named, result=named.pop("result"), **entry)


def _arguments(
    function: Callable[..., Any], order: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return what a function was called with, by the arguments of its case; `order` as in `Adapter`."""
    pairs = [entry.rpartition("=")[::2] for entry in order]
    try:
        parameters = [*inspect.signature(function).parameters]
    except (TypeError, ValueError):
        parameters = [keyword or argument for keyword, argument in pairs]
    # Entries without a keyword come first, as parameters by position do.
    argument_of = {keyword or parameters[i]: argument for i, (keyword, argument) in enumerate(pairs)}
    called = dict(zip(parameters, args, strict=False)) | kwargs
    given = {argument_of[name]: value for name, value in called.items() if name in argument_of}
    missing = [name for _, name in pairs if name not in given]
    if missing:
        msg = f"the call has no {', '.join(missing)} that order ({', '.join(order)}) names; say how it is called"
        raise TypeError(msg)
    return given


def _place() -> str:
    """Return file and line of the nearest caller that is neither this package nor an installed one."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and "site-packages" not in file and "dist-packages" not in file:
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""

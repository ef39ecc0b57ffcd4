"""Which subjects a person asks for: by name, by backend, or code of their own with how it is called."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from xbce_conformance.cases import BadCase, Case, case_named
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import BACKEND_NAMES, PEER_BACKEND_NAMES, find_backends
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.peer_subjects import find_peer, peer_has, peer_needs
from xbce_conformance.subjects.peers import PEERS
from xbce_conformance.subjects.spec import BadOption, BadSubject, did_you_mean, is_spec
from xbce_conformance.subjects.user import Refusal, build, entry_points, find_entry_point, load
from xbce_conformance.subjects.xbce import PRECISIONS, find_xbce

ALL_BACKEND_NAMES = (*BACKEND_NAMES, *PEER_BACKEND_NAMES)


_Finder = Callable[[dict[str, Backend], Case | None], Iterator[Subject]]


_FINDERS: dict[str, _Finder] = {
    **{name: partial(find_xbce, precision=precision) for precision, name in PRECISIONS.items()},
    **{name: partial(find_peer, name) for name in PEERS},
    **{name: partial(find_entry_point, name) for name in entry_points()},
}
SUBJECT_NAMES = tuple(_FINDERS)


def find_subjects(
    names: tuple[str, ...], backends: dict[str, Backend], case: Case | None = None
) -> tuple[list[Subject], dict[str, str]]:
    """Return the named subjects that can run here, and for each of the others the reason why it cannot.

    With a case they have the functions of that one alone.
    """
    found: list[Subject] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            subjects = list(_FINDERS[name](backends, case))
        except BadSubject as error:  # an entry point of a distribution that is broken must not stop the others
            missing[name] = str(error)
            continue
        found += subjects
        if not subjects:
            missing[name] = peer_needs(name, case) if name in PEERS else "no backend that it takes is here"
            missing[name] += f", or it does not compute {case.name}" if case and name in entry_points() else ""
    return found, missing


def split_backend(text: str) -> tuple[str, tuple[str, ...]]:
    """Return name and backend of NAME@BACKEND; no backend without one."""
    name, _, backend = text.partition("@")
    if backend and backend not in ALL_BACKEND_NAMES:
        msg = f"{text!r} names the backend {backend!r}; one of {', '.join(ALL_BACKEND_NAMES)} is expected"
        raise BadOption(msg)
    return name, (backend,) if backend else ()


@dataclass(frozen=True)
class Choice:
    """Selection of subjects and backends; empty means all that are available."""

    subjects: tuple[str, ...] = ()
    """Names of the table of subjects, or module:callable."""
    backends: tuple[str, ...] = ()
    """For code of one's own, the arrays that it takes."""
    order: tuple[str, ...] = ()
    """Arguments as code of one's own takes them, as in `Adapter`."""
    gradient: str | None = None
    """module:callable of its gradient."""
    case: str | None = None
    """What all of them should compute: the text of a case, as `case_named` takes it. Without it, code of one's own is
    measured in the case that it names, all others in those of the tables."""
    bound: float | None = None
    """What it is judged by, in ULP, instead of the contract."""
    precisions: tuple[str, ...] = ()
    """Those that xbce is called with, where it is chosen; empty means native alone."""
    dtypes: tuple[str, ...] = ()
    """Those that are asked for by name: code of one's own that refuses one of them fails."""

    @property
    def own(self) -> tuple[str, ...]:
        """The subjects of one's own that are named."""
        return tuple(name for name in self.subjects if is_spec(name) or name in entry_points())

    def find(self, refusal: Refusal | None = None) -> tuple[list[Subject], dict[str, str]]:
        """Return the subjects, and what is missing, and why; those of one's own are judged.

        `refusal` tells which dtypes these refuse; by default they are called.
        """
        own, case = self.own, self._case()
        if not own and (self.order or self.gradient or self.bound is not None):
            msg = "order, gradient and bound are for a subject of your own; none is named"
            raise BadOption(msg)
        for name in self.subjects:
            if not is_spec(name) and name not in SUBJECT_NAMES:
                msg = f"{name!r} is neither module:callable nor one of {', '.join(SUBJECT_NAMES)}"
                msg += f"; a file is named with its callable, {name}:loss" if name.endswith(".py") else ""
                msg += did_you_mean(name, SUBJECT_NAMES)
                raise BadOption(msg)
        names = tuple(name for name in self.subjects if name not in own)
        if not self.subjects:
            names = tuple(name for name in SUBJECT_NAMES if name == "xbce" or name not in PRECISIONS.values())
        names = self._with_precisions(names)
        able = tuple(name for name in names if name not in PEERS or peer_has(name, case))
        backends, missing = find_backends(self.backends or _backends_of(able)) if able else ({}, {})
        subjects, missing_subjects = find_subjects(names, backends, case)
        missing |= missing_subjects
        for name in own:
            found, refused = self._own(name, refusal)
            subjects += found
            missing |= refused
        return subjects, missing

    def _case(self) -> Case | None:
        try:
            return None if self.case is None else case_named(self.case)
        except BadCase as error:
            raise BadOption(str(error)) from error

    def _with_precisions(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Replace xbce by its subjects of the precisions that are asked for."""
        xbces = tuple(PRECISIONS[precision] for precision in self.precisions) or ("xbce",)
        return tuple(dict.fromkeys(each for name in names for each in (xbces if name == "xbce" else (name,))))

    def _own(self, name: str, refusal: Refusal | None) -> tuple[list[Subject], dict[str, str]]:
        loaded = load(entry_points().get(name, name), gradient=self.gradient, order=self.order, case=self.case)
        if name in entry_points():
            loaded = replace(loaded, name=name)
        backends, missing = find_backends(self.backends or (loaded.adapter.backend,))
        subjects = []
        for backend in backends.values():
            subject, refused = build(
                loaded, backend, judged=True, bound=self.bound, dtypes=self.dtypes, refusal=refusal
            )
            missing |= refused
            subjects.append(subject)
        return subjects, missing


def _backends_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the backends that subjects can take: a framework takes seconds to import."""
    wanted: set[str] = set()
    for name in names:
        if name in PRECISIONS.values():
            wanted |= set(BACKEND_NAMES)
        else:
            wanted |= set(PEERS[name].backends() if name in PEERS else ALL_BACKEND_NAMES)
    return tuple(name for name in ALL_BACKEND_NAMES if name in wanted)

"""Makes subjects of the table of peers."""

import importlib.metadata
from collections.abc import Iterator

from xbce_conformance.cases import Case, Quantity
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.expressions import evaluate, reverse_mode_code
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.peers import PEERS, Call, Peer


def find_peer(name: str, backends: dict[str, Backend], case: Case | None = None) -> Iterator[Subject]:
    """Yield the peer on each backend that it can take here; nothing if it is not installed, or has not the case."""
    peer = PEERS[name]
    try:
        version = importlib.metadata.version(peer.distribution)
    except importlib.metadata.PackageNotFoundError:
        return
    for backend_name in peer.backends():
        if backend_name in backends:
            backend = backends[backend_name]
            functions = tuple(function for call in peer.calls for function in _functions(call, case, peer, backend))
            if functions:
                yield Subject(name, version, backend, peer.dtypes or backend.dtypes, functions)


def peer_has(name: str, case: Case | None) -> bool:
    """Tell whether a peer has a call of a case."""
    return any(call.case_of(case) for call in PEERS[name].calls)


def peer_needs(name: str, case: Case | None = None) -> str:
    """Say what a peer that cannot be measured lacks."""
    peer = PEERS[name]
    if case is not None and not peer_has(name, case):
        return f"has no call of {case.name}"
    arrays = " or ".join(peer.backends())
    if peer.distribution in (peer.backends()[0].partition(":")[0], "numpy"):
        return f"needs the backend {arrays}"
    return f"needs {peer.distribution} and the backend {arrays}"


def _functions(call: Call, asked: Case | None, peer: Peer, backend: Backend) -> Iterator[Function]:
    case = call.case_of(asked)
    if case is None:
        return
    name, code = call.name or call.code.partition("(")[0], call.with_numbers(case)
    yield _function(name, call.quantity, code, call, case, peer, backend)
    if call.autodiff:
        gradient = reverse_mode_code(backend, code, case.arguments[0])
        if gradient is not None:
            yield _function(f"{name}, reverse mode", "gradient", gradient, call, case, peer, backend)


def _function(
    name: str, quantity: Quantity, code: str, call: Call, case: Case, peer: Peer, backend: Backend
) -> Function:
    return Function(
        name,
        (quantity,),
        evaluate(code, case.arguments, backend, peer.imports),
        hard_labels_only=call.hard_labels_only,
        case=case,
        code=code,
        imports=peer.imports,
    )

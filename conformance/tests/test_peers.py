"""The table of peers: what a row names is there, and a peer that is absent says what it needs."""

import re

import pytest

from xbce_conformance.cases import BY_NAME
from xbce_conformance.subjects.backends import BACKEND_NAMES, PEER_BACKEND_NAMES
from xbce_conformance.subjects.peers import PEERS
from xbce_conformance.subjects.selection import find_subjects


@pytest.mark.parametrize("name", PEERS)
def test_a_row_names_what_there_is(name):
    peer = PEERS[name]
    assert {*peer.backends()} <= {*BACKEND_NAMES, *PEER_BACKEND_NAMES}
    assert re.fullmatch("#[0-9a-f]{6}", peer.colour)
    for call in peer.calls:
        used = re.findall(r"{(\w+)}", call.code)
        case = BY_NAME[call.case]
        assert {*used} <= {*case.arguments, *(name for name, _ in case.options)}, call.code
        assert used, call.code


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_without_its_backend_says_what_it_needs(name):
    subjects, missing = find_subjects((name,), {})
    assert subjects == []
    assert re.fullmatch(r"needs (\S+ and )?the backend .+", missing[name])
    assert any(backend in missing[name] for backend in PEERS[name].backends())

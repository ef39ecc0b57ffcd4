"""What the figures of a target depend on besides its name: its source, versions, device and processor level."""

import platform
import socket
from importlib.metadata import version
from typing import TypeAlias

import numpy as np

from xbce_conformance.subjects.levels import level_of
from xbce_conformance.subjects.model import Subject
from xbce_conformance.subjects.source import digest_of_modules, digest_of_packages, own_modules
from xbce_conformance.subjects.xbce import PRECISIONS
from xbce_conformance.sweep.plan import Target

Facts: TypeAlias = tuple[tuple[str, str], ...]

_SOURCES = {"source": "its source", "suite": "the suite"}
"""Facts that are digests: what they are of."""
_ROOMS = ("cases", "exact_values", "inputs", "subjects", "sweep")
"""What of this package calls and measures."""


class OtherCode(Exception):  # noqa: N818
    """A worker has other code, or another processor, than the sweep was started with; the message says what."""


def target_of(subject: Subject, order: tuple[str, ...] = (), gradient: str | None = None) -> Target:
    """Return the target that a subject is, with the facts of now; the rest is what `Choice` has."""
    facts = facts_of(subject, gradient)
    return Target(subject.name, subject.backend.name, order, gradient, subject.bound, facts)


def facts_of(subject: Subject, gradient: str | None = None) -> Facts:
    """Return the facts of a subject in this process."""
    backend, modules = subject.backend, own_modules(subject.name, gradient)
    facts = {
        "suite": digest_of_packages(*(f"xbce_conformance.{room}" for room in _ROOMS)),
        subject.name: subject.version,
        backend.name: backend.version,
        "numpy": np.__version__,
        "array-api-compat": version("array-api-compat"),
        "Python": platform.python_version(),
        "device": backend.device,
        "processor level": level_of(backend),
    }
    if modules:
        facts["source"] = digest_of_modules(modules)
    elif subject.name in PRECISIONS.values():
        facts["source"] = digest_of_packages("xbce")
    return tuple(sorted(facts.items()))


def changed(before: Facts, now: Facts) -> str:
    """Say which facts differ: "its source, numpy (2.3.1, now 2.4.0)"; nothing where none does."""
    old, new = dict(before), dict(now)
    names = [name for name in dict.fromkeys((*new, *old)) if old.get(name) != new.get(name)]
    return ", ".join(
        _SOURCES.get(name, f"{name} ({old.get(name, 'unknown')}, now {new.get(name, 'unknown')})") for name in names
    )


def check(target: Target, here: Facts) -> None:
    """Raise `OtherCode` where the facts of a worker are not those of the target."""
    wanted, found = dict(target.facts), dict(here)
    for name in dict.fromkeys((*wanted, *found)):
        if wanted.get(name) != found.get(name):
            raise OtherCode(_other(target, name, found.get(name, "nothing"), wanted.get(name, "nothing")))


def check_source(target: Target) -> None:
    """Raise `OtherCode` where the files of a target's modules are not on this worker's disk as the sweep has them."""
    modules = own_modules(target.subject, target.gradient)
    if modules and (found := digest_of_modules(modules)) != (wanted := dict(target.facts).get("source", "nothing")):
        raise OtherCode(_other(target, "source", found, wanted))


def _other(target: Target, name: str, here: str, wanted: str) -> str:
    own = ", ".join(own_modules(target.subject, target.gradient))
    what = {"source": f"the source of {own or target.subject}", "suite": "xbce-conformance"}.get(name, name)
    digests = "the digest " if name in _SOURCES else ""
    return (
        f"{what} is another on the worker {socket.gethostname()}: {digests}{here} there, {wanted} where the sweep was "
        "started; give the worker the same, or start it anew"
    )

"""A process apart, in which subjects of the user's own are called: where one of them ends it, the run goes on.

A segmentation fault, os._exit and the kernel, where memory runs out, end the process that the call is made in; a loop
in C that holds the interpreter's lock stops it for good. xbce and its peers are called in the process of the command.
"""

import faulthandler
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Self

from xbce_conformance.inputs.restriction import Restriction
from xbce_conformance.judge.runner import rows_by_part, rows_of
from xbce_conformance.judge.verdict import failed_row
from xbce_conformance.results.model import Row
from xbce_conformance.subjects.backend import Backend
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.failure import Failure, end_process_where_calls_hang
from xbce_conformance.subjects.jobs import Job, Part
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.selection import Choice
from xbce_conformance.subjects.spec import BadSubject, resolve
from xbce_conformance.subjects.user import entry_points, find_entry_point, refusal_of

# Not a process of multiprocessing: that imports the script of the command again, which takes a second and may run it,
# and its daemons may have no processes of their own.
_PROGRAM = """
import sys
from multiprocessing.connection import Connection
parent, dump = Connection(int(sys.argv[1])), int(sys.argv[2])
sys.path[:], sys.argv[:] = parent.recv()
from xbce_conformance.judge.apart import serve
serve(parent, dump)
"""

_GRACE = 2.0
"""Seconds that a call may take beyond twice its limit, before its process is ended."""

_POLL = 0.2
"""Seconds between two looks at whether the process is alive, while it does not answer."""

_PATIENCE = 5.0
"""Seconds that the process is given to end by itself."""


@dataclass(frozen=True)
class _Named:
    """A function of a subject, as both processes name it."""

    function: str
    backend: str
    entry_point: str = ""
    """Of a subject that nobody has named: it is found where its rows are asked for."""


@dataclass(frozen=True)
class _Work:
    """What is asked of the process: the rows of a job."""

    named: _Named
    dtype: str
    parts: tuple[Part, ...]
    limit: float
    same_bits: bool
    only: Restriction
    level: str
    exact_values: Path | None


@dataclass(frozen=True)
class _Trial:
    """What is asked of the process: whether a function takes a dtype."""

    named: _Named
    dtype: str


@dataclass(frozen=True)
class _Raised:
    """The answer where this package itself has raised."""

    traceback: str


# --- in the process of the command ----------------------------------------------------------------------------------


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    connection: Connection
    dump: IO[bytes]
    """What it writes to where it crashes or hangs."""
    busy: bool = False
    """Whether it has been asked for something that it has not answered."""


class Apart:
    """The process of the subjects of the user's own; a context manager, which ends it.

    Where it has died, the next request starts another one. On Windows, where no call has a limit, all subjects are
    called in the process of the command.
    """

    def __init__(self, choice: Choice, limit: float) -> None:
        self._choice, self._limit = choice, limit
        self._now: _Process | None = None
        self._shared: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        if self._choice.own:
            self._shared = tempfile.TemporaryDirectory(prefix="xbce-exact-values-")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._now is not None:
            self._now.busy = True
        try:
            self._end()
        finally:
            if self._shared is not None:
                self._shared.cleanup()

    def load(self) -> None:
        """Have the modules of named subjects imported there first; raise `BadSubject` where that ends the process.

        Afterwards the process finds its subjects at the same time as the command.
        """
        if sys.platform == "win32" or not self._choice.own:
            return
        self._start()
        find_backends(self._choice.backends)  # meanwhile: importing a framework takes seconds
        try:
            self._receive()
        except Failure as failure:
            msg = f"{', '.join(self._choice.own)}: cannot be imported: {failure}"
            raise BadSubject(msg) from None

    def refusal_of(self, function: Function, backend: Backend, dtype: str) -> str:
        """Return what a function of a named subject raises in a dtype; "" where it ends the process: it is measured."""
        if sys.platform == "win32":
            return refusal_of(function, backend, dtype)
        try:
            self._send(_Trial(_Named(function.name, backend.name), dtype))
            return str(self._receive())
        except Failure:
            return ""

    def rows_of(
        self,
        job: Job,
        level: str,
        exact_values: Path | None = None,
        raised: Callable[[Failure], None] = lambda _failure: None,
    ) -> list[Row]:
        """Return the rows of a job, as `runner.rows_of` does; rows that fail for the parts that the process died in.

        Exact values are computed once for all processes, in a folder for the time of the run if none is given.
        """
        if exact_values is None and self._shared is not None:
            exact_values = Path(self._shared.name)
        if sys.platform == "win32" or not job.subject.own:
            return rows_of(job, level, exact_values, raised)
        named = _Named(job.function.name, job.subject.backend.name, job.subject.name)
        rows: list[Row] = []
        left = [*job.parts]
        try:
            self._send(_Work(named, job.dtype, job.parts, job.limit, job.same_bits, job.only, level, exact_values))
            while left:
                rows += self._receive(last=len(left) == 1)
                del left[0]
        except Failure as failure:
            rows += [failed_row(job, quantity, failure, part) for part in left for quantity in job.function.quantities]
        return rows

    def _send(self, request: _Work | _Trial) -> None:
        if self._now is None:
            self._start()
            self._receive()
        assert self._now is not None  # noqa: S101 - for mypy
        with suppress(OSError):  # where it has died, there is no answer
            self._now.connection.send(request)
        self._now.busy = True

    def _receive(self, *, last: bool = True) -> Any:
        """Return an answer of the process; raise `Failure` where it has died."""
        now = self._now
        assert now is not None  # noqa: S101 - for mypy
        # The end of the connection may be held open by processes that the subject has started: it does not tell.
        while not now.connection.poll(_POLL) and now.process.poll() is None:
            pass
        try:
            answer = now.connection.recv() if now.connection.poll() else None
        except (EOFError, OSError):
            answer = None
        if answer is None:
            failure = self._death(now)
            self._end()
            raise failure
        now.busy = not last
        if isinstance(answer, _Raised):
            msg = f"in the process apart:\n{answer.traceback}"
            raise RuntimeError(msg)  # noqa: TRY004 - of whatever type it was
        return answer

    def _death(self, now: _Process) -> Failure:
        """Say how the process has died."""
        try:
            code = now.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return Failure("ended", "its process answers no more")
        now.dump.seek(0)
        dump = now.dump.read().decode("utf-8", "replace")
        if code > 0 and dump.startswith("Timeout"):
            text = f"it did not return within {self._limit:g} s, nor let itself be interrupted{_place(dump)}"
            return Failure("time-limit", text)
        if code < 0:
            memory = ", as the kernel does where memory runs out" if code == -signal.SIGKILL else ""
            return Failure("ended", f"its process ended by signal {_signal(-code)}{_place(dump)}{memory}")
        return Failure("ended", f"its process ended with exit code {code}")

    def _start(self) -> None:
        here, there = Pipe()
        dump = tempfile.TemporaryFile()  # noqa: SIM115 - `_end` closes it
        files = (there.fileno(), dump.fileno())
        options = [f"-W{option}" for option in sys.warnoptions]
        command = [sys.executable, *options, "-c", _PROGRAM, *map(str, files)]
        with there, _signals_wait():  # the process has them wait, too, until it has decided what to do with them
            self._now = _Process(subprocess.Popen(command, pass_fds=files), here, dump)  # noqa: S603
        with suppress(OSError):
            here.send((sys.path, sys.argv))
            here.send((self._choice, self._limit))
        self._now.busy = True

    def _end(self) -> None:
        now, self._now = self._now, None
        if now is None:
            return
        try:
            now.connection.close()  # a process that waits for a request ends by that
            if now.busy:
                now.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                now.process.wait(_PATIENCE)
        finally:
            now.process.kill()
            now.process.wait()
            now.dump.close()


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Have what interrupts a run wait for the end of the block: a process that nobody knows of would be left."""
    if sys.platform != "win32":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of those for real time
        return str(number)


def _place(dump: str) -> str:
    """Return the last line of code outside libraries, of what faulthandler has written; "" if it has written none."""
    threads = re.split(r"^(?=Thread |Current thread )", dump, flags=re.MULTILINE)[1:]
    chosen = [thread for thread in threads if thread.startswith("Current")] or threads[-1:]  # the last is the main one
    frames = re.findall(r'^  File "(.*)", line (\d+)', "".join(chosen), re.MULTILINE)
    libraries = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    for file, line in [frame for frame in frames if not frame[0].startswith(libraries)] or frames:
        return f" ({Path(file).name}, line {line})"
    return ""


# --- in the process apart -------------------------------------------------------------------------------------------


def serve(parent: Connection, dump: int) -> None:
    """Answer requests until the connection is closed."""
    if sys.platform != "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has it, too, and ends this process
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
    for file in (parent.fileno(), dump):
        os.set_inheritable(file, False)
    faulthandler.enable(dump)
    with suppress(EOFError, OSError):  # the command has ended, or does not wait any more
        choice, limit = parent.recv()
        end_process_where_calls_hang(2 * limit + _GRACE, dump)
        for spec in (*choice.own, *filter(None, [choice.gradient])):
            with suppress(BadSubject):  # the command finds the same, and says it
                resolve(entry_points().get(spec, spec))
        parent.send("imported")
        subjects = _Subjects(choice)
        while True:
            request = parent.recv()
            try:
                for answer in _answers(subjects, request):
                    parent.send(answer)
            except Exception:  # noqa: BLE001 - the command raises it
                parent.send(_Raised(traceback.format_exc()))


class _Subjects:
    """The subjects of the user's own, found once."""

    def __init__(self, choice: Choice) -> None:
        self._found: list[Subject] = []
        if choice.own:
            with suppress(BadSubject):
                self._found, _ = replace(choice, subjects=choice.own).find(_takes_all)

    def find(self, named: _Named) -> tuple[Subject, Function]:
        """Return a subject and its function; one of an entry point that nobody has named is not judged."""
        names = {subject.name for subject in self._found}
        if named.entry_point in entry_points() and named.entry_point not in names:
            self._found += find_entry_point(named.entry_point, find_backends((named.backend,))[0])
        return next(
            (subject, function)
            for subject in self._found
            if subject.backend.name == named.backend
            for function in subject.functions
            if function.name == named.function
        )


def _takes_all(_function: Function, _backend: Backend, _dtype: str) -> str:
    """Try nothing: which dtypes are measured is for the command to say."""
    return ""


def _answers(subjects: _Subjects, request: _Work | _Trial) -> Iterator[Any]:
    subject, function = subjects.find(request.named)
    if isinstance(request, _Trial):
        yield refusal_of(function, subject.backend, request.dtype)
    else:
        job = Job(subject, function, request.dtype, request.parts, request.limit, request.same_bits, request.only)
        yield from rows_by_part(job, request.level, request.exact_values)

"""How a command ends: its exit codes, the errors that carry them, and what becomes of any other exception."""

import traceback
from enum import IntEnum
from typing import Any, NoReturn

import click

from xbce_conformance.storage import OtherPlan
from xbce_conformance.subjects.spec import BadSubject


class ExitCode(IntEnum):
    """What the shell is told. A gate may read 1 as its own answer: nothing but a result ends with it."""

    PASSED = 0
    FAILED = 1
    """A row failed, or `compare` found something worse."""
    USAGE = 2
    NOT_LOADED = 3
    """A subject or a backend could not be loaded, or nothing of what was asked for is here."""
    INPUT_OUTPUT = 4
    """A file cannot be read or written, or holds something else."""
    INTERNAL = 70
    """A defect of this package; EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130
    """As a shell reports Ctrl-C."""


CODES = {
    ExitCode.PASSED: "all that is judged passes",
    ExitCode.FAILED: "a row failed, or `compare` found something worse",
    ExitCode.USAGE: "usage: an option or an argument is wrong",
    ExitCode.NOT_LOADED: "a subject or a backend could not be loaded, or is absent",
    ExitCode.INPUT_OUTPUT: "input or output: a file cannot be read or written",
    ExitCode.INTERNAL: "a defect of this package, to be reported",
    ExitCode.INTERRUPTED: "interrupted",
}
"""What `--help` says of each."""


def codes(failed: str | None = None, passed: str = "done") -> dict[ExitCode, str]:
    """Return what the codes of one command say: 0 and 1 have its own words, and without those of 1 it has no 1."""
    own = {ExitCode.PASSED: passed} | ({ExitCode.FAILED: failed} if failed else {})
    return {code: own.get(code, text) for code, text in CODES.items() if code in own or code != ExitCode.FAILED}


class NotLoaded(click.ClickException):
    """A subject or a backend is not here."""

    exit_code = ExitCode.NOT_LOADED


class FileProblem(click.ClickException):
    """A file or a folder cannot be read or written, or holds something else."""

    exit_code = ExitCode.INPUT_OUTPUT


class _Interrupted(click.ClickException):
    exit_code = ExitCode.INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Say so, without the word "Error"."""
        click.echo(self.message, file=file, err=True)


class _InternalError(click.ClickException):
    exit_code = ExitCode.INTERNAL

    def show(self, file: Any = None) -> None:
        """Print one line that says what it is, and the traceback, for a run of an hour is not repeated to see it."""
        click.echo(self.message, file=file, err=True)
        if self.__cause__ is not None:
            click.echo("".join(traceback.format_exception(self.__cause__)), file=file, err=True, nl=False)


class Commands(click.Group):
    """A group of commands that end with an `ExitCode`, whatever they raise."""

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command that is named."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            if error.exit_code == ExitCode.FAILED:  # click's own default
                raise click.UsageError(error.message) from error
            raise
        except (KeyboardInterrupt, EOFError, click.Abort) as error:
            raise _Interrupted("Interrupted.") from error
        except SystemExit as error:
            if error.code:
                raise
            # No command ends so: what is measured has called sys.exit(), and would pass by it.
            _internal(error, "a subject or a library has ended the process")
        except BadSubject as error:
            raise NotLoaded(str(error)) from error
        except (OtherPlan, OSError) as error:
            raise FileProblem(str(error)) from error
        except Exception as error:  # noqa: BLE001 - nothing may end with 1 but a result
            _internal(error, str(error))


def _internal(error: BaseException, text: str) -> NoReturn:
    msg = f"internal error: {type(error).__name__}: {text}; please report it"
    raise _InternalError(msg) from error

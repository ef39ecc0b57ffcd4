"""`completion`, and what completes the values of options."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from xbce_conformance.cli.exit_codes import codes
from xbce_conformance.cli.help import PROGRAM, HelpedCommand

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_XBCE_CONFORMANCE_COMPLETE"
"""What click reads, as the name of the program has it."""


@click.command(
    "completion",
    cls=HelpedCommand,
    examples={
        "completion bash > ~/.local/share/bash-completion/completions/xbce-conformance": "bash, for every later shell",
        "completion zsh > ~/.zfunc/_xbce-conformance": "zsh, where ~/.zfunc is in fpath",
        "completion fish > ~/.config/fish/completions/xbce-conformance.fish": "fish",
    },
    codes=codes(),
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the code that completes commands, options, and names of subjects, backends and functions in SHELL."""
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all three
    source = found(context.find_root().command, {}, PROGRAM, _VARIABLE).source()
    if shell == "bash":
        # A colon ends a word of bash, and names of backends and subjects have one.
        source = f"COMP_WORDBREAKS=${{COMP_WORDBREAKS//:}}\n{source}"
    click.echo(source)


class SubjectName(click.ParamType[str]):
    """A subject: a name of the table, or module:callable."""

    name = "subject"

    def __init__(self, *, backends: bool = False) -> None:
        self._backends = backends
        """Whether @BACKEND may follow."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text: what it names is looked for with the other options in view."""
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so, with the backend where one is begun; files for all else."""
        from xbce_conformance.subjects.selection import ALL_BACKEND_NAMES, SUBJECT_NAMES

        subject, at, backend = incomplete.partition("@")
        if at and self._backends:
            return [CompletionItem(f"{subject}@{name}") for name in ALL_BACKEND_NAMES if name.startswith(backend)]
        names = [CompletionItem(name) for name in SUBJECT_NAMES if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


def complete_regime(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the regimes that begin so, of logits and labels."""
    from xbce_conformance.inputs.regimes import REGIMES

    return [name for name in REGIMES if name.startswith(incomplete)]

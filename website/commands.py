"""The page of the command line: what each command prints for `--help`; and the page of the formats."""

import json
from pathlib import Path

import click

from website.stage import ROOT
from xbce_conformance.cli import main

FORMATS = {
    "results": "`results.json`, which `run`, `sweep` and `report` write",
    "data": "`data.json`, which `run --data` and `diff` write",
    "explore": "`tables.json`, which `explore` writes",
    "functions": "`functions.json`, which `functions` writes",
    "platforms": "the files beside the table of platforms, which `make platforms` writes",
    "vectors": "test vectors, which `vectors export` writes",
}


def write(source: Path) -> None:
    """Write both pages below the sources of a site."""
    (source / "reference" / "commands.md").write_text(_commands(), "utf-8")
    files = source / "files" / "docs"
    files.mkdir(parents=True, exist_ok=True)
    for name in FORMATS:
        file = f"{name}.schema.json"
        (files / file).write_bytes((ROOT / "docs" / file).read_bytes())
    (source / "reference" / "formats.md").write_text(_formats(), "utf-8")


def _commands() -> str:
    lines = ["# The command xbce-conformance", "", *_block(main, None)]
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None  # noqa: S101
        lines += [f"## xbce-conformance {name}", "", *_block(command, name)]
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                lines += [f"### xbce-conformance {name} {sub}", "", *_block(command.commands[sub], name, sub)]
    return "\n".join(lines)


def _block(command: click.Command, *names: str | None) -> list[str]:
    """Return a command's help as a block of text."""
    context = None
    for name in ("xbce-conformance", *names):
        if name is not None:
            context = click.Context(command, info_name=name, parent=context, max_content_width=100, terminal_width=100)
    assert context is not None  # noqa: S101
    return ["```text", click.unstyle(command.get_help(context)), "```", ""]


def _formats() -> str:
    """Return the page of the schemas."""
    lines = [
        "# Formats",
        "",
        "Every file that the suite writes has a JSON schema, and the tests validate what is written against it.",
        "",
    ]
    for name, what in FORMATS.items():
        schema = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text("utf-8"))
        lines += [f"## {name}", "", f"{what[0].upper()}{what[1:]}: [the schema](../files/docs/{name}.schema.json).", ""]
        described = schema.get("properties") or {}
        rows = [
            f"| `{key}` | {' '.join(str(value.get('description', '–')).split())} |"
            for key, value in described.items()
            if isinstance(value, dict)
        ]
        if rows:
            lines += ["| at its top | what it holds |", "|---|---|", *rows, ""]
    return "\n".join(lines)

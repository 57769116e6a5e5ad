"""What the pages tell a reader to type exists: commands, options, and the pages they link to."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from dvc.cli.parser import get_main_parser

from cnnpipe.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMANDS = typer.main.get_group(app).commands
BLOCK = re.compile(r"^```(?:bash|text)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def commands_of(page: str, program: str) -> list[list[str]]:
    """Return the words behind each mention of a program: in blocks of commands, and in the text between."""
    lines = [line for block in BLOCK.findall(page) for line in block.replace("\\\n", " ").splitlines()]
    lines += INLINE.findall(re.sub(r"^```.*?^```", "", page, flags=re.M | re.S))
    return [words for line in lines for words in _calls(line, program)]


def _calls(line: str, program: str) -> Iterator[list[str]]:
    for part in re.split(r"&&|;|\|(?= )|\$\(", re.sub(r"(^|\s)#.*", "", line)):
        try:
            words = shlex.split(part)
        except ValueError:  # an apostrophe in a sentence
            continue
        words = words[2:] if words[:2] == ["python", "-m"] else words
        if words and Path(words[0]).name == program and len(words) > 1:
            yield words[1:]


def options_in(words: list[str]) -> list[str]:
    """Return the options among the words; `[--json]` of a table of commands is one."""
    bare = (word.strip("[]…,.") for word in words)
    return [word.partition("=")[0] for word in bare if re.match(r"--?[a-zA-Z]", word)]


def mentions(program: str) -> list[tuple[str, list[str]]]:
    pages = ((_name(page), page.read_text(encoding="utf-8")) for page in PAGES)
    return [(name, words) for name, text in pages for words in commands_of(text, program)]


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def name_of(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def dvc_parser(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser of a command of DVC, e.g. of `remote add`."""
    parser: argparse.ArgumentParser = get_main_parser()
    for word in words:
        choices = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not choices or word not in choices[0]:
            break
        parser = choices[0][word]
    return parser


@pytest.mark.parametrize(("page", "words"), mentions("cnnpipe"), ids=name_of)
def test_every_command_and_option_of_cnnpipe_exists(page: str, words: list[str]) -> None:
    name, *rest = (word.strip("[]…,.") for word in words)
    assert name in COMMANDS or name == "--help", f"{page}: there is no command {name}"
    command, rest = _subcommand(COMMANDS.get(name), rest)
    if command is None or command.context_settings.get("ignore_unknown_options"):
        return  # handed on to dvc
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert set(options_in(rest)) <= known | {"--help"}, page


def _subcommand(command: Any, rest: list[str]) -> tuple[Any, list[str]]:
    """Return the command that is meant where `command` is a group of several, e.g. `via check`."""
    while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        several = [name for name in rest[0].split("|") if name]
        assert set(several) <= set(command.commands), f"there is no command {rest[0]}"
        command, rest = command.commands[several[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize(("page", "words"), mentions("dvc"), ids=name_of)
def test_every_command_and_option_of_dvc_exists(page: str, words: list[str]) -> None:
    without_first_options = words[next(i for i, w in enumerate(words) if not w.startswith("-")) :]
    parser = dvc_parser(without_first_options)
    assert parser.prog != "dvc", f"{page}: dvc has no such command"
    known = {*parser._option_string_actions, *get_main_parser()._option_string_actions}
    assert set(options_in(words)) <= {*known, "--wait-for-lock"}, page


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_page_that_is_linked_exists(page: Path) -> None:
    linked = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in linked if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_readme(name: str) -> None:
    assert COMMANDS[name].help
    for below in getattr(COMMANDS[name], "commands", {}).values():
        assert below.help
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"`(cnnpipe )?{name}\b", readme), f"the README does not name `cnnpipe {name}`"


def test_commands_are_found_where_readers_find_them() -> None:
    page = """
Run `cnnpipe split --pin`, then `cnnpipe results [--json]`; it's `python -m cnnpipe code`.

```bash
cd x && cnnpipe init a --task detect   # cnnpipe nothing
.venv/bin/cnnpipe lock; cnnpipe \\
  results | head
```

```yaml
cnnpipe: none
```
"""
    assert commands_of(page, "cnnpipe") == [
        ["init", "a", "--task", "detect"],
        ["lock"],
        ["results"],
        ["split", "--pin"],
        ["results", "[--json]"],
        ["code"],
    ]
    assert options_in(["results", "[--json]", "-n", "5", "--num=3", "—"]) == ["--json", "-n", "--num"]

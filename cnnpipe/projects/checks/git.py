"""git: there, with an identity, and blind to the pipeline's outputs."""

import os
from pathlib import Path
from typing import Final

from cnnpipe import paths
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import ask
from cnnpipe.projects.checks.results import Result, error, note, ok, warning

_NO_GIT: Final = "runs carry no commit, and `dvc exp` and `dvc metrics diff` do not work"


def check_git(facts: Facts) -> list[Result]:
    """Look for git, a repository around this folder, and a name to commit under."""
    version = ask("git", "--version")
    if version.code != 0:
        return [warning("git", f"not found: {_NO_GIT}", "install git"), *_dvc_without(facts)]
    top = ask("git", "rev-parse", "--show-toplevel")
    if top.code == 0:
        return [
            ok("git", f"{version.said.removeprefix('git version ')}, repository {top.said}"),
            *_identity(),
        ]
    if "not a git repository" in top.complained:
        what = f"no repository around this folder: {_NO_GIT}"
        return [note("git", what, "git init, if you want them"), *_dvc_without(facts)]
    first = top.complained.partition("\n")[0]
    return [warning("git", f"the repository cannot be read: {first}", top.reason.strip())]


def check_ignored_outputs(facts: Facts) -> list[Result]:
    """Look whether .gitignore names every output beforehand.

    Else DVC writes nested .gitignore files, whose line order changes the hash of a folder.
    """
    if ask("git", "rev-parse", "--is-inside-work-tree").said != "true":
        return []
    outputs = _outputs(facts)
    # what is tracked is never ignored, unless the index is left out
    answer = ask("git", "check-ignore", "--no-index", "--", *outputs)
    seen = [name for name in outputs if name not in answer.said.splitlines()]
    if not seen:
        return [ok(".gitignore", "names every output")]
    names = ", ".join(name.removesuffix("/-") for name in seen)
    fix = "add them to .gitignore: DVC would write nested ones, which change the hashes of folders"
    return [warning(".gitignore", f"does not name {names}", fix)]


def _identity() -> list[Result]:
    if ask("git", "var", "GIT_COMMITTER_IDENT").code == 0:
        return []
    fix = "git config --global user.name '…'; git config --global user.email '…'"
    return [warning("git", "no identity: `git commit` and `dvc exp run` are refused", fix)]


def _dvc_without(facts: Facts) -> list[Result]:
    if not Path(".dvc").is_dir() or facts.dvc_setting("core.no_scm") == "true":
        return []
    return [error("git", "DVC looks for a git repository and finds none", "dvc config core.no_scm true")]


def _outputs(facts: Facts) -> list[str]:
    """Return what the pipeline writes; a file in a folder where only folders of that name are meant."""
    written = [
        paths.CODE,
        paths.INGESTED,
        paths.VALIDATED,
        paths.SPLITS,
        paths.AUGMENTED,
        paths.MODELS,
        paths.RESULTS,
        paths.COMPARISON,
        paths.REGISTERED,
        paths.DECISION,
        Path("mlflow.db"),
        Path("mlartifacts/-"),
    ]
    if facts.document is not None and facts.document.sample is not None:
        written.append(paths.RAW)
    if "CNNPIPE_STATE" not in os.environ:
        written.append(paths.state_dir() / "-")
    return [path.as_posix() for path in written]

"""The files of a new project besides its data: graph, params, README, and what git and DVC want."""

import json
import re
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from cnnpipe import paths
from cnnpipe.files import write_text
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects import sizing
from cnnpipe.projects.layout import Layout
from cnnpipe.projects.sizing import Sized
from cnnpipe.projects.survey import Survey

_TEMPLATES: Final = resources.files("cnnpipe") / "projects" / "template"
# Template -> file of the project. They have other names there, for git and DVC would take them for their own.
_AS_THEY_ARE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dvc.yaml.txt": "dvc.yaml",
        "gitignore.txt": ".gitignore",
        "gitattributes.txt": ".gitattributes",
        "dvcignore.txt": ".dvcignore",
        "dvc_config.txt": ".dvc/config",
        "dvc_gitignore.txt": ".dvc/.gitignore",
        "flows_init.py.txt": "flows/__init__.py",
        "flows_pipeline.py.txt": "flows/pipeline.py",
        "flows_stage.py.txt": "flows/stage.py",
        "prefect.yaml.txt": "prefect.yaml",
        "prefect.toml.txt": "prefect.toml",
    }
)
# besides what JSON escapes; line ends of Unicode as well
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_NETWORKS: Final = MappingProxyType(
    {"detect": "detectors", "classify": "classifiers", "regress": "regressors"}
)
_FIRST_EXPERIMENT: Final = MappingProxyType({"detect": "fcos-lite0", "classify": "lite0", "regress": "lite0"})
_RANKED_BY: Final = MappingProxyType({"detect": "map_50", "classify": "accuracy", "regress": "mae"})
_SIZED: Final = MappingProxyType(
    {"detect": sizing.detect, "classify": sizing.classify, "regress": sizing.regress}
)


def write_project_files(folder: Path, name: str, survey: Survey, layout: Layout) -> list[str]:
    """Write all files of a project but its data; return their paths below `folder`, POSIX.

    Args:
        folder: it exists.
        name: what the project is called, e.g. its folder.
        survey: what the params are chosen for.
        layout: where the annotation files and pictures lie.
    """
    written = {target: _template(source) for source, target in _AS_THEY_ARE.items()}
    written["params.yaml"] = render_params(survey, layout)
    written["README.md"] = _render_readme(name, survey)
    written["requirements.txt"] = f"cnnpipe[train,orchestration]=={metadata.version('cnnpipe')}\n"
    written[paths.PINNED_SPLITS.as_posix()] = "\n"  # stage `split` reads it; no picture is pinned yet
    for target, content in written.items():
        write_text(folder / target, content)
    params = folder / "params.yaml"
    check(read_yaml(params), Document, where=str(params), section="")
    return sorted(written)


def without_git(folder: Path) -> None:
    """Tell the DVC of the project in `folder` that there is no git, as `dvc init --no-scm` does."""
    write_text(folder / ".dvc/config", f"{_template('dvc_config.txt')}    no_scm = true\n")


def render_params(survey: Survey, layout: Layout) -> str:
    """Return params.yaml for this data, each key with its meaning or its reason."""
    ranked_by = (
        f"  {survey.task}: {_RANKED_BY[survey.task]}  # metric by which experiments are ranked, on val"
    )
    lines = {
        "survey": describe(survey),
        "annotations": "\n".join(f"    - {_quoted(each)}" for each in layout.annotations),
        "images_dir": _quoted(layout.images_dir),
        **_label_lines(survey),
        "limits": "\n".join(
            f"    {code}: {each.value}  # {each.why}" for code, each in sizing.limits(survey).items()
        ),
        "label_text": survey.gate.label_text,
        "label_map": _flow_mapping(survey.gate.label_map),
        "default_label": "null" if survey.gate.default_label is None else _quoted(survey.gate.default_label),
        **_flat(sizing.gate(survey)),
        **_flat(sizing.split(survey)),
        "views_and_experiments": _render_task(survey),
        "ranked_by": ranked_by,
    }
    return Template(_template("params.yaml.txt")).substitute(lines)


def learnt(survey: Survey) -> str:
    """Return what the attribute of a survey holds."""
    return "the number" if survey.task == "regress" else "the class"


def describe(survey: Survey) -> str:
    """Return what there is, in a few words: "50 pictures, 190 objects of 12 classes"."""
    if survey.task == "regress":
        number, least, largest = len(survey.numbers), min(survey.numbers), max(survey.numbers)
        return f"{len(survey.pictures):,} pictures, {number:,} numbers from {least:g} to {largest:g}"
    classes = sizing.class_counts(survey)
    what = "objects" if survey.label.source == "objects" else "labels"
    kinds = "1 class" if len(classes) == 1 else f"{len(classes)} classes"
    return f"{len(survey.pictures):,} pictures, {sum(classes.values()):,} {what} of {kinds}"


def _label_lines(survey: Survey) -> dict[str, str]:
    """Return where section `validate` finds classes."""
    attribute = _quoted(survey.label.attribute)
    if survey.task == "regress":
        why = "a number needs no class: regions without one have default_label"
        return {
            "label_attribute": _quoted(survey.gate.label_attribute),
            "label_why": why,
            "image_label_attribute": "null",
        }
    is_objects = survey.label.source == "objects"
    return {
        "label_attribute": attribute if is_objects else "auto",
        "label_why": survey.label.why if is_objects else "auto: guess, and say so",
        "image_label_attribute": "null" if is_objects else attribute,
    }


def _render_task(survey: Survey) -> str:
    sized = _SIZED[survey.task](survey)
    return Template(_template(f"{survey.task}.yaml.txt")).substitute(_flat(sized)).rstrip()


def _render_readme(name: str, survey: Survey) -> str:
    return Template(_template("README.md.txt")).substitute(
        name=name,
        networks=_NETWORKS[survey.task],
        survey=describe(survey),
        learnt=learnt(survey),
        label=survey.label.attribute,
        label_kind="region" if survey.label.source == "objects" else "file",
        experiment=_FIRST_EXPERIMENT[survey.task],
    )


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _flat(sized: Mapping[str, Sized]) -> dict[str, str]:
    values = {name: each.value for name, each in sized.items()}
    return values | {f"{name}_why": each.why for name, each in sized.items()}


def _flow_mapping(texts: Mapping[str, str | None]) -> str:
    """Return a mapping as YAML in one line."""
    pairs = (f"{_quoted(key)}: {'null' if each is None else _quoted(each)}" for key, each in texts.items())
    return f"{{{', '.join(pairs)}}}"


def _quoted(text: str) -> str:
    """Return a text as a YAML scalar that is that text, whatever stands in it: a JSON string is one.

    What YAML does not take for printable is escaped, all else stands as it is: in JSON's way, a
    character beyond U+FFFF would be escaped as two, which are two in YAML.
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))

"""Pages of HTML that need nothing but themselves: styles, figures and pictures are inside.

Every text is escaped but what is known to be a figure of ours.
"""

import re
from typing import Any

from markupsafe import Markup

from cnnpipe.evaluation.comparison import Measured
from cnnpipe.reports.environment import page_environment
from cnnpipe.reports.figures import printable


def render(template: str, **values: Any) -> str:
    """Return a template below `templates/` filled with `values`; an unknown name in it is an error."""
    environment = page_environment(keep_trailing_newline=True)
    environment.filters.update(number=_number, measure=_measure, interval=_interval)
    environment.filters.update(label=_label, setting=_setting)
    return environment.get_template(template).render(**values)


def inline_svg(svg: str, *, name: str) -> Markup:
    """Return a figure of `figures.to_svg` as an element of a page.

    Args:
        svg: the document; its prolog and its metadata are left out.
        name: put before each of its ids, which must differ from those of the page's other figures.
    """
    element = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    return Markup(re.sub(r"<[^>]+>", lambda tag: _with_own_ids(tag[0], name), element))  # noqa: S704 of matplotlib


def _with_own_ids(tag: str, name: str) -> str:
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag)


def _number(value: float | None, digits: int = 3) -> str:
    """Return a value with digits behind the point; where these would all be 0, with two that are not."""
    if value is None:
        return "–"
    return f"{value:.2g}" if 0.0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"


def _measure(value: float) -> str:
    """Return a measurement of any unit with four digits that count."""
    return f"{value:.4g}"


def _interval(measured: Measured | None) -> str:
    if measured is None or measured.ci_low is None or measured.ci_high is None:
        return ""
    return f"{_number(measured.ci_low)} – {_number(measured.ci_high)}"


def _label(name: str) -> Markup:
    """Return a class name that cannot turn the direction of the text around it."""
    return Markup("<bdi>{}</bdi>").format(printable(name, limit=48))


def _setting(value: Any) -> str:
    """Return a value of params.yaml as it is written there."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)

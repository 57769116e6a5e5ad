"""What `cnnpipe via stats` prints."""

from typing import Final

from rich.console import Console

from cnnpipe.cli.via_lines import line, print_table
from cnnpipe.formats.via.stats import AttributeStats, Quartiles, Stats

_MOST_ATTRIBUTES: Final = 40
_MOST_VALUES: Final = 8  # of an attribute, in one line


def print_stats(stats: Stats) -> None:
    """Print the counts."""
    console = Console()
    bare = stats.images_without_regions
    line(
        console, f"pictures: {stats.images}, {bare} of them without regions; size known of {stats.num_sized}"
    )
    if stats.regions_per_image is not None:
        line(console, f"regions per picture: {_spread(stats.regions_per_image)}")
    shapes = ", ".join(f"{name} {count}" for name, count in stats.shapes.items())
    line(console, f"regions: {stats.regions}{f' ({shapes})' if shapes else ''}")
    _print_boxes(console, stats)
    for part, attributes in stats.attributes.items():
        for name, use in list(attributes.items())[:_MOST_ATTRIBUTES]:
            _print_attribute(console, part, name, use)
    if stats.labels:
        line(console, f"\nclasses, by region attribute {stats.label_attribute!r}:")
        rows = [(label, str(each.regions), str(each.images)) for label, each in stats.labels.items()]
        print_table(console, ("class", "regions", "pictures"), rows)


def _print_boxes(console: Console, stats: Stats) -> None:
    boxes = stats.boxes
    if boxes is None:
        return
    line(console, f"boxes: {boxes.count}; without area {stats.num_degenerate}, outside {stats.num_outside}")
    line(console, f"  width  px: {_spread(boxes.width_px)}")
    line(console, f"  height px: {_spread(boxes.height_px)}")
    if boxes.relative_side is not None:
        line(console, f"  relative side (√ of the share of the picture): {_spread(boxes.relative_side)}")


def _print_attribute(console: Console, part: str, name: str, use: AttributeStats) -> None:
    declared = "" if use.type is None else f" ({use.type})"
    told = f"filled in {use.num_filled}, missing {use.num_missing}, distinct {use.num_distinct}"
    line(console, f"\n{part} attribute {name!r}{declared}: {told}")
    values = [f"{value} {count}" for value, count in list(use.values.items())[:_MOST_VALUES]]
    more = use.num_distinct - len(values)
    if values:
        line(console, f"  values: {', '.join(values)}{f', … {more} more' if more > 0 else ''}")
    if use.unused_options:
        shown = ", ".join(use.unused_options[:_MOST_VALUES])
        more = len(use.unused_options) - _MOST_VALUES
        line(console, f"  options never used: {shown}{f', … {more} more' if more > 0 else ''}")


def _spread(quartiles: Quartiles) -> str:
    return (
        f"{quartiles.least:.4g} to {quartiles.most:.4g}, median {quartiles.median:.4g} "
        f"(half between {quartiles.lower:.4g} and {quartiles.upper:.4g})"
    )

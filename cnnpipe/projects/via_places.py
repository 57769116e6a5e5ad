"""From a finding about a picture back to the file, the name and the number that the user knows."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from cnnpipe.annotations import Finding
from cnnpipe.formats.via.merge import NamedEntry, counting_entries
from cnnpipe.formats.via.records import num_regions
from cnnpipe.reports.via_check_summary import Place


class Places:
    """Where each picture stands in the files."""

    def __init__(self, sources: Sequence[str], entries: Mapping[str, Sequence[NamedEntry]]) -> None:
        """Take the names of all files, and the entries of each picture, by its image_id."""
        self._sources = sources
        self._entries = entries
        self._known: dict[
            str, tuple[Sequence[NamedEntry], list[int]]
        ] = {}  # a picture can have many findings

    def place_of(self, finding: Finding, what: str) -> Place:
        """Return the place of a finding."""
        if finding.where in self._entries:
            return self._of_picture(finding, what)
        if finding.where in self._sources or finding.code.startswith("file-"):
            return Place(file=finding.where, image=None, region=None, what=what)
        for source in self._sources:
            if finding.where.startswith(f"{source}: "):
                image = finding.where.removeprefix(f"{source}: ")
                return Place(file=source, image=image, region=finding.region, what=what)
        # of one file, only it can be meant
        file = self._sources[0] if len(self._sources) == 1 else None
        return Place(file=file, image=finding.where, region=finding.region, what=what)

    def _of_picture(self, finding: Finding, what: str) -> Place:
        if finding.region is None:  # of the picture; nothing is kept, for every picture may have one
            named = counting_entries(self._entries[finding.where])
            files = {each.source for each in named}
            one = named[0].source if len(files) == 1 else None
            return Place(file=one, image=named[0].entry.filename, region=None, what=what)
        named, ends = self._counted(finding.where)
        # the regions of several entries are counted on
        place = min(bisect_right(ends, finding.region), len(named) - 1)
        number = finding.region - (ends[place - 1] if place else 0)
        return Place(file=named[place].source, image=named[place].entry.filename, region=number, what=what)

    def _counted(self, image_id: str) -> tuple[Sequence[NamedEntry], list[int]]:
        """Return the entries of a picture that count, and with which number the regions of each end."""
        if image_id not in self._known:
            named = counting_entries(self._entries[image_id])
            ends = list(accumulate(num_regions(each.entry) for each in named))
            self._known[image_id] = named, ends
        return self._known[image_id]

"""Where a statement came from, in the user's own names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """The model nodes, or text spans, that a statement stems from; a fusion keeps all its sources in order."""

    sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, *sources: str) -> Location:
        """Return a location with the given sources, empty ones left out."""
        return cls(tuple(source for source in sources if source))

    def merge(self, *others: Location) -> Location:
        """Return the union of the sources, first come first, none twice."""
        sources = [*self.sources, *(source for other in others for source in other.sources)]
        return Location(tuple(dict.fromkeys(sources)))

    def __str__(self) -> str:
        """Return the sources, joined for a message."""
        return " + ".join(self.sources)


UNKNOWN = Location()
"""The location of a statement that no user wrote."""

"""All that is wrong with a file, in one error."""

from __future__ import annotations

from pathlib import Path

from meanfield.errors import ArgumentError

_MAX_SENTENCES = 10
_MAX_LINES = 5


class Complaints:
    """What is wrong with the lines of a file: the same fault is told once, with all its lines."""

    def __init__(self, path: Path):
        self.path = path
        self._faults: dict[tuple[str, str, str], tuple[int, str, list[int]]] = {}

    def add(
        self, line: int, what: str, remedy: str, column: str | None = None, kind: str = ""
    ) -> None:
        """Add one fault; faults of one `kind` in one column, by default alike, are one sentence."""
        key = (kind or what, remedy, column or "")
        line = int(line)
        self._faults.setdefault(key, (line, what, []))[2].append(line)

    def stop(self) -> None:
        """Raise an ArgumentError if there is a fault."""
        if not self._faults:
            return
        told = sorted(self._faults.items(), key=lambda fault: fault[1][0])
        sentences = []
        for (_, remedy, column), (line, what, lines) in told[:_MAX_SENTENCES]:
            place = f"line {line}" + (f", column {column}" if column else "")
            sentences.append(f"{place}{what if what[0] == ':' else f' {what}'}{_others(lines)}; "
                             f"{remedy}.")  # fmt: skip
        more = len(told) - len(sentences)
        if more:
            sentences.append(f"{more} more {'fault is' if more == 1 else 'faults are'} not shown.")
        raise ArgumentError("path", message=f"{self.path}, " + " Also ".join(sentences))


def _others(lines: list[int]) -> str:
    """Say in which other lines the same is wrong."""
    others = sorted({line for line in lines if line != lines[0]})
    if not others:
        return ""
    shown = ", ".join(map(str, others[:_MAX_LINES]))
    more = f" and {len(others) - _MAX_LINES} more" if len(others) > _MAX_LINES else ""
    return f" (likewise {'line' if len(others) == 1 else 'lines'} {shown}{more})"

"""Programs: scalar functions as lists of elementary operations, one result after the other.

A program is a value: it is hashed, compared, pickled and written as one line of text, and depends
on nothing outside itself. Every place where a function of the user's own is evaluated runs the same
program: NumPy (`Program.evaluate`), polynomials, the compiled step.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from meanfield.problem.scalar.operations import CHEAP, COMPARISONS, OPERATIONS, PIECEWISE, arity

#: An operation with the places of its arguments, ``("const", number)``, or ``("input", index)``.
Node = tuple[Any, ...]
MOST_NODES = 2000


@dataclass(frozen=True)
class Program:
    """A scalar function with one or several results.

    Attributes
    ----------
    nodes : tuple of Node
        Each refers to earlier ones only.
    outputs : tuple of int
        The places of the results.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    @cached_property
    def text(self) -> str:
        """The program in one line, which `parse` reads."""
        lines = ["{} {}".format(node[0], " ".join(map(repr, node[1:]))) for node in self.nodes]
        return "; ".join(lines) + " -> " + " ".join(map(str, self.outputs))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def part(self, which: int) -> Program:
        """Return the program of one result."""
        return self._parts[which]

    @cached_property
    def _parts(self) -> list[Program]:
        builder = Builder()
        places = builder.take(self, [builder.input(i) for i in range(2)])
        return [builder.program(place) for place in places]

    def uses(self, operations: frozenset[str]) -> bool:
        """Whether any of some operations occurs."""
        return any(node[0] in operations for node in self.nodes)

    @property
    def is_piecewise(self) -> bool:
        """Whether an operation occurs that need not be smooth."""
        return self.uses(PIECEWISE)

    @property
    def is_cheap(self) -> bool:
        """Whether it is a few additions, products and comparisons for each of its operations."""
        return {node[0] for node in self.nodes} <= CHEAP | {"input", "const"}

    def evaluate(self, *inputs: Any) -> list[np.ndarray]:
        """Return the results at floating arrays of one dtype and of shapes that broadcast.

        New arrays of their joint shape and dtype. Nothing is warned of: what is not a number says
        so itself.
        """
        kind, shape = inputs[0].dtype.type, np.broadcast_shapes(*(z.shape for z in inputs))
        with np.errstate(all="ignore"):
            values = self._run([np.asarray(z) for z in inputs], kind)
            return [np.array(np.broadcast_to(value, shape), dtype=kind) for value in values]

    def _run(self, inputs: list[Any], kind: Any) -> list[Any]:
        """Run the operations on what has them; an intermediate is let go after its last use."""
        values: list[Any] = []
        for i, (operation, *places) in enumerate(self.nodes):
            if operation == "input":
                values.append(inputs[places[0]])
            elif operation == "const":
                values.append(kind(places[0]))
            else:
                values.append(OPERATIONS[operation](*(values[j] for j in places)))
            for j in self._last_used[i]:
                values[j] = None
        return [values[i] for i in self.outputs]

    @cached_property
    def _last_used(self) -> list[list[int]]:
        """For each node the places that no later one, and no output, needs."""
        last = {j: i for i, node in enumerate(self.nodes) for j in arguments_of(node)}
        done: list[list[int]] = [[] for _ in self.nodes]
        for j, i in last.items():
            if j not in self.outputs:
                done[i].append(j)
        return done

    def polynomial(self) -> np.polynomial.Polynomial | None:
        """Return the first result as a polynomial of the input, if it is computed as one."""
        values: list[Any] = []
        for operation, *places in self.nodes:
            if operation == "input":
                values.append(np.polynomial.Polynomial([0.0, 1.0]))
            elif operation == "const":
                values.append(np.polynomial.Polynomial([places[0]]))
            elif operation in ("add", "sub", "mul", "neg", "div"):
                first, *rest = (values[j] for j in places)
                divides = operation == "div" and len(rest[0].coef) > 1
                if divides or max(len(v.coef) for v in (first, *rest)) > 64:
                    return None
                values.append(_polynomial_operation(operation, first, *rest))
            else:
                return None
        return values[self.outputs[0]].trim()


def _polynomial_operation(operation: str, first: Any, second: Any = None) -> Any:
    if operation == "neg":
        return -first
    if operation == "div":
        return first / second.coef[0]
    return {"add": first.__add__, "sub": first.__sub__, "mul": first.__mul__}[operation](second)


def arguments_of(node: Node) -> tuple[int, ...]:
    """Return the places that a node refers to."""
    return () if node[0] in ("input", "const") else node[1:]


@lru_cache(maxsize=256)
def parse(text: str) -> Program:
    """Read a program from its text.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        lines, outputs = text.split(" -> ")
        nodes: list[Node] = []
        for i, line in enumerate(lines.split("; ")):
            operation, *words = line.split(" ")
            if operation == "const":
                nodes.append((operation, float(words[0])))
                continue
            places = tuple(map(int, words))
            known = operation == "input" or operation in OPERATIONS
            count = 1 if operation == "input" else arity(operation)
            bound = 2 if operation == "input" else i
            if not known or len(places) != count or not all(0 <= j < bound for j in places):
                raise ValueError(line)
            nodes.append((operation, *places))
        found = tuple(int(word) for word in outputs.split(" "))
        if len(nodes) > MOST_NODES or not all(0 <= j < len(nodes) for j in found):
            raise ValueError(outputs)
    except (ValueError, IndexError) as error:
        raise ValueError(f"This is no program of a scalar function: {text[:80]!r}.") from error
    return Program(tuple(nodes), found)


@dataclass
class Builder:
    """Nodes under construction, each once; what only constants enter is computed at once."""

    nodes: list[Node] = field(default_factory=list)
    _places: dict[Any, int] = field(default_factory=dict)

    def input(self, index: int) -> int:
        """Return the place of an input."""
        return self._place(("input", index))

    def const(self, value: float) -> int:
        """Return the place of a number."""
        return self._place(("const", float(value)))

    def number(self, place: int) -> float | None:
        """Return the number that stands at a place, None if it is no constant."""
        node = self.nodes[place]
        return node[1] if node[0] == "const" else None

    def __call__(self, operation: str, *places: int) -> int:
        """Return the place of an operation's result."""
        if operation in ("add", "mul"):
            places = tuple(sorted(places))
        numbers = [self.number(j) for j in places]
        if operation not in COMPARISONS and all(n is not None for n in numbers):
            with np.errstate(all="ignore"):
                return self.const(float(OPERATIONS[operation](*map(np.float64, numbers))))
        simple = self._simple(operation, places, numbers)
        return self._place((operation, *places)) if simple is None else simple

    def _simple(
        self, operation: str, places: tuple[int, ...], numbers: list[float | None]
    ) -> int | None:
        """Return the place of what an operation by 0 or 1 gives."""
        match operation:
            case "add" | "mul":
                neutral = 0.0 if operation == "add" else 1.0
                for place, number in zip(places, reversed(numbers), strict=True):
                    if number == neutral:
                        return place
                if operation == "mul" and 0.0 in numbers:
                    return self.const(0.0)
            case "sub" | "div":
                if numbers[1] == (0.0 if operation == "sub" else 1.0):
                    return places[0]
                if operation == "sub" and numbers[0] == 0.0:
                    return self("neg", places[1])
                if operation == "div" and numbers[0] == 0.0:
                    return self.const(0.0)
            case "neg" if self.nodes[places[0]][0] == "neg":
                return int(self.nodes[places[0]][1])
            case "select" if places[1] == places[2]:
                return places[1]
        return None

    def _place(self, node: Node) -> int:
        # 0.0 and −0.0 are equal, and NaN is not.
        key = (node[0], node[1].hex()) if node[0] == "const" else node
        if key not in self._places:
            if len(self.nodes) >= 50 * MOST_NODES:
                raise OverflowError
            self._places[key] = len(self.nodes)
            self.nodes.append(node)
        return self._places[key]

    def program(self, *outputs: int) -> Program:
        """Return the program of some results, without what they do not need.

        Raises
        ------
        OverflowError
            If it has more than `MOST_NODES` operations.
        """
        needed, waiting = set(outputs), list(outputs)
        while waiting:
            fresh = set(arguments_of(self.nodes[waiting.pop()])) - needed
            needed |= fresh
            waiting += fresh
        if len(needed) > MOST_NODES:
            raise OverflowError
        new = {old: i for i, old in enumerate(sorted(needed))}
        kept = [self.nodes[old] for old in new]
        return Program(
            tuple(n if not arguments_of(n) else (n[0], *(new[j] for j in n[1:])) for n in kept),
            tuple(new[j] for j in outputs),
        )

    def take(self, program: Program, inputs: list[int]) -> list[int]:
        """Add a program, its inputs at the places given; return the places of its results."""
        places: list[int] = []
        for operation, *arguments in program.nodes:
            if operation == "input":
                places.append(inputs[arguments[0]])
            elif operation == "const":
                places.append(self.const(arguments[0]))
            else:
                places.append(self(operation, *(places[j] for j in arguments)))
        return [places[i] for i in program.outputs]

    def power(self, base: int, exponent: int) -> int:
        """Return the place of a power: by products, or by a root, where these suffice."""
        number = self.number(exponent)
        if number is None or not (number in (0.5, -0.5) or abs(number) <= 64):
            return self("pow", base, exponent)
        if abs(number) == 0.5:
            result = self("sqrt", base)
        elif number == math.floor(number):
            result, square, left = self.const(1.0), base, int(abs(number))
            while left:
                result = self("mul", result, square) if left % 2 else result
                square, left = (self("mul", square, square) if left > 1 else square), left // 2
        else:
            return self("pow", base, exponent)
        return self("div", self.const(1.0), result) if number < 0 else result

"""The activations: value, derivative and the algebraic facts the theory uses.

The known ones stand in one table; others are made from functions by `Activation.from_function`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import special

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem import activation_functions as of
from meanfield.problem.activation_functions import LEAKY_SLOPE
from meanfield.problem.hermite_polynomials import hermite_polynomial
from meanfield.problem.scalar.own import facts_of, join, joint_program, name_of
from meanfield.problem.scalar.program import parse
from meanfield.problem.scalar.reference import Reference, load_reference
from meanfield.problem.validation import as_floating

_Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A scalar activation σ with its derivative and its recorded properties.

    An entry of `ACTIVATIONS`, or made by `from_function`. What it computes is named by its code
    alone, for NumPy and for compiled code: an entry that was changed is refused.

    Attributes
    ----------
    name : str
        Canonical name.
    code : int or str
        Place in the table; or the operations of σ and σ′, for a function of one's own.
    sign, remainder : int, tuple of float
        ``s`` = ±1 and the polynomial ``q``, ascending coefficients, of ``σ(z) = s σ(−z) + q(z)``;
        ``s`` = 0 where there is no such relation with an affine ``q``, as for some of one's own.
    homogeneous, smooth : bool
        Whether ``σ(cz) = c σ(z)`` for every ``c > 0``, and whether σ is infinitely differentiable.
    lipschitz, curvature : float
        ``sup |σ′|`` and ``sup |σ″|``; ``inf`` where there is none, as for ``σ″`` at a kink.
    bounds : tuple of float, or None
        ``inf σ`` and ``sup σ``; ``None`` when σ is unbounded.
    asymptote : tuple of float, or None
        Slopes ``l``, ``r`` and a number ``δ`` with ``|σ(z) − l z| ≤ δ`` for ``z < 0`` and
        ``|σ(z) − r z| ≤ δ`` for ``z > 0``; ``None`` when there are none, as where σ grows faster
        than linearly.
    degree : int or None
        Degree when σ is a polynomial, else ``None``.

    Raises
    ------
    ValueError
        If the code is that of an entry of the table and something else is not.

    Examples
    --------
    >>> from meanfield.problem import get_activation
    >>> get_activation("Leaky ReLU").value(-2.0).item()
    -0.02
    """

    name: str
    code: int | str = field(repr=False)
    sign: int
    remainder: tuple[float, ...] = ()
    homogeneous: bool = False
    smooth: bool = True
    lipschitz: float
    curvature: float
    bounds: tuple[float, float] | None = None
    asymptote: tuple[float, float, float] | None = None
    degree: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.code, str):
            if len(parse(self.code).outputs) != 2:
                raise ArgumentError("code", "must have two results, σ and σ′.")
            name_of(None, self.name)
            if _key(self.name) in _BY_KEY:
                raise ArgumentError(
                    "name", f"{self.name!r} is that of a known activation; give another."
                )
        elif _BY_KEY and ACTIVATIONS.get(self.name) != self:
            raise ArgumentError(
                "activation",
                f"{self.name!r} is no entry of the table, which is not changed by hand; make one "
                "of your own with mf.Activation.from_function(f, derivative, name=…).",
            )

    @classmethod
    def from_function(
        cls,
        f: Callable[[float], float],
        derivative: Callable[[float], float] | None = None,
        *,
        name: str | None = None,
        sign: int | None = None,
        remainder: Sequence[float] | None = None,
        homogeneous: bool | None = None,
        smooth: bool | None = None,
    ) -> Activation:
        """Make an activation of a Python function of one number.

        The function is called with a symbol, once for every way through its branches, and what it
        computes becomes a list of elementary operations; these run in NumPy and are compiled into
        the step. It may use arithmetic, comparisons, ``if``, ``max``, ``min``, ``abs``, loops whose
        length does not depend on ``z``, the functions of ``math``, their likes in NumPy, constants
        from anywhere, and other such functions. The result does not need the function any more: it
        can be pickled and reaches other processes and machines.

        Parameters
        ----------
        f : callable
            σ, a function of one number, finite at least on [−10, 10].
        derivative : callable, optional
            σ′, which is checked against differences of `f`. Without it, it is derived from the
            operations of `f`, at a kink as the side says that `f` takes there (of ``abs``, ``max``
            and ``min`` the mean of both).
        name : str, optional
            What reports call it, no name of `ACTIVATIONS`; that of `f` by default.
        sign, remainder, homogeneous, smooth : int, sequence of float, bool, bool, optional
            The properties of these names, see `Activation`. What is not given is found by
            evaluation, as all others are; what is given is checked, but for `smooth`.

        Returns
        -------
        Activation

        Raises
        ------
        TypeError, ValueError
            If a function cannot be called with a number, does something that has no compiled form,
            or is not finite; if the derivative, or what is given, is not that of the function.

        Examples
        --------
        >>> import math
        >>> import meanfield as mf
        >>> swirl = mf.Activation.from_function(
        ...     lambda z: z * math.exp(-z * z),
        ...     lambda z: (1 - 2 * z * z) * math.exp(-z * z),
        ...     name="swirl",
        ... )
        >>> swirl.sign, swirl.homogeneous, swirl.value(1.0).round(6).item()
        (-1, False, 0.367879)
        """
        value, slope = joint_program(f, derivative)
        given = {
            "sign": sign, "remainder": remainder, "homogeneous": homogeneous, "smooth": smooth,
        }  # fmt: skip
        facts = facts_of(value, slope, given)
        return cls(name=name_of(f, name), code=join(value, slope).text, **facts)

    @property
    def monomials(self) -> np.ndarray:
        """Coefficients of ``1, z, z², …`` of one's own that is a polynomial."""
        found = parse(str(self.code)).polynomial()
        assert found is not None
        return found.coef

    @property
    def identity(self) -> str:
        """What tells it from others: its name, or a digest of the operations of one's own."""
        return self.name if isinstance(self.code, int) else parse(self.code).digest

    def value(self, z: np.ndarray) -> np.ndarray:
        """Evaluate ``σ(z)`` elementwise.

        Parameters
        ----------
        z : array_like
            Any shape. A floating dtype is kept; integers become float64.

        Returns
        -------
        ndarray
        """
        return self._evaluate(z, 0)

    def derivative(self, z: np.ndarray) -> np.ndarray:
        """Evaluate ``σ′(z)`` elementwise: ``relu′(0) = 0``, ``leaky′(0) = 0.01``, ``abs′(0) = 0``.

        Parameters
        ----------
        z : array_like
            Any shape. A floating dtype is kept; integers become float64.

        Returns
        -------
        ndarray
        """
        return self._evaluate(z, 1)

    def _evaluate(self, z: np.ndarray, which: int) -> np.ndarray:
        """Evaluate σ (0) or σ′ (1)."""
        z = as_floating(z)
        if isinstance(self.code, int):
            return _FUNCTIONS[self.code][which](z)
        return parse(self.code).part(which).evaluate(z)[0]

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.code, int):
            # A worker process gets the entry of its own table.
            return get_activation, (self.name,)
        return partial(Activation, **{f.name: getattr(self, f.name) for f in fields(self)}), ()


_FUNCTIONS: dict[int, tuple[_Function, _Function]] = {}
"""σ and σ′ of each entry by its code."""


def _row(*, code: int, value: _Function, derivative: _Function, **facts: Any) -> Activation:
    """Return an entry of the table."""
    _FUNCTIONS[code] = (value, derivative)
    return Activation(code=code, **facts)


_BY_KEY: dict[str, Activation] = {}
"""The entries by the key of their names, once they are all there."""

_ROWS = (
    _row(
        name="identity", code=0, sign=-1, homogeneous=True, lipschitz=1.0, curvature=0.0,
        asymptote=(1.0, 1.0, 0.0), degree=1, value=np.copy, derivative=np.ones_like,
    ),
    _row(
        name="tanh", code=1, sign=-1, lipschitz=1.0, curvature=4.0 / (3.0 * math.sqrt(3.0)),
        bounds=(-1.0, 1.0), asymptote=(0.0, 0.0, 1.0), value=np.tanh, derivative=of.tanh_derivative,
    ),
    _row(
        name="erf", code=2, sign=-1, lipschitz=2 / math.sqrt(math.pi),
        curvature=math.sqrt(8.0 / (math.pi * math.e)), bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), value=special.erf, derivative=of.erf_derivative,
    ),
    _row(
        name="sin", code=3, sign=-1, lipschitz=1.0, curvature=1.0, bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), value=np.sin, derivative=np.cos,
    ),
    _row(
        name="sigmoid", code=4, sign=-1, remainder=(1.0,), lipschitz=0.25,
        curvature=1.0 / (6.0 * math.sqrt(3.0)), bounds=(0.0, 1.0), asymptote=(0.0, 0.0, 1.0),
        value=special.expit, derivative=of.bell,
    ),
    _row(
        name="relu", code=5, sign=1, remainder=(0.0, 1.0), homogeneous=True, smooth=False,
        lipschitz=1.0, curvature=math.inf, asymptote=(0.0, 1.0, 0.0),
        value=of.relu, derivative=of.relu_derivative,
    ),
    _row(
        name="leaky_relu", code=6, sign=1, remainder=(0.0, 1.0 + LEAKY_SLOPE), homogeneous=True,
        smooth=False, lipschitz=1.0, curvature=math.inf, asymptote=(LEAKY_SLOPE, 1.0, 0.0),
        value=of.leaky_relu, derivative=of.leaky_relu_derivative,
    ),
    _row(
        name="silu", code=7, sign=1, remainder=(0.0, 1.0), curvature=0.5,
        lipschitz=1.099839320128867,  # silu′ at the root 2.39935728... of z tanh(z/2) = 2
        asymptote=(0.0, 1.0, 0.2785),  # rounded up
        value=of.silu, derivative=of.silu_derivative,
    ),
    _row(
        name="gelu", code=8, sign=1, remainder=(0.0, 1.0), curvature=math.sqrt(2.0 / math.pi),
        lipschitz=float(special.ndtr(math.sqrt(2))) + 1 / (math.e * math.sqrt(math.pi)),
        asymptote=(0.0, 1.0, 0.17),  # rounded up
        value=of.gelu, derivative=of.gelu_derivative,
    ),
    _row(
        name="softplus", code=9, sign=1, remainder=(0.0, 1.0), lipschitz=1.0, curvature=0.25,
        asymptote=(0.0, 1.0, math.log(2.0)), value=of.softplus, derivative=special.expit,
    ),
    _row(
        name="cos", code=10, sign=1, lipschitz=1.0, curvature=1.0, bounds=(-1.0, 1.0),
        asymptote=(0.0, 0.0, 1.0), value=np.cos, derivative=of.minus_sin,
    ),
    _row(
        name="abs", code=11, sign=1, homogeneous=True, smooth=False, lipschitz=1.0,
        curvature=math.inf, asymptote=(-1.0, 1.0, 0.0), value=np.abs, derivative=np.sign,
    ),
    *(
        _row(
            name=f"he{k}", code=11 + k, sign=(-1) ** k, homogeneous=k == 1,
            lipschitz=1.0 if k == 1 else math.inf, curvature={1: 0.0, 2: 2.0}.get(k, math.inf),
            asymptote=(1.0, 1.0, 0.0) if k == 1 else None, degree=k,
            value=partial(hermite_polynomial, degree=k),
            derivative=partial(of.hermite_derivative, degree=k),
        )
        for k in range(1, 7)
    ),
)  # fmt: skip

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({row.name: row for row in _ROWS})
"""Every activation by name, in the order of their codes."""


def _key(name: str) -> str:
    key = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    return "he" + key.removeprefix("hermite") if key.startswith("hermite") else key


_BY_KEY.update((_key(name), activation) for name, activation in ACTIVATIONS.items())


def get_activation(activation: str | Activation) -> Activation:
    """Look up an activation.

    Parameters
    ----------
    activation : str or Activation
        A name, in which case, ``-``, ``_`` and spaces do not matter (``"hermite3"`` is ``"he3"``);
        or ``"module:name"``, a function or an `Activation` in a file of Python, see
        `from_reference`; or an `Activation`, which is returned as it is.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError, TypeError
        If no activation has this name, or `activation` is neither a name nor an `Activation`.

    Examples
    --------
    >>> import meanfield as mf
    >>> silu = mf.problem.get_activation("SiLU")
    >>> silu.name, silu.sign, silu.value(0.0).item()
    ('silu', 1, 0.0)
    """
    if isinstance(activation, Reference):
        return get_activation(activation.found)
    if type(activation) is Activation:
        return activation
    if not isinstance(activation, str):
        remedy = ""
        if callable(activation) or isinstance(activation, Activation):
            remedy = "; make one of a function with mf.Activation.from_function"
        kind = type(activation).__name__
        raise ArgumentTypeError(
            "activation", f"must be a name or an Activation, not {kind}{remedy}."
        )
    if ":" in activation:
        return from_reference(activation)
    known = _BY_KEY.get(_key(activation))
    return known or ACTIVATIONS[checks.choice("activation", activation, ACTIVATIONS)]


def from_reference(reference: str, folder: str | os.PathLike[str] | None = None) -> Activation:
    """Return the activation that stands under ``module:name`` in a file of Python.

    Parameters
    ----------
    reference : str
        The module and, after a colon, the name in it of an `Activation` or of a function of a
        number, whose attribute ``derivative``, if there is one, is its derivative.
    folder : str or path, optional
        Where the module is looked for first; then in the working directory, then where Python
        looks.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError, TypeError
        If there is no such thing, or it is no activation; see `Activation.from_function`.
    """
    found = load_reference("activation", reference, folder)
    if isinstance(found, Activation):
        return get_activation(found)
    module, _, name = (part.strip() for part in reference.partition(":"))
    try:
        return Activation.from_function(
            found,
            getattr(found, "derivative", None),
            name=f"{module}.{name}" if _key(name) in _BY_KEY else name,
        )
    except (ArgumentError, ArgumentTypeError) as error:
        text = f"{reference!r} is no activation: {error}"
        raise ArgumentError("activation", message=text) from None

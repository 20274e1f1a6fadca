"""Standard, NTK, integrable and maximal-update scalings of an MLP: one table for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from meanfield.errors import ArgumentError, ArgumentTypeError, suggest


class Scaling(NamedTuple):
    """Powers of the width ``n`` in a layer's initial variance and in its learning rate."""

    variance: int
    rate: int


class LayerValues(NamedTuple):
    """One number for each kind of layer: ``W^1``, ``W^2 … W^L`` and ``W^{L+1}``."""

    input: float
    hidden: float
    output: float


class EntrywiseScaling(NamedTuple):
    """Powers of the width in the rates of a step of fixed size an entry, as Adam's, by layer.

    `gradient` holds those by which the gradients of these layers shrink: times ``n^gradient`` they
    keep their size.
    """

    input: float
    hidden: float
    output: float
    output_bias: float
    gradient: tuple[float, float, float, float]


@dataclass(frozen=True)
class Parametrization:
    r"""How initial variances and learning rates depend on the width ``n`` ([RFL] Table 2).

    A layer has entries :math:`N(0, v\, n^p)` and learning rate :math:`η\, s\, n^q`, where
    ``(p, q)`` is its `Scaling` and the constants ``v`` and ``s`` are the user's `weight_variance`
    and `rate_scale`. [RFL] has no biases. A hidden one acts like the weights of one more input
    that is constant, and is scaled like ``W^1``; one of the output moves with the output, and
    starts at zero (Yang et al. 2022, "Tensor Programs V", Table 3, for µP).

    Powers of n in variance and rate, SGD, as ([RFL] Table 2):

    ===========  ========  ========  =========
    layer        W^1       W^l       W^{L+1}
    ===========  ========  ========  =========
    SP           0, −1     −1, −1    −1, −1
    NTP          0, 0      −1, −1    −1, −1
    IP           0, 1      −2, 0     −2, −1
    µP (muP)     0, 1      −1, 0     −2, −1
    ===========  ========  ========  =========

    IP and µP differ in the hidden matrices alone: with one hidden layer they are the same.

    Attributes
    ----------
    name, title : str
        ``"sp"``, ``"ntp"``, ``"ip"`` or ``"mup"``, and its full name.
    input, hidden, output : Scaling
        Powers for ``W^1``, for ``W^2 … W^L`` and for ``W^{L+1}``.
    output_bias_rate : int
        Power of the rate of ``b^{L+1}``.
    entrywise : EntrywiseScaling
        The powers of the rates under Adam.

    Examples
    --------
    >>> import meanfield as mf
    >>> mup = mf.deep.PARAMETRIZATIONS["mup"]
    >>> mup.title, mup.hidden
    ('maximal update parametrization', Scaling(variance=-1, rate=0))
    """

    name: str
    title: str
    input: Scaling
    hidden: Scaling
    output: Scaling
    output_bias_rate: int
    entrywise: EntrywiseScaling

    def variances(self, width: int, weight_variance: tuple[float, float, float]) -> LayerValues:
        """Return the variance of the initial entries of each kind of layer.

        Parameters
        ----------
        width : int
            Units per hidden layer, ``n``.
        weight_variance : (float, float, float)
            The constants that multiply the powers of ``n``.

        Returns
        -------
        LayerValues
        """
        powers = (layer.variance for layer in (self.input, self.hidden, self.output))
        pairs = zip(weight_variance, powers, strict=True)
        return LayerValues(*(constant * float(width) ** power for constant, power in pairs))

    def rates(
        self,
        width: int,
        step_size: float,
        rate_scale: tuple[float, float, float],
        entrywise: bool = False,
    ) -> LayerValues:
        """Return the learning rate of each kind of layer.

        Parameters
        ----------
        width : int
            Units per hidden layer, ``n``.
        step_size : float
            The base learning rate ``η``.
        rate_scale : (float, float, float)
            The constants that multiply the powers of ``n``.
        entrywise : bool
            Whether steps have a fixed size an entry, as under Adam, instead of that of a gradient.

        Returns
        -------
        LayerValues
        """
        powers: tuple[float, ...] = (self.input.rate, self.hidden.rate, self.output.rate)
        if entrywise:
            powers = self.entrywise[:3]
        pairs = zip(rate_scale, powers, strict=True)
        return LayerValues(*(step_size * scale * float(width) ** power for scale, power in pairs))

    def bias_rates(
        self,
        width: int,
        step_size: float,
        rate_scale: tuple[float, float, float],
        entrywise: bool = False,
    ) -> LayerValues:
        """Return the learning rates of ``b^1``, of ``b^2 … b^L`` and of ``b^{L+1}``.

        Parameters
        ----------
        width : int
            Units per hidden layer, ``n``.
        step_size : float
            The base learning rate ``η``.
        rate_scale : (float, float, float)
            The constants of the layers, the same as of their weights.
        entrywise : bool
            Whether steps have a fixed size an entry.

        Returns
        -------
        LayerValues
        """
        powers: tuple[float, ...] = (self.input.rate, self.input.rate, self.output_bias_rate)
        if entrywise:
            powers = (self.entrywise.input, self.entrywise.input, self.entrywise.output_bias)
        pairs = zip(rate_scale, powers, strict=True)
        return LayerValues(*(step_size * scale * float(width) ** power for scale, power in pairs))

    def gradient_sizes(self, width: int) -> tuple[float, float, float, float]:
        """Return the size, up to constants, of the gradients that Adam sees.

        Parameters
        ----------
        width : int
            Units per hidden layer, ``n``.

        Returns
        -------
        tuple of float
            Of the entries of ``W^1`` and hidden biases, of ``W^l``, of ``W^{L+1}`` and of
            ``b^{L+1}``.
        """
        first, hidden, output, bias = (float(width) ** -power for power in self.entrywise.gradient)
        return first, hidden, output, bias


# An entry of W^l moves by the rate, and a feature by n such: n times the rate. Under µP and IP
# features and outputs are to move by a fixed amount, through output weights of order 1/n. Under NTP
# outputs are, through weights of order 1/√n that move together with n features: these move by 1/√n.
# SP has one rate for all layers, the largest at which outputs stay finite: of W^l, as under NTP.
ENTRYWISE: Mapping[str, EntrywiseScaling] = MappingProxyType(
    {
        #                          W^1, b^l  W^l  W^{L+1}  b^{L+1}  sizes of the gradients
        "sp": EntrywiseScaling(-1.5, -1.5, -1.5, -1.5, (0.5, 0.5, 0, 0)),
        "ntp": EntrywiseScaling(-0.5, -1.5, -1, 0, (0.5, 0.5, 0, 0)),
        "ip": EntrywiseScaling(0, -1, -1, 0, (1, 1, 0, 0)),
        "mup": EntrywiseScaling(0, -1, -1, 0, (1, 1, 0, 0)),
    }
)
"""Powers of the width in the rates of Adam (Yang and Littwin 2023, "Tensor Programs IVb")."""

PARAMETRIZATIONS: Mapping[str, Parametrization] = MappingProxyType(
    {
        name: Parametrization(
            name, title, Scaling(*first), Scaling(*middle), Scaling(*last), bias, ENTRYWISE[name]
        )
        for name, title, first, middle, last, bias in [
            #                                        (variance, rate) as powers of n  (rate)
            #                                         W^1     W^l       W^{L+1}       b^{L+1}
            ("sp", "standard parametrization", (0, -1), (-1, -1), (-1, -1), -1),
            ("ntp", "neural tangent parametrization", (0, 0), (-1, -1), (-1, -1), 0),
            ("ip", "integrable (mean-field) parametrization", (0, 1), (-2, 0), (-2, -1), 0),
            ("mup", "maximal update parametrization", (0, 1), (-1, 0), (-2, -1), 0),
        ]
    }
)
"""Every parametrization by name ([RFL] Table 2)."""

_ALIASES = {
    "standard": "sp",
    "ntk": "ntp",
    "integrable": "ip",
    "meanfield": "ip",
    "µp": "mup",
    "μp": "mup",
    "maximalupdate": "mup",
}


def get_parametrization(parametrization: str | Parametrization) -> Parametrization:
    """Look up a parametrization.

    Parameters
    ----------
    parametrization : str or Parametrization
        ``"sp"``, ``"ntp"``, ``"ip"`` or ``"mup"`` (case, ``-``, ``_`` and spaces do not matter;
        ``"standard"``, ``"ntk"``, ``"mean-field"`` and ``"µP"`` are understood; ``"mean-field"`` is
        IP, as the deep integrable scaling is called, which is µP with one hidden layer only), or
        an entry of the table, which is returned as it is.

    Returns
    -------
    Parametrization
        The entry of `PARAMETRIZATIONS`.

    Raises
    ------
    ValueError, TypeError
        If no parametrization has this name, or it is no name.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.deep.get_parametrization("µP").name
    'mup'
    """
    if isinstance(parametrization, Parametrization):
        return parametrization
    if not isinstance(parametrization, str):
        kind = type(parametrization).__name__
        raise ArgumentTypeError("parametrization", f"must be a name, not {kind}.")
    key = parametrization.lower().replace("-", "").replace("_", "").replace(" ", "")
    key = _ALIASES.get(key, key)
    if key not in PARAMETRIZATIONS:
        hint = suggest(parametrization, PARAMETRIZATIONS)
        raise ArgumentError(
            "parametrization", message=f"Unknown parametrization {parametrization!r}.{hint}"
        )
    return PARAMETRIZATIONS[key]


def experiment_scales(
    parametrization: str | Parametrization, n_features: int
) -> tuple[LayerValues, LayerValues]:
    """Return `weight_variance` and `rate_scale` of the experiments of [RFL] Appendix A.

    The experiments draw :math:`W^1` with variance ``2/d`` and the other layers with twice the
    variance of Table 2; the rate of the first layer carries ``1/d``, except under SP, where it is
    ``η/n`` like everywhere else.

    Parameters
    ----------
    parametrization : str or Parametrization
        The scheme.
    n_features : int
        Input dimension ``d``.

    Returns
    -------
    weight_variance, rate_scale : LayerValues
        ``(2/d, 2, 2)``, and ``(1/d, 1, 1)`` or, for SP, ``(1, 1, 1)``.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.deep.experiment_scales("mup", n_features=4)[0]
    LayerValues(input=0.5, hidden=2.0, output=2.0)
    """
    first_rate = 1.0 if get_parametrization(parametrization).name == "sp" else 1.0 / n_features
    return LayerValues(2.0 / n_features, 2.0, 2.0), LayerValues(first_rate, 1.0, 1.0)

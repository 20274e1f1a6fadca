"""The [data] table of a configuration: one for every data source, told apart by `source`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meanfield.problem import SOURCES
from meanfield.problem.data import Labels, Missing, Standardization
from meanfield.problem.draws import InputLaw
from meanfield.problem.sources.synthetic import TargetLabels
from meanfield.workbench.config import FilePath, Section

_WHERE = f"Where the data come from: {', '.join(SOURCES)}. Each has its own options."
_SOURCE = Field(description=_WHERE)

Standardize = Annotated[
    Standardization,
    Field(
        description="Inputs as they are; each column to mean 0 and variance 1; or that divided by "
        "the square root of the number of columns that vary, so that E|x|² = 1, which suits "
        "first-layer weights w ~ N(0, I). Columns that are constant, up to rounding, are centred, "
        "not scaled, and recorded."
    ),
]
StandardizeY = Annotated[
    bool, Field(description="Whether labels are brought to mean 0 and variance 1.")
]
HeldOut = Annotated[float, Field(description="Fraction of rows held out, 0 ≤ fraction < 1.")]
Inputs = Annotated[InputLaw, Field(description="Law of the inputs.")]

_TWO_CLASSES = (
    "all ten by default. Two give labels −1 (the first) and +1, for the squared and the logistic "
    "loss; more give 0..K−1 in this order, for cross-entropy."
)


class DataSection(Section):
    """What the tables of all sources have."""

    source: Annotated[str, _SOURCE]


class RowsSection(DataSection):
    """Rows that are there already: how they are standardised and chosen."""

    standardize: Standardize = "none"
    test_fraction: HeldOut = 0.0
    split_seed: int = Field(0, description="Seed of the choice of rows.")
    n_samples: int | None = Field(
        None, description="Number of training rows to keep; all by default."
    )


class FileSection(RowsSection):
    """Rows of a file of the user's own."""

    standardize_y: StandardizeY = False
    labels: Labels = Field(
        "numbers",
        description="Whether labels are used as they are, or are names of classes, as text or "
        'numbers. As "classes" two of them become −1 and +1, for the logistic loss, more of them '
        '0..K−1, for cross-entropy, in sorted order; "one-hot" makes one column of 0 and 1 for '
        "each class, for the squared loss. Rows are then stratified by class.",
    )
    missing: Missing = Field(
        "refuse",
        description="What becomes of missing values: refused; their rows left out; or the mean of "
        "the column over the training rows put in their place, which labels do not have.",
    )


class NpzSection(FileSection):
    """Arrays of an npz archive; nothing in it is unpickled."""

    source: Annotated[Literal["npz"], _SOURCE]
    path: FilePath = Field(description="The archive.")
    X: str = Field("X", description="Names of the arrays of inputs and labels.")
    y: str = Field("y", description="Names of the arrays of inputs and labels.")
    X_test: str = Field(
        "X_test",
        description="Names of the held-out arrays; under the default names they may be absent.",
    )
    y_test: str = Field(
        "y_test",
        description="Names of the held-out arrays; under the default names they may be absent.",
    )


class CsvSection(FileSection):
    """A table of numbers and categories."""

    source: Annotated[Literal["csv"], _SOURCE]
    path: FilePath = Field(
        description="The file, UTF-8, perhaps packed by gzip, bzip2 or xz; empty lines are skipped."
    )
    target: str | int | list[str | int] = Field(
        -1,
        description="The label column by name or by position (from 0; negative from the end), or "
        "several of them; all other columns are inputs.",
    )
    drop: list[str | int] | None = Field(
        None,
        description="Columns, by name or position, that are left unread, such as an index or a "
        "text.",
    )
    header: bool | None = Field(
        None,
        description="Whether the first line holds names. By default it does when none of its cells "
        "is a number, or when they count the columns 0, 1, 2, … as pandas does above other "
        "numbers.",
    )
    delimiter: str | None = Field(
        None,
        description="By default the first of tab, ;, |, , and blanks that splits the first lines "
        "into the same number of cells; what stands in quotes is not split. A space stands for any "
        "run of spaces and tabs.",
    )
    decimal: Literal[".", ","] = Field(
        ".",
        description="The decimal mark of every number; with , the delimiter is another character, "
        "or the numbers are in quotes.",
    )
    categorical: Literal["refuse", "one-hot"] | list[str | int] = Field(
        "refuse",
        description="What becomes of inputs that are texts: refused, or replaced by one column of "
        "0 and 1 for each of their values, named COLUMN=VALUE. A list names the columns that are "
        "categories, whatever they hold.",
    )


class DigitsSection(RowsSection):
    """8 × 8 images of handwritten digits: 1797 rows, 64 pixels from 0 to 16."""

    source: Annotated[Literal["digits"], _SOURCE]
    classes: list[int | list[int]] | None = Field(
        None,
        description="The digits to keep, or groups of them such as [[0, 2, 4, 6, 8], "
        f"[1, 3, 5, 7, 9]]; {_TWO_CLASSES}",
    )
    standardize: Standardize = "unit"
    test_fraction: HeldOut = 0.2


class DiabetesSection(RowsSection):
    """Disease progression in 442 diabetes patients from ten measurements."""

    source: Annotated[Literal["diabetes"], _SOURCE]
    standardize_y: StandardizeY = True
    standardize: Standardize = "unit"
    test_fraction: HeldOut = 0.2


class PatchesSection(RowsSection):
    """32 × 32 colour patches of two photographs: 520 rows, 3072 pixels from 0 to 255."""

    source: Annotated[Literal["patches"], _SOURCE]
    stride: int = Field(
        32,
        description="Pixels from one patch to the next; below 32 there are more, and they overlap.",
    )
    standardize: Standardize = "unit"
    test_fraction: HeldOut = 0.2


class Cifar10Section(RowsSection):
    """32 × 32 colour images: 50000 training images, 3072 pixels from 0 to 255."""

    source: Annotated[Literal["cifar10"], _SOURCE]
    folder: FilePath = Field(
        description="Folder of the binary version, with data_batch_1.bin to data_batch_5.bin, or "
        "the one where its archive was unpacked."
    )
    classes: list[str] | None = Field(
        None, description=f"Names of the classes to keep; {_TWO_CLASSES}"
    )
    standardize: Standardize = "unit"
    test_fraction: HeldOut = 0.2


class SyntheticSection(DataSection):
    """Inputs that are drawn, with labels from a target f*."""

    n_features: int = Field(description="Input dimension d.")
    n_train: int = Field(200, description="Numbers of rows; no held-out part when n_test is 0.")
    n_test: int = Field(1000, description="Numbers of rows; no held-out part when n_test is 0.")
    inputs: Inputs = "gaussian"
    noise: float = Field(
        0.0,
        description="Standard deviation of the Gaussian noise added to f*(x), held-out part "
        "included.",
    )
    labels: TargetLabels = Field(
        "real",
        description="The noisy values themselves (squared loss); their signs ±1 (logistic loss); "
        "or the number of the largest output, for one output 0 or 1 by sign (cross-entropy).",
    )
    seed: int = Field(0, description="Seed of inputs and noise.")


class TeacherSection(SyntheticSection):
    """A random teacher network."""

    source: Annotated[Literal["teacher"], _SOURCE]
    n_atoms: int = Field(description="Number of atoms m.")
    activation: str = Field("tanh", description="The activation σ.")
    bias: bool = Field(True, description="Whether atoms have a bias.")
    n_outputs: int = Field(1, description="Number of outputs k; with one, a has shape (m,).")
    min_angle: float = Field(
        0.0, description="Least angle between two lines R w_i, in degrees, 0 to 90: modulo sign."
    )
    output_norm: float | list[float] = Field(
        1.0, description="|a_m|, common or one per atom; signs (directions for k > 1) are random."
    )
    weight_norm: float | list[float] = Field(1.0, description="|w_m|, common or one per atom.")
    bias_scale: float = Field(1.0, description="Standard deviation of the Gaussian biases.")
    target_seed: int = Field(0, description="Seed of the teacher.")


class SingleIndexSection(SyntheticSection):
    """A function f*(x) = g(⟨u, x⟩) with a random unit direction u."""

    source: Annotated[Literal["single-index"], _SOURCE]
    link: str | list[float] = Field(
        "tanh",
        description="An activation, or coefficients c_0, c_1, … of normalised Hermite polynomials.",
    )
    target_seed: int = Field(0, description="Seed of the direction.")


class MultiIndexSection(SyntheticSection):
    """A function of a few random orthonormal projections."""

    source: Annotated[Literal["multi-index"], _SOURCE]
    n_directions: int = Field(description="Number of projections.")
    link: str | dict[str, float] = Field(
        "tanh",
        description="An activation, summed over projections; or coefficients of multi-indices of "
        'projections, normalised, such as {"1": 1.0, "1,1": 0.5}.',
    )
    target_seed: int = Field(0, description="Seed of the directions.")


class ParitySection(SyntheticSection):
    """A product of coordinates, by default on the hypercube."""

    source: Annotated[Literal["parity"], _SOURCE]
    coordinates: list[int] = Field(description="The coordinates that are multiplied, from 0.")
    inputs: Inputs = "rademacher"


class HermiteSection(SyntheticSection):
    """A finite expansion in normalised Hermite polynomials."""

    source: Annotated[Literal["hermite"], _SOURCE]
    coefficients: dict[str, float] = Field(
        description='Coefficients of multi-indices, such as {"2,0,1" = 0.5}.'
    )


DataTable = Annotated[
    NpzSection
    | CsvSection
    | DigitsSection
    | DiabetesSection
    | PatchesSection
    | Cifar10Section
    | TeacherSection
    | SingleIndexSection
    | MultiIndexSection
    | ParitySection
    | HermiteSection,
    Field(discriminator="source", description=_WHERE),
]
"""The table of any source."""

"""Public names, for type checkers; at run time they are loaded on first use."""

from meanfield import cell as cell
from meanfield import chaos as chaos
from meanfield import decomposition as decomposition
from meanfield import deep as deep
from meanfield import dictionary as dictionary
from meanfield import estimators as estimators
from meanfield import flow as flow
from meanfield import identify as identify
from meanfield import limit as limit
from meanfield import moments as moments
from meanfield import plots as plots
from meanfield import problem as problem
from meanfield import schedule as schedule
from meanfield import studies as studies
from meanfield.cell import learning_cell as learning_cell
from meanfield.chaos.result import ChaosRates as ChaosRates
from meanfield.chaos.study import chaos_rates as chaos_rates
from meanfield.chaos.transport import gaussian_wasserstein2 as gaussian_wasserstein2
from meanfield.chaos.transport import matched_wasserstein2 as matched_wasserstein2
from meanfield.chaos.transport import sliced_wasserstein2 as sliced_wasserstein2
from meanfield.chaos.transport import wasserstein2 as wasserstein2
from meanfield.decomposition import decompose_error as decompose_error
from meanfield.dictionary import coefficient_threshold_number as coefficient_threshold_number
from meanfield.dictionary import extract_dictionary as extract_dictionary
from meanfield.errors import CheckpointError as CheckpointError
from meanfield.errors import ConfigError as ConfigError
from meanfield.errors import DivergenceError as DivergenceError
from meanfield.estimators import MeanFieldClassifier as MeanFieldClassifier
from meanfield.estimators import MeanFieldRegressor as MeanFieldRegressor
from meanfield.flow.initial import InitialLaw as InitialLaw
from meanfield.flow.orders import OrderFit as OrderFit
from meanfield.flow.orders import fit_order as fit_order
from meanfield.flow.particles import Particles as Particles
from meanfield.flow.run import Run as Run
from meanfield.flow.run import predict as predict
from meanfield.flow.simulate import simulate as simulate
from meanfield.identify import canonical as canonical
from meanfield.identify import equivalent as equivalent
from meanfield.identify import orbit_depth as orbit_depth
from meanfield.identify import variety_depth as variety_depth
from meanfield.limit.mean_field import MeanFieldPath as MeanFieldPath
from meanfield.limit.mean_field import mean_field as mean_field
from meanfield.limit.stationary import StationaryLaw as StationaryLaw
from meanfield.limit.stationary import stationary as stationary
from meanfield.moments import admissible_weight as admissible_weight
from meanfield.problem import Problem as Problem

__version__: str
__all__: list[str]

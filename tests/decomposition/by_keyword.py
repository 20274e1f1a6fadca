"""The plan of a decomposition that is given by the keywords of `decompose_error`."""

from __future__ import annotations

from meanfield.decomposition import error_plan
from meanfield.decomposition.error_plan import ErrorSettings
from meanfield.flow.scheme import Scheme


def plan_errors(problem, target=None, *, inputs="gaussian", **keywords):
    names = ErrorSettings.__dataclass_fields__
    settings = ErrorSettings(**{name: keywords.pop(name) for name in names if name in keywords})
    scheme = Scheme.of(problem, **{"step_size": 0.2, "n_steps": 200, "dtype": "float32"} | keywords)
    return error_plan.plan_errors(problem, scheme, target, settings, inputs=inputs)

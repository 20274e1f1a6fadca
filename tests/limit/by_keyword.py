"""The laws of a scheme that is given by its keywords."""

from __future__ import annotations

from meanfield.flow.scheme import Scheme
from meanfield.limit import chain
from meanfield.limit import fokker_planck as fokker_planck_module
from meanfield.limit import gaussian_closure as gaussian_closure_module


def gaussian_closure(problem, *, initial_mean=None, initial_covariance=None, **settings):
    scheme = Scheme.of(problem, **settings)
    return gaussian_closure_module.gaussian_closure(
        problem, scheme, initial_mean=initial_mean, initial_covariance=initial_covariance
    )


def chain_law(problem, *, spacing=None, save_at=None, **settings):
    scheme = Scheme.of(problem, **settings)
    return chain.chain_law(problem, scheme, spacing=spacing, save_at=save_at)


def fokker_planck(
    problem, *, n_cells=None, substeps=None, half_width=None, save_at=None, **settings
):
    return fokker_planck_module.fokker_planck(
        problem,
        Scheme.of(problem, **settings),
        n_cells=n_cells,
        substeps=substeps,
        half_width=half_width,
        save_at=save_at,
    )

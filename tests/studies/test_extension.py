"""More replicas, counts or cells of a finished study: what is done is not done again."""

from __future__ import annotations

import itertools

import pytest

from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study
from meanfield.studies.simulate.study import SimulateConfig
from meanfield.system.batches import batches
from meanfield.workbench.config import change, parse
from meanfield.workbench.digest import Digests
from meanfield.workbench.runner import run_study
from tests.studies.running import TEACHER

#: Study, what it begins with, what is added then, and what is new: the rest is kept.
CASES = [
    ("simulate", ["simulate.n_replicas=8"], ["simulate.n_replicas=16"], {"replicas"}),
    ("chaos", ["chaos.n_replicas=4"], ["chaos.n_replicas=16"], {"replicas"}),
    ("chaos", ["chaos.n_replicas=8"], ["chaos.predict=true"], {"prediction"}),
    ("atoms", ["atoms.n_replicas=3"], ["atoms.n_replicas=5"], {"network"}),
    ("errors", ["errors.n_replicas=4"], ["errors.n_replicas=6"], {"sets", "dynamics", "atoms"}),
    ("errors", ["errors.n_atoms=4"], ["errors.n_atoms=5"], {"atoms"}),
    ("recovery", ["recovery.sizes=[1]"], ["recovery.sizes=[1,2]"], None),
    ("identify", ["identify.sizes=[1]"], ["identify.sizes=[1,2]"], None),
    ("widths", ["network.widths=[8,16]"], ["network.widths=[8,16,32]"], None),
    ("widths", ["network.n_seeds=2"], ["network.n_seeds=3"], None),
    ("limit", ["convergence.widths=[8,16]"], ["convergence.widths=[8,16,32]"], None),
    ("experiment", ["atoms.n_replicas=3"], ["atoms.n_replicas=5"], {"atoms"}),
    ("experiment", ["chaos.n_replicas=24"], ["chaos.n_replicas=28"], {"chaos"}),
    ("experiment", ['parts=["atoms"]'], ['parts=["atoms","errors"]'], {"errors"}),
]


def planned(name, changes):
    study = get_study(name)
    plan = study.prepare(parse(study.config, change(dict(study.example), changes)))
    return Digests().units(plan.units, "")


@pytest.mark.parametrize(("name", "first", "more", "new"), CASES)
def test_what_is_added_leaves_the_rest_as_it_is(name, first, more, new):
    late = get_study(name).late
    assert all(text.partition("=")[0] in late for text in more)
    before, after = planned(name, first), planned(name, [*first, *more])
    if name == "experiment" and "atoms" in new:
        # What is made of all networks comes out otherwise, and is done again.
        assert before.pop("trial") != after.pop("trial")
    kept = {key: digest for key, digest in before.items() if key in after}
    assert kept.items() <= after.items()
    added = {key.split("-")[0] for key in after.keys() - before.keys()}
    assert added == new if new else added
    if new != {"atoms"}:
        assert kept == before  # other numbers of atoms are other units


def test_a_finished_study_is_extended_to_the_bits_of_a_longer_one(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    study = get_study("simulate")

    def run(folder, count, **keys):
        table = {"n_particles": 8, "n_replicas": count}
        content = {"study": "simulate", "data": TEACHER, "simulate": table}
        config = parse(SimulateConfig, content | {"run": {"n_steps": 5}})
        run_study(study, config, tmp_path / folder, **keys)
        return (tmp_path / folder / "result.nc").read_bytes()

    short = run("one", 6)
    whole = run("other", 9)
    assert run("one", 9, resume=True) == whole
    kept = {path.name for path in (tmp_path / "one" / "work").glob("*.npz")}
    assert kept == {"replicas-00000.npz", "replicas-00004.npz", "replicas-00008.npz"}
    assert run("one", 6, resume=True) == short
    with pytest.raises(ConfigError, match="add --resume"):
        run("one", 9)


def test_batches_of_more_are_those_of_less_and_others():
    for most, (less, more) in itertools.product((1, 3, 100), ((0, 4), (16, 64), (64, 1000))):
        full = [batch for batch in batches(less, most) if batch in batches(more, most)]
        assert full == batches(less, most)[: len(full)]
        assert len(full) >= len(batches(less, most)) - (less % most > 0)
        assert [i for batch in batches(more, most) for i in batch] == list(range(more))
        assert max(map(len, batches(more, most))) <= most
    assert [len(batch) for batch in batches(9, 8)] == [4, 4, 1]
    assert len(batches(1024, 1000)) < 100

"""Wherever the units of a study run, it ends with the same bits; whoever dies costs his unit."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from meanfield.errors import ConfigError, DivergenceError, WorkerError
from meanfield.studies import STUDIES, Entry, get_study
from meanfield.studies.simulate import study as simulate
from meanfield.system import manifest
from meanfield.system.provenance import software
from meanfield.system.threads import cores
from meanfield.workbench.config import parse
from meanfield.workbench.executors import as_needed, get_executor
from meanfield.workbench.executors.calls import Call, Done
from meanfield.workbench.executors.local import LocalExecutor
from meanfield.workbench.executors.pool import PoolExecutor, threads_each, work
from meanfield.workbench.runner import _urgency, run_study
from meanfield.workbench.study import Plan, Unit
from tests.workbench import marked_study

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(STUDIES, "marked", Entry("tests.workbench.marked_study", "For tests."))


def run(out, place, **keys):
    config = parse(marked_study.MarkedConfig, {"study": "marked", **keys})
    with place as executor:
        return run_study(marked_study.STUDY, config, out, resume=True, executor=executor)


def content(out):
    return (out / "result.nc").read_bytes(), (out / "summary.json").read_bytes()


def marks(path):
    """Who started which unit."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition, process=None, seconds=200.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        assert process is None or process.poll() is None, "the driver stopped"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    STUDIES["marked"] = Entry("tests.workbench.marked_study", "For tests.")
    run(out, get_executor())
    del STUDIES["marked"]
    return content(out)


@pytest.fixture(scope="module")
def two_workers():
    """Two processes, for the tests that end neither of them."""
    with get_executor(workers=2) as executor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NUMBA_NUM_THREADS", str(cores()))
            call = Call(Unit("first", lambda: {}, {}, "first"), {}, None)
            list(executor.run(at_once([call]), lambda call, share: None))  # both start here
        yield executor


class Cluster:
    """A scheduler and two workers, each a process, on the loopback interface."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.processes = [self.start("scheduler", "--host", "127.0.0.1", "--port", "0")]
        # The scheduler makes the file first and fills it then.
        wait_until(lambda: self.file.exists() and self.file.read_text().rstrip().endswith("}"))
        self.address = json.loads(self.file.read_text())["address"]
        for _ in range(2):
            self.add_worker()

    def start(self, kind, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        command += ["--scheduler-file", str(self.file), "--no-dashboard"]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def add_worker(self):
        options = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
        self.processes.append(self.start("worker", *options))

    def kill(self, pid):
        (process,) = [process for process in self.processes if process.pid == pid]
        process.kill()
        process.wait()
        self.add_worker()

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


def test_killed_worker_costs_only_its_unit(cluster, tmp_path, reference):
    file, out = tmp_path / "marks", tmp_path / "out"
    config = tmp_path / "marked.toml"
    config.write_text(f'study = "marked"\npause = 0.3\nmarks = "{file}"\n')
    driver = start_driver(config, out, cluster.address)
    # In the middle of the fourth unit or later, when others have finished.
    wait_until(lambda: len(marks(file)) >= 4, driver)
    time.sleep(0.1)
    victim = marks(file)[-1][0]
    finished = {path.stem for path in (out / "work").glob("*.npz")}
    cluster.kill(victim)
    assert driver.wait(timeout=60) == 0
    assert (out / "result.nc").read_bytes() == reference[0]
    manifest.verify(out)
    started = [unit for _, unit in marks(file)]
    twice = [unit for unit in set(started) if started.count(unit) > 1]
    assert len(started) == 9
    assert len(twice) == 1
    assert f"unit-{twice[0]}" not in finished


def test_killed_driver_resumes_without_doing_anything_twice(cluster, tmp_path, reference):
    file, out = tmp_path / "marks", tmp_path / "out"
    config = tmp_path / "marked.toml"
    config.write_text(f'study = "marked"\npause = 0.2\nmarks = "{file}"\n')
    driver = start_driver(config, out, cluster.address)
    wait_until(lambda: len(list((out / "work").glob("*.npz"))) >= 3, driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    finished = {path.stem for path in (out / "work").glob("*.npz")}
    before = len(marks(file))
    keys = {"pause": 0.2, "marks": str(file)}
    run(out, get_executor("dask", scheduler=cluster.address), **keys)
    assert (out / "result.nc").read_bytes() == reference[0]
    # What the cluster had begun for the dead driver may still come to its end.
    again = {f"unit-{unit}" for _, unit in marks(file)[before + 2 :]}
    assert len(finished) < 8
    assert not again & finished


def start_driver(config, out, address, **options):
    command = [sys.executable, "-m", "tests.workbench.marked_study"]
    return subprocess.Popen([*command, str(config), str(out), address], cwd=ROOT, **options)


def test_error_of_a_unit_comes_through_whole(cluster, tmp_path):
    with pytest.raises(DivergenceError, match="lost") as caught:
        run(tmp_path / "out", get_executor("dask", scheduler=cluster.address), fail=2)
    assert (caught.value.step, caught.value.replica) == (3, 2)


def test_processes_give_the_same_bits(two_workers, tmp_path, reference):
    file = tmp_path / "marks"
    run(tmp_path / "out", nullcontext(two_workers), marks=str(file))
    assert content(tmp_path / "out")[0] == reference[0]
    workers = {pid for pid, _ in marks(file)}
    assert os.getpid() not in workers


def test_lost_process_is_said_in_words_and_its_study_resumes(tmp_path, reference):
    with pytest.raises(WorkerError, match=r"killed, perhaps for lack of memory.*--resume"):
        run(tmp_path / "out", get_executor(workers=2), fail=-5)
    finished = list((tmp_path / "out/work").glob("*.npz"))
    assert tmp_path / "out/work/base.npz" in finished


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them(tmp_path, stop):
    file, config = tmp_path / "marks", tmp_path / "marked.toml"
    config.write_text(f'study = "marked"\nsize = 3\npause = 10.0\nmarks = "{file}"\n')
    (tmp_path / "out").mkdir()
    driver = start_driver(config, tmp_path / "out", "2", stderr=subprocess.DEVNULL)
    wait_until(lambda: len(marks(file)) == 1, driver)
    begin = time.monotonic()
    driver.send_signal(stop)
    assert driver.wait(timeout=60) != 0
    (worker, _) = marks(file)[0]
    wait_until(lambda: not alive(worker))
    assert time.monotonic() - begin < 9


def test_workers_of_a_cluster_here_leave_ctrl_c_to_the_driver(tmp_path):
    file, config = tmp_path / "marks", tmp_path / "marked.toml"
    config.write_text(f'study = "marked"\nsize = 3\npause = 1.0\nmarks = "{file}"\n')
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    driver = start_driver(config, tmp_path / "out", "dask", **options)
    wait_until(lambda: marks(file), driver)
    served = listens(8787)
    # As a terminal does: to every process.
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "nanny.py" not in err
    wait_until(lambda: not alive(marks(file)[0][0]))
    # Nor do they serve a page, where nothing else listens there.
    assert served == listens(8787)


def test_simulation_in_processes_gives_the_same_bits(two_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "_UNIT_BYTES", 1)
    keys = {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 12, "n_test": 5}
    table = {"n_particles": 300, "n_replicas": 3, "loss_points": 4}
    content_of = {"study": "simulate", "data": keys, "run": {"n_steps": 20}, "simulate": table}
    config = parse(simulate.SimulateConfig, content_of)
    results = []
    for name, executor in (("one", LocalExecutor()), ("two", two_workers)):
        run_study(simulate.STUDY, config, tmp_path / name, executor=executor)
        results.append(content(tmp_path / name))
        assert len(list((tmp_path / name / "work").glob("*.npz"))) == 3
    assert results[0] == results[1]
    # Figures are drawn by the workers, too.
    one, two = (
        {
            path.name: sha256(path.read_bytes()).digest()
            for path in (tmp_path / name).glob("*.p[nd]*")
        }
        for name in ("one", "two")
    )
    assert len(one) > 1
    assert one == two


def test_cores_of_those_that_have_nothing_to_do_go_to_the_others(two_workers, tmp_path):
    arguments = {"folder": str(tmp_path), "together": 2}
    both = [Call(Unit(key, marked_study.threads, arguments, key), {}, None) for key in "ab"]
    alone = Unit("c", marked_study.threads, arguments | {"together": 1}, "c")
    for calls, expected in ((both, threads_each(2)), ([Call(alone, {}, None)], cores())):
        done = [found for _, found in two_workers.run(at_once(calls), lambda call, share: None)]
        assert [int(found.arrays["threads"]) for found in done] == [expected] * len(calls)


def test_longest_chain_goes_first():
    """Of x (1) before y (9), and z (5), x is begun first, though z is the longer one."""
    weights, needs = {"z": 5.0, "x": 1.0, "y": 9.0}, {"y": {"x": "x"}}
    units = [Unit(key, dict, {}, key, needs.get(key, {}), weights[key]) for key in weights]
    urgency = _urgency(Plan(units, lambda results: None, data="none"))
    assert urgency == {"z": 5.0, "x": 10.0, "y": 9.0}
    begun = []

    def submit(call, asked):
        begun.append(call.unit.key)
        future = Future()
        future.set_result(Done({}, 0.0))
        return future

    calls = [Call(unit, {}, None, urgency[unit.key]) for unit in units]
    answers = iter([calls[:2], calls[2:]])
    executor = PoolExecutor(submit, {}, room=lambda: 1)
    list(executor.run(lambda: next(answers, []), lambda call, share: None))
    assert begun == ["x", "y", "z"]


def test_processes_share_the_cores_that_a_quota_leaves(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr("loky.backend.context._cpu_count_cgroup", lambda cores: 6)
    assert [threads_each(workers) for workers in (1, 2, 4, 7)] == [6, 3, 1, 1]


def at_once(calls):
    """All calls are ready when asked first, and none later."""
    answers = iter([calls])
    return lambda: next(answers, [])


def test_losses_are_said_in_words_and_what_was_left_is_cancelled():
    calls = [Call(Unit(key, dict, {}, key), {}, None) for key in "abc"]
    futures = {}
    executor = PoolExecutor(
        lambda call, asked: futures[call.unit.key], {CancelledError: "lost", OSError: "full"}
    )
    for error, said in ((CancelledError(), "lost"), (BlockingIOError(), "full")):
        futures |= {key: Future() for key in "abc"}
        futures["b"].set_result(Done({}, 2.0))
        running = executor.run(at_once(calls), lambda call, share: None)
        assert next(running) == (calls[1], Done({}, 2.0))
        futures["a"].set_exception(error)
        with pytest.raises(WorkerError, match=said):
            next(running)
        assert futures["c"].cancelled()


@pytest.mark.parametrize("name", list(software()))
def test_worker_with_other_software_refuses(name):
    call = Call(Unit("u", lambda: {}, {}, "u"), {}, None)
    assert work(call, software()).arrays == {}
    with pytest.raises(ConfigError, match=rf"under {name} 0\.0\.0; install the same versions"):
        work(call, software() | {name: "0.0.0"})


def test_software_of_every_worker_is_looked_at(cluster, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "meanfield.workbench.executors.dask.compare",
        lambda worker, found, asked: seen.update({worker: found == asked == software()}),
    )
    run(tmp_path / "out", get_executor("dask", scheduler=cluster.address))
    assert seen
    assert all(seen.values())


def test_lost_scheduler_is_said_in_words(cluster, tmp_path):
    """The last test that has a cluster."""
    config = tmp_path / "marked.toml"
    config.write_text(f'study = "marked"\npause = 0.2\nmarks = "{tmp_path / "marks"}"\n')
    options = {"stderr": subprocess.PIPE, "text": True}
    driver = start_driver(config, tmp_path / "out", cluster.address, **options)
    wait_until(lambda: len(marks(tmp_path / "marks")) >= 3, driver)
    cluster.processes.reverse()  # the scheduler first
    cluster.stop()
    _, err = driver.communicate(timeout=60)
    assert err.rstrip().endswith(
        "WorkerError: The connection to the scheduler was lost; start it, then run again with "
        "--resume."
    )


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_bits_depend_neither_on_workers_nor_on_threads(two_workers):
    """Eigenvalues of OpenBLAS depend on its threads, as the first assertion shows."""
    matrix = np.random.default_rng(0).standard_normal((512, 512))
    call = Call(Unit("u", eigenvalues, {"matrix": matrix}, "u"), {}, None)
    with threadpool_limits(2):
        free = eigenvalues(matrix)["values"]
        fixed = call().arrays["values"]
        assert free.tobytes() != fixed.tobytes() or not _openblas()
    with threadpool_limits(1):
        assert call().arrays["values"].tobytes() == fixed.tobytes()
    ((_, done),) = two_workers.run(at_once([call]), lambda call, share: None)
    assert done.arrays["values"].tobytes() == fixed.tobytes()


def _openblas():
    return any(pool["internal_api"] == "openblas" for pool in threadpool_info())


def eigenvalues(matrix):
    return {"values": np.linalg.eigvalsh(matrix @ matrix.T)}


def test_widths_give_the_same_bits_for_any_workers_and_threads(two_workers, tmp_path):
    study = get_study("widths")
    table = {"source": "digits", "classes": [0, 1], "standardize": "none", "n_samples": 14}
    network = {"activations": ["tanh"], "parametrizations": ["mup"], "widths": [256]}
    limit = {"n_samples": 256, "n_replicas": 2, "max_rank": 128}
    content_of = {
        "study": "widths",
        "data": table,
        "network": network | {"n_seeds": 2, "n_steps": 2},
        "limit": limit,
    }
    config, found = parse(study.config, content_of), []
    here = LocalExecutor()
    for name, executor, threads in (("a", here, 2), ("b", two_workers, 2), ("c", here, 1)):
        out = tmp_path / name
        with threadpool_limits(threads):
            run_study(study, config, out, executor=executor, drawn=False)
        found.append((out / "result.nc").read_bytes())
    assert found[0] == found[1] == found[2]


def test_worker_without_the_folder_keeps_no_progress(tmp_path):
    def function(checkpoint):
        return {"path": np.array(checkpoint or "none")}

    unit = Unit("u", function, {}, "u")
    there, missing = str(tmp_path / "u.running"), str(tmp_path / "missing" / "u.running")
    assert work(Call(unit, {}, there), software()).arrays["path"] == there
    assert work(Call(unit, {}, missing), software()).arrays["path"] == "none"


def test_divergence_survives_pickling():
    error = DivergenceError("message", step=1, replica=2, stable_step_size=None)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == "message"
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("worth", "large", "here"),
    [
        (1e-9, 2**26, ["a"]),  # the first tells how long the others take
        (1e9, 2**26, ["a", "b", "c", "d"]),
        (1e-9, 1, ["a", "b", "c", "d"]),
    ],
)
def test_processes_start_where_several_small_units_wait_that_take_long(
    monkeypatch, worth, large, here
):
    monkeypatch.setattr(as_needed, "_WORTH", worth)
    monkeypatch.setattr(as_needed, "_LARGE", large)
    units = [Unit(key, _one, {}, key) for key in "abcd"]
    batches = [[Call(unit, {}, None) for unit in part] for part in (units[:1], units[1:])]
    moved, local = [], LocalExecutor()

    class Elsewhere(LocalExecutor):
        def run(self, ready, advance):
            for call, done in super().run(ready, advance):
                moved.append(call.unit.key)
                yield call, done

    executor = as_needed.AsNeeded(Elsewhere)
    found = executor.run(lambda: batches.pop(0) if batches else [], lambda call, share: None)
    keys = [call.unit.key for call, done in found if done.arrays["one"] == 1]
    assert sorted(keys) == list("abcd")
    assert moved == [key for key in keys if key not in here]
    assert executor.spread(len, ["ab"]) == local.spread(len, ["ab"])


def _one():
    return {"one": np.ones(1)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "dsk"}, "Did you mean 'dask'"),
        ({"scheduler": "tcp://x:1"}, "goes with --executor dask"),
        ({"name": "dask", "scheduler": "tcp://x:1", "workers": 2}, "brings its own workers"),
        ({"workers": 0}, "--workers must be at least 1"),
    ],
)
def test_wrong_options_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        get_executor(**arguments)


def test_missing_scheduler_is_named(monkeypatch):
    monkeypatch.setattr("meanfield.workbench.executors.dask._SECONDS_TO_CONNECT", 1)
    with (
        pytest.raises(ConfigError, match=r"No Dask scheduler answers at .*dask scheduler"),
        get_executor("dask", scheduler="tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize("address", ["no address", "localhost", "http://head:8787", "tcp://x:y"])
def test_what_is_no_address_reaches_no_client(address, monkeypatch):
    # A client that fails to start waits for itself, and complains when it is collected.
    monkeypatch.setattr("meanfield.workbench.executors.dask.Client", None)
    with (
        pytest.raises(ConfigError, match=r"is not an address .*tcp://HOST:8786"),
        get_executor("dask", scheduler=address),
    ):
        pass


def test_arrays_of_a_unit_are_its_own():
    frozen = np.arange(3.0)
    frozen.flags.writeable = False

    def function(x, y):
        x[0] = y["z"][0] = 5.0
        return {"x": x}

    call = Call(Unit("u", function, {"x": frozen}, "u", {"y": "v"}), {"y": {"z": frozen}}, None)
    assert call().arrays["x"][0] == 5
    assert frozen[0] == 0


def test_only_a_unit_that_asks_gets_its_progress_and_its_file():
    seen = []

    def function(x, progress, checkpoint):
        progress(x, 4)
        return {"path": np.array(checkpoint)}

    done = Call(Unit("u", function, {"x": 3}, "u"), {}, "u.running")(
        lambda *shares: seen.append(shares)
    )
    assert done.arrays["path"] == "u.running"
    assert seen == [(3, 4)]
    assert Call(Unit("u", lambda x: {"x": np.array(x)}, {"x": 3}, "u"), {}, None)().arrays["x"] == 3

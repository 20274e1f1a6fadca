"""The threads of BLAS are the same everywhere while results are made, and the user's otherwise."""

import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import meanfield as mf
from meanfield.errors import ConfigError
from meanfield.system import threads


def blas():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blocks_set_one_number_and_give_back_what_was():
    with threads.fixed_blas():  # loads the libraries
        pass
    with threadpool_limits(2):
        with threads.fixed_blas():
            assert blas() == {1}
            with threads.fixed_blas():
                assert blas() == {1}
            assert blas() == {1}
        assert blas() == {2}
        with pytest.raises(ZeroDivisionError), threads.fixed_blas():
            raise ZeroDivisionError
        assert blas() == {2}


def test_blocks_of_several_threads_share_the_number():
    entered, leave = threading.Event(), threading.Event()

    def other():
        with threads.fixed_blas():
            entered.set()
            leave.wait(10)

    with threadpool_limits(2):
        thread = threading.Thread(target=other)
        with threads.fixed_blas():
            thread.start()
            assert entered.wait(10)
        assert blas() == {1}
        leave.set()
        thread.join()
        assert blas() == {2}


@pytest.mark.parametrize(
    "function",
    [
        mf.simulate,
        mf.chaos_rates,
        mf.mean_field,
        mf.stationary,
        mf.extract_dictionary,
        mf.decompose_error,
        mf.learning_cell,
        mf.canonical,
        mf.deep.train,
        mf.deep.infinite_width,
        mf.deep.width_convergence,
    ],
)
def test_calls_of_the_library_have_it_too(monkeypatch, function):
    entered = []
    monkeypatch.setattr(threads, "_controller", lambda: entered.append(True) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        function()
    assert entered


def test_an_unusable_number_of_cores_is_named(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "many")
    with pytest.raises(ConfigError, match=r"LOKY_MAX_CPU_COUNT is 'many'; set it to a whole"):
        threads.cores()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert threads.cores() == 1

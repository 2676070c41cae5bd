"""Ctrl-C and SIGTERM, raised only where nothing is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from search.signals import Signals

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Every signal is received as before, when a test is done."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def signals() -> Signals:
    """The signals of a process that listens."""
    made = Signals()
    made.listen()
    return made


@contextmanager
def interrupted() -> Iterator[None]:
    """Expect that the block ends with KeyboardInterrupt."""
    with pytest.raises(KeyboardInterrupt):
        yield


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_is_raised_at_once_outside_of_blocks(
    signals: Signals, number: signal.Signals
) -> None:
    with interrupted():
        signal.raise_signal(number)
    signals.check()  # nothing is remembered


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_is_raised_when_a_held_block_is_done(
    signals: Signals, number: signal.Signals
) -> None:
    steps = []
    with interrupted(), signals.held():
        signal.raise_signal(number)
        steps.append("after the signal")
    assert steps == ["after the signal"]
    signals.check()


def test_second_signal_is_raised_at_once(signals: Signals) -> None:
    steps = []
    with interrupted(), signals.held():
        signal.raise_signal(signal.SIGTERM)
        steps.append("after the first")
        signal.raise_signal(signal.SIGINT)
        steps.append("after the second")
    assert steps == ["after the first"]


def test_held_block_without_a_signal_raises_nothing(signals: Signals) -> None:
    with signals.held():
        signals.check()
    signals.check()


def test_inner_held_block_ends_without_raising(signals: Signals) -> None:
    steps = []
    with interrupted(), signals.held():
        with signals.held():
            signal.raise_signal(signal.SIGINT)
        steps.append("after the inner block")
    assert steps == ["after the inner block"]


def test_check_raises_a_remembered_signal(signals: Signals) -> None:
    steps = []
    with interrupted(), signals.held():
        signal.raise_signal(signal.SIGINT)
        steps.append("before the check")
        signals.check()
        steps.append("after the check")
    assert steps == ["before the check"]


def test_signal_is_let_through_where_that_is_safe(signals: Signals) -> None:
    steps = []
    with interrupted(), signals.held():
        with signals.let_through():
            signal.raise_signal(signal.SIGTERM)
            steps.append("after the signal")
        steps.append("after the block")
    assert steps == []


def test_remembered_signal_is_raised_where_signals_are_let_through(signals: Signals) -> None:
    steps = []
    with interrupted(), signals.held():
        signal.raise_signal(signal.SIGINT)
        with signals.let_through():
            steps.append("in the block")
    assert steps == []


def test_signal_is_held_again_after_it_was_let_through(signals: Signals) -> None:
    """The clean-up after an interruption is not interrupted by the same signal again."""
    steps = []
    with interrupted(), signals.held():
        try:
            with signals.let_through():
                signal.raise_signal(signal.SIGINT)
        finally:
            steps.append("cleaned up")
    assert steps == ["cleaned up"]
    signals.check()


def test_error_in_a_held_block_goes_first(signals: Signals) -> None:
    def fail() -> None:
        with signals.held():
            signal.raise_signal(signal.SIGINT)
            reason = "broken"
            raise ValueError(reason)

    with pytest.raises(ValueError, match="broken"):
        fail()
    signals.check()  # nothing of it is left for the next block
    with signals.held():
        signals.check()


def test_thread_holds_nothing(signals: Signals) -> None:
    """Python delivers signals to the main thread alone."""
    handlers = []

    def look() -> None:
        with signals.held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize("number", NUMBERS)
def test_signals_are_passed_on_and_raised_at_the_end(
    signals: Signals, number: signal.Signals
) -> None:
    steps: list[str] = []
    with interrupted(), signals.passed_on(lambda: steps.append("told")):
        for _ in range(2):
            signal.raise_signal(number)
        steps.append("done")
    assert steps == ["told", "told", "done"]


def test_nothing_is_raised_without_a_signal_to_pass_on(signals: Signals) -> None:
    steps: list[str] = []
    with signals.passed_on(lambda: steps.append("told")):
        steps.append("done")
    assert steps == ["done"]


@pytest.mark.parametrize("number", NUMBERS)
def test_handlers_are_put_back(signals: Signals, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with signals.held():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before

    with signals.passed_on(lambda: None):
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before

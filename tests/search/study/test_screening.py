"""The screen: its scores are stored as it goes, and hint at the best subsets."""

import signal
from collections.abc import Iterable

import numpy as np
import pytest
from sqlalchemy import Engine

from evaluators import ScreenOptions
from search.space import LayerSpace
from search.study import screening
from search.study.screening import run_screen, screen_hints, table_hint, unfinished_screens
from storage.screens import ScreenedSubset, read_screened, record_screened
from storage.studies import StudyRecord
from tests.support.screens import SPACES, TOTAL, SumScreener
from tests.support.stores import begin

OPTIONS = ScreenOptions()
SUPERNET = ScreenOptions(weights="supernet")


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3 of ten layers."""
    return begin(engine, {2: 99, 3: 99}, layers=10, period=None)


def untrained(engine: Engine, study: StudyRecord) -> list[ScreenedSubset]:
    """Return the stored scores with untrained weights."""
    return read_screened(engine, study.id)["untrained"]


# the walk


def test_an_interrupted_screen_goes_on_where_it_stopped(engine: Engine, study: StudyRecord) -> None:
    first = SumScreener(breaks_after=20)
    with pytest.raises(KeyboardInterrupt):
        run_screen(engine, study.id, SPACES, first, OPTIONS)
    assert len(untrained(engine, study)) == 20

    second = SumScreener()
    assert run_screen(engine, study.id, SPACES, second, OPTIONS) == TOTAL - 20
    assert not set(first.scored) & set(second.scored)
    assert len(untrained(engine, study)) == TOTAL

    # nothing is left, with these weights
    assert run_screen(engine, study.id, SPACES, SumScreener(0), OPTIONS) == 0
    assert run_screen(engine, study.id, SPACES, SumScreener(), SUPERNET) == TOTAL
    assert set(read_screened(engine, study.id, 2)) == {"supernet", "untrained"}


def test_scores_are_stored_as_they_were_given(engine: Engine, study: StudyRecord) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        told.append((phase, done, total))

    run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS, progress=progress)
    assert {one.subset: (one.ndcg, one.agreement) for one in untrained(engine, study)} == {
        subset: (sum(subset) / 100, 1 - sum(subset) / 100) for space in SPACES for subset in space
    }
    assert told == [("screen", done, TOTAL) for done in range(1, TOTAL + 1)]


def test_a_wider_space_keeps_the_scores_of_a_narrow_one(engine: Engine, study: StudyRecord) -> None:
    """Subsets that are screened, but not of these spaces, are not counted."""
    narrow = (LayerSpace(10, 2, None, "free", forbidden={9}),)
    assert run_screen(engine, study.id, SPACES[1:], SumScreener(), OPTIONS) == SPACES[1].count
    assert run_screen(engine, study.id, narrow, SumScreener(), OPTIONS) == narrow[0].count == 8
    assert run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS) == 1
    assert len(untrained(engine, study)) == TOTAL


def test_some_depths_are_screened_and_the_rest_later(engine: Engine, study: StudyRecord) -> None:
    told: list[tuple[str, int, int]] = []
    screener = SumScreener()
    scored = run_screen(
        engine,
        study.id,
        SPACES,
        screener,
        OPTIONS,
        depths=[3],
        progress=lambda *at: told.append(at),
    )
    assert scored == SPACES[1].count
    assert set(screener.scored) == set(SPACES[1])
    assert told[-1] == ("screen", scored, scored)
    assert unfinished_screens(engine, study.id, SPACES) == []  # the other has not begun

    assert run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS) == SPACES[0].count


def test_a_screen_cut_short_covers_all_of_the_space(engine: Engine, study: StudyRecord) -> None:
    space = LayerSpace(10, 4, None, "free", keep_first=False)
    with pytest.raises(KeyboardInterrupt):
        run_screen(engine, study.id, [space], SumScreener(64), OPTIONS)
    firsts = {one.subset[0] for one in untrained(engine, study)}
    assert len(firsts) >= 3  # and not those that begin with layer 0 alone
    (line,) = unfinished_screens(engine, study.id, [space])
    assert "screened a random sample of 64 of 210 subsets" in line


def test_only_members_of_the_space_of_today_are_counted(engine: Engine, study: StudyRecord) -> None:
    run_screen(engine, study.id, SPACES[:1], SumScreener(), OPTIONS)
    narrow = LayerSpace(10, 2, None, "free", forbidden={1})
    assert unfinished_screens(engine, study.id, [narrow]) == []
    wide = LayerSpace(10, 2, None, "free", keep_first=False)
    (line,) = unfinished_screens(engine, study.id, [wide])
    assert "screened a random sample of 9 of 45 subsets" in line


def test_scores_are_written_every_few_seconds(
    engine: Engine, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a power cut costs no more; the rest is written at the end."""
    clock = iter(range(10_000))  # a second passes with every look at the clock
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    sizes = []

    def noted(
        engine: Engine, study_id: int, weights: str, screened: Iterable[ScreenedSubset]
    ) -> None:
        scores = list(screened)
        sizes.append(len(scores))
        record_screened(engine, study_id, weights, scores)

    monkeypatch.setattr(screening, "record_screened", noted)
    run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS)
    assert sum(sizes) == TOTAL
    assert len(sizes) > 5
    assert set(sizes[:-1]) <= {5, 6}


def test_a_signal_waits_until_scores_are_written(
    engine: Engine, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the store is written ends the screen after that, with nothing lost."""
    monkeypatch.setattr(screening, "_FLUSH_SECONDS", 0.0)
    written: list[str] = []

    def interrupted(
        engine: Engine, study_id: int, weights: str, screened: Iterable[ScreenedSubset]
    ) -> None:
        if len(written) == 3:
            signal.raise_signal(signal.SIGINT)
        record_screened(engine, study_id, weights, screened)
        written.append(weights)

    monkeypatch.setattr(screening, "record_screened", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS)
    assert len(untrained(engine, study)) == 4


def test_unfinished_screens_are_named(engine: Engine, study: StudyRecord) -> None:
    assert unfinished_screens(engine, study.id, SPACES) == []
    with pytest.raises(KeyboardInterrupt):
        run_screen(engine, study.id, SPACES, SumScreener(20), OPTIONS)
    run_screen(engine, study.id, SPACES[:1], SumScreener(), SUPERNET)

    lines = unfinished_screens(engine, study.id, SPACES)
    stored = read_screened(engine, study.id)["untrained"]
    known = [sum(one.depth == space.depth for one in stored) for space in SPACES]
    assert sum(known) == 20
    assert lines == [
        f"depth {space.depth}, weights untrained: screened a random sample of {number} of "
        f"{space.count} subsets; `layer-search screen` goes on"
        for space, number in zip(SPACES, known, strict=True)
        if number < space.count
    ]
    assert unfinished_screens(engine, study.id, []) == []
    run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS)
    assert unfinished_screens(engine, study.id, SPACES) == []


# hints


def test_hints_are_on_one_scale_and_know_the_screened_subsets(
    engine: Engine, study: StudyRecord
) -> None:
    assert screen_hints(engine, study.id, 2) == []
    run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS)
    ndcg, agreement = screen_hints(engine, study.id, 2)
    every = list(SPACES[0])
    assert ndcg(every).mean() == pytest.approx(0, abs=1e-9)
    assert ndcg(every).std() == pytest.approx(1)
    np.testing.assert_allclose(ndcg(every), -agreement(every), atol=1e-9)
    assert np.isnan(ndcg([(3, 4)]))


def test_a_screen_that_never_varies_is_no_hint(engine: Engine, study: StudyRecord) -> None:
    run_screen(engine, study.id, SPACES, SumScreener(), OPTIONS)
    flat = [ScreenedSubset((0, 1, 2), 0.5, 0.5), ScreenedSubset((0, 1, 3), 0.5, 0.5)]
    record_screened(engine, study.id, "flat", flat)
    assert len(screen_hints(engine, study.id, 3)) == 2  # of the other weights


def test_a_table_hints_at_its_subsets() -> None:
    guess = table_hint({(0, 1): 0.25, (0, 2): 0.75})
    np.testing.assert_allclose(guess([(0, 2), (0, 1), (0, 2)]), [1, -1, 1])
    assert np.isnan(guess([(0, 3)])).all()
    assert guess([]).shape == (0,)

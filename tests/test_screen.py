"""The screen: its scores are stored as it goes, and guide the search."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

import evaluators
from evaluators import ScreenOptions, ScreenScore
from search import screening
from search.screening import recall_of_best, spearman_correlation
from search.space import LayerSpace
from search.subsets import Subset, key
from storage import results, screens, setup, studies
from storage.claims import claim
from storage.results import Result
from storage.screens import Screened
from storage.studies import StudyRecord

if TYPE_CHECKING:
    import subprocess

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


# what is stored


@pytest.fixture
def study(engine: Engine) -> StudyRecord:
    """A study of depths 2 and 3 of ten layers."""
    return studies.begin(
        engine, name="s", file={"study": {"name": "s"}}, folder="/", recipe_hash="h", base="toy",
        layers=10, period=None, fingerprints={}, versions={}, budgets={2: 99, 3: 99},
    )  # fmt: skip


SPACES = tuple(LayerSpace(10, depth, None, "free") for depth in (2, 3))


class Fake:
    """A screener that scores by arithmetic, and may break."""

    def __init__(self, breaks_after: int = 1000) -> None:
        self.breaks_after = breaks_after
        self.scored: list[Subset] = []

    def screen(
        self,
        tree: evaluators.SubsetTree,
        options: ScreenOptions,  # noqa: ARG002
        progress: evaluators.Progress = evaluators.silent,  # noqa: ARG002
    ) -> Iterator[ScreenScore]:
        """Scores of the whole tree."""

        def below(prefix: Subset) -> Iterator[Subset]:
            for layer in tree.children(prefix):
                yield (*prefix, layer)
                yield from below((*prefix, layer))

        for subset in filter(tree.wanted, below(())):
            if len(self.scored) == self.breaks_after:
                raise KeyboardInterrupt
            self.scored.append(subset)
            yield ScreenScore(subset, sum(subset) / 100, 1 - sum(subset) / 100)


def test_an_interrupted_screen_goes_on_where_it_stopped(engine: Engine, study: StudyRecord) -> None:
    first, options = Fake(breaks_after=20), ScreenOptions()
    with pytest.raises(KeyboardInterrupt):
        screening.screen(engine, study.id, SPACES, first, options)
    assert len(screens.scores(engine, study.id)["untrained"]) == 20
    second = Fake()
    total = sum(space.count for space in SPACES)
    assert screening.screen(engine, study.id, SPACES, second, options) == total - 20
    assert not set(first.scored) & set(second.scored)
    assert len(screens.scores(engine, study.id)["untrained"]) == total
    assert screening.screen(engine, study.id, SPACES, Fake(0), options) == 0
    assert screening.screen(
        engine, study.id, SPACES, Fake(), options.model_copy(update={"weights": "supernet"})
    ) == total  # fmt: skip
    assert set(screens.scores(engine, study.id, 2)) == {"supernet", "untrained"}


def test_a_signal_waits_until_scores_are_written(
    engine: Engine, study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the store is written ends the screen after that, with nothing lost."""
    monkeypatch.setattr(screening, "_FLUSH_SECONDS", 0.0)
    record, written = screens.record, []

    def interrupted(*arguments: Any) -> None:  # noqa: ANN401
        if len(written) == 3:
            signal.raise_signal(signal.SIGINT)
        record(*arguments)
        written.append(arguments)

    monkeypatch.setattr(screens, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        screening.screen(engine, study.id, SPACES, Fake(), ScreenOptions())
    assert len(screens.scores(engine, study.id)["untrained"]) == 4


def finish(engine: Engine, study: StudyRecord, subset: Subset, mean: float) -> None:
    """A complete trial."""
    held = claim(
        engine, study.id, len(subset), subset=key(subset), seed=0, origin="gp", owner="w"
    )  # fmt: skip
    assert results.finish(engine, held, Result(mean))


def test_hints_are_on_one_scale_and_know_what_was_screened(
    engine: Engine, study: StudyRecord
) -> None:
    assert screening.hints(engine, study.id, 2) == []
    screening.screen(engine, study.id, SPACES, Fake(), ScreenOptions())
    ndcg, agreement = screening.hints(engine, study.id, 2)
    every = list(SPACES[0])
    assert ndcg(every).mean() == pytest.approx(0, abs=1e-9)
    assert ndcg(every).std() == pytest.approx(1)
    np.testing.assert_allclose(ndcg(every), -agreement(every), atol=1e-9)
    assert np.isnan(ndcg([(3, 4)]))
    flat = [Screened("0_1_2", 3, 0.5, 0.5), Screened("0_1_3", 3, 0.5, 0.5)]
    screens.record(engine, study.id, "flat", flat)
    assert len(screening.hints(engine, study.id, 3)) == 2  # what never varies says nothing


def test_fits_say_how_well_a_screen_predicts(engine: Engine, study: StudyRecord) -> None:
    screening.screen(engine, study.id, SPACES, Fake(), ScreenOptions())
    assert screening.fits(engine, study.id, [2, 3]) == []
    for subset in list(SPACES[1])[:30]:
        finish(engine, study, subset, 0.3 + sum(subset) / 1000)
    fits = screening.fits(engine, study.id, [2, 3])
    ndcg, agreement = fits
    assert (ndcg.depth, ndcg.weights, ndcg.measure, ndcg.subsets) == (3, "untrained", "ndcg", 30)
    assert ndcg.spearman == pytest.approx(1)
    assert agreement.spearman == pytest.approx(-1)
    assert ndcg.recall > 0.8 > agreement.recall
    for fit in fits:
        assert fit.spearman_low <= fit.spearman <= fit.spearman_high
        assert fit.recall_low <= fit.recall <= fit.recall_high
    screens.record_fits(engine, study.id, [2, 3], fits)
    screens.record_fits(engine, study.id, [2], [])  # of another depth: these stay
    screens.record_fits(engine, study.id, [3], fits)  # in the place of the first
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT study, spearman FROM screen_fits")).all()
        seen = connection.execute(text("SELECT count(mean), count(*) FROM screens")).one()
    assert len(rows) == 2
    assert rows[0].study == "s"
    assert tuple(seen) == (30, sum(space.count for space in SPACES))
    studies.forget(engine, "s")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM search_screens")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM search_screen_fits")).scalar() == 0


def test_correlation_and_recall_by_hand() -> None:
    trials = np.arange(20.0)
    assert spearman_correlation(trials**3, trials) == pytest.approx(1)
    assert spearman_correlation(np.zeros(20), trials) == 0
    assert recall_of_best(trials, trials) == 1
    assert recall_of_best(-trials, trials) == 0
    assert recall_of_best(np.roll(trials, 5), trials) == 0.5
    assert recall_of_best(-trials[:8], trials[:8]) == 0  # of eight, the best four


# the command

STUDY = """
[study]
name = "screened"
depths = [2]
trials = 4
[space]
cadence = "free"
forbidden = [4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20]
[sampler]
name = "gp"
startup = 2
[base]
model = "base"
query_length = 32
document_length = 48
[evaluator]
name = "retrieval"
steps = 0
[evaluator.test]
data = "test"
[screen]
queries = 4
documents = 12
"""


def test_the_command_screens_shows_and_guides(toy: Path, tmp_path: Path, cli: Cli) -> None:
    for name in ("base", "test"):
        (tmp_path / name).symlink_to(toy / name)
    path, store = tmp_path / "study.toml", f"sqlite:///{tmp_path}/store.db"
    path.write_text(STUDY, encoding="utf-8")
    done = cli("screen", path, "--store", store, "--json")
    assert done.returncode == 0, done.stderr
    forbidden = frozenset({4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20})
    space = LayerSpace(22, 2, 3, "free", forbidden=forbidden)
    assert f"subsets screened now: {space.count}" in done.stderr
    said = json.loads(done.stdout)
    assert {row["subset"] for row in said["scores"]} == {key(subset) for subset in space}
    assert said["subsets"] == {"2": space.count}
    again = cli("screen", path, "--store", store)  # also shows what there is
    assert "subsets screened now: 0" in again.stderr
    assert "weights untrained" in again.stdout
    assert "`layer-search screen` goes on" not in again.stdout
    launched = cli("launch", path, "--store", store)
    assert launched.returncode == 0, launched.stderr
    assert "`layer-search screen` goes on" not in launched.stderr
    assert "Answer of screened" in launched.stdout
    best = max(said["scores"], key=lambda row: row["ndcg"] + row["agreement"])["subset"]
    engine = setup.open_store(store)
    tried = {row.subset for row in screens.scores(engine, 1)["untrained"]}
    with engine.connect() as connection:
        trials = connection.execute(text("SELECT subset FROM search_trials ORDER BY id"))
        begun = [row.subset for row in trials]
    engine.dispose()
    assert set(begun) <= tried
    assert len(begun) == 4
    top = sorted(said["scores"], key=lambda row: -row["ndcg"])[:3]
    assert best == begun[0] or begun[0] in {row["subset"] for row in top}
    answer = cli("answer", "screened", "--store", store, "--json")
    (row,) = json.loads(answer.stdout)
    assert row["depth"] == 2
    assert row["subset"] in begun
    assert row["trials"] == 1
    engine = setup.open_store(store)
    with engine.begin() as connection:  # as if the walk had been cut short
        connection.execute(
            text("DELETE FROM search_screens WHERE subset = :last"), {"last": key(list(space)[-1])}
        )
    engine.dispose()
    missing = f"weights untrained: screened {space.count - 1} of {space.count} subsets"
    assert missing in cli("screen", path, "--store", store, "--show").stdout
    assert missing in cli("launch", path, "--store", store).stderr
    mended = cli("screen", path, "--store", store)
    assert "subsets screened now: 1" in mended.stderr
    assert missing not in mended.stdout


def test_a_table_cannot_be_screened(card_study: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("screen", card_study, "--store", f"sqlite:///{tmp_path}/store.db")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: the evaluator 'table' has no weights to screen with"
    assert not (tmp_path / "store.db").exists()


def test_asking_before_there_is_an_answer(card_study: Path, cli: Cli, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    assert cli("launch", card_study, "--depth", "22", "--store", store).returncode == 0
    done = cli("answer", "card", "--store", store, "--json")
    (row,) = json.loads(done.stdout)  # the other depths have none yet
    assert (row["depth"], row["deviation"], row["measured"]) == (22, None, row["mean"])
    done = cli("answer", "card", "--depth", "4", "--store", store)
    assert done.returncode == 0
    assert "no answer yet" in done.stdout
    wrong = cli("answer", "card", "--depth", "5", "--store", store)
    assert wrong.returncode == 2
    assert "has no depth 5: it has 4, 7, 13, 22" in wrong.stderr

"""The screen: what a walk says of a subset is what cutting it says, and it guides the search."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sqlalchemy import Engine, text

import evaluators
from evaluators import ScreenOptions, ScreenScore, TrialFailure
from evaluators.retrieval import Options
from evaluators.retrieval import screen as walks
from evaluators.retrieval.data import Collection
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.stack import SharedStack
from search import screening
from search.prefixtree import PrefixTree
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
ALL = ScreenOptions(queries=10_000, documents=100_000)
KEYS = {
    "steps": 3, "batch_size": 16, "test": {"data": "test"},
    "train": {"data": "train.jsonl", "negatives": ["negative"]},
}  # fmt: skip


def build(folder: Path, base: str = "base", precision: str = "fp32") -> RetrievalEvaluator:
    """The evaluator over the toy world."""
    record = evaluators.BaseOptions(
        model=base,
        query_length=32,
        document_length=48,
        precision=precision,  # type: ignore[arg-type]
    )
    made = evaluators.load("retrieval").create(
        Options.model_validate_json(json.dumps(KEYS)), evaluators.Context(record, folder, "cpu")
    )
    assert isinstance(made, RetrievalEvaluator)
    return made


@pytest.fixture(scope="module")
def toy_evaluator(toy: Path) -> RetrievalEvaluator:
    return build(toy)


def tree_of(*members: Subset) -> PrefixTree:
    """A tree of these members only, by forbidding nothing and having done the rest."""
    spaces = tuple(
        LayerSpace(22, depth, 3, "free", keep_first=False)
        for depth in sorted({len(subset) for subset in members})
    )
    done = frozenset(subset for space in spaces for subset in space) - set(members)
    return PrefixTree(spaces, done)


# the walk


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_walk_scores_as_cutting_does(toy: Path, precision: str) -> None:
    """Also where a layer leaves its rhythm, and where layer 0 and its missing norm are cut off."""
    evaluator = build(toy, precision=precision)
    members = [(0, 1, 2), (0, 1, 18), (0, 3, 7), (1, 2, 3), (17, 20, 21), (5, 9), (0, 21)]
    found = {score.subset: score for score in evaluator.screen(tree_of(*members), ALL)}
    assert set(found) == set(members)
    untrained = replace(evaluator, pairs=None)
    for subset in members:
        expected = untrained.evaluate(subset, 0).mean
        assert found[subset].ndcg == pytest.approx(
            expected, abs=1e-6 if precision == "fp32" else 0.02
        )


def test_bert_is_walked_too(minilm: Path, toy: Path) -> None:
    evaluator = build(toy, str(minilm))
    part = walks.sample(evaluator.collections, ScreenOptions(queries=4, documents=12))
    evaluator = replace(evaluator, collections=tuple(part))
    spaces = (LayerSpace(6, 2, None, "free", keep_first=False),)
    found = {score.subset: score for score in evaluator.screen(PrefixTree(spaces), ALL)}
    assert set(found) == set(spaces[0])
    expected = replace(evaluator, pairs=None).evaluate((2, 4), 0).mean
    assert found[2, 4].ndcg == pytest.approx(expected, abs=1e-6)


def test_each_edge_costs_one_layer(
    toy_evaluator: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no layer is run but those, once the whole base has been."""
    runs: list[tuple[int, int]] = []
    run = SharedStack.run

    def counted(self: SharedStack, position: int, source: int, *a: object, **o: object) -> object:
        runs.append((position, source))
        return run(self, position, source, *a, **o)

    monkeypatch.setattr(SharedStack, "run", counted)
    spaces = tuple(
        LayerSpace(22, depth, 3, "free", forbidden=frozenset(range(4, 20))) for depth in (2, 3, 4)
    )
    tree = PrefixTree(spaces)
    options = ScreenOptions(queries=2, documents=4, batch_size=10_000)
    assert len(list(toy_evaluator.screen(tree, options))) == tree.count
    batches = 2 * len(toy_evaluator.collections)  # queries and documents of each task
    assert len(runs) == batches * (22 + tree.edges)


def test_the_whole_base_agrees_with_itself(toy_evaluator: RetrievalEvaluator) -> None:
    whole = PrefixTree((LayerSpace(22, 22),))
    (score,) = toy_evaluator.screen(whole, ScreenOptions(queries=5, documents=20))
    assert score.agreement == pytest.approx(1.0, abs=1e-5)
    (part,) = toy_evaluator.screen(tree_of((0, 21)), ScreenOptions(queries=5, documents=20))
    assert part.agreement < 0.999


def test_the_sample_holds_what_answers_its_queries(toy_evaluator: RetrievalEvaluator) -> None:
    options = ScreenOptions(queries=3, documents=12)
    parts = walks.sample(toy_evaluator.collections, options)
    assert walks.sample(toy_evaluator.collections, options) == parts
    for part, whole in zip(parts, toy_evaluator.collections, strict=True):
        assert len(part.queries) == 3
        assert len(part.corpus) >= 12 or part.corpus == whole.corpus
        assert list(part.corpus) == sorted(part.corpus)
        for query, answers in part.relevant.items():
            assert query in part.queries
            assert answers & set(whole.corpus) <= set(part.corpus)


def test_embeddings_that_are_not_numbers_end_the_walk(toy: Path) -> None:
    evaluator = build(toy)
    for tensor in evaluator.encoder.weights.values():
        tensor.fill_(float("nan"))
    with pytest.raises(TrialFailure, match="not numbers"):
        list(evaluator.screen(tree_of((0, 1)), ScreenOptions(queries=2, documents=4)))


def test_a_task_without_answers_is_refused(toy_evaluator: RetrievalEvaluator) -> None:
    empty = replace(toy_evaluator.collections[0], relevant={})
    with pytest.raises(TrialFailure, match="is empty: it has no query with a relevant document"):
        walks.sample([empty], ScreenOptions())


def test_a_single_document_says_nothing_of_agreement(toy_evaluator: RetrievalEvaluator) -> None:
    """And is no reason to stop."""
    whole = toy_evaluator.collections[0]
    query = next(iter(whole.relevant))
    answers = set(sorted(whole.relevant[query])[:1])
    one = Collection(
        "one",
        {query: whole.queries[query]},
        {d: whole.corpus[d] for d in answers},
        {query: answers},
    )
    evaluator = replace(toy_evaluator, collections=(one,))
    (score,) = evaluator.screen(tree_of((0, 1)), ScreenOptions())
    assert (score.ndcg, score.agreement) == (1, 0)


# the supernet


def test_the_supernet_draws_subsets_and_trains_their_layers(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = build(toy)
    drawn: list[Subset] = []
    of = SharedStack.of

    def noted(self: SharedStack, subset: Subset) -> object:
        drawn.append(subset)
        return of(self, subset)

    monkeypatch.setattr(SharedStack, "of", noted)
    spaces = (LayerSpace(22, 2, 3, "strict"), LayerSpace(22, 3, 3, "strict"))
    tree = PrefixTree(spaces)
    options = ScreenOptions(weights="supernet", steps=4, queries=3, documents=8, learning_rate=1e-3)
    before = {name: weight.clone() for name, weight in evaluator.encoder.weights.items()}
    supernet = list(evaluator.screen(tree, options))
    steps = drawn[:4]
    assert all(any(subset in space for space in spaces) for subset in steps)
    assert len(set(steps)) > 1
    same = torch.equal
    assert all(same(before[name], w) for name, w in evaluator.encoder.weights.items())
    plain = list(evaluator.screen(tree, options.model_copy(update={"weights": "untrained"})))
    assert [score.subset for score in plain] == [score.subset for score in supernet]
    assert fmean(s.ndcg for s in plain) != fmean(s.ndcg for s in supernet)
    again = list(evaluator.screen(tree, options))
    assert again == supernet  # the same seed draws and trains the same


def test_a_supernet_without_training_data_is_refused(toy_evaluator: RetrievalEvaluator) -> None:
    untrained = replace(toy_evaluator, pairs=None)
    with pytest.raises(evaluators.InputError, match=r'screen\.weights = "supernet" needs'):
        next(untrained.screen(tree_of((0, 1)), ScreenOptions(weights="supernet")))


def test_weights_without_a_place_are_dropped_and_gradients_flow(toy: Path) -> None:
    """Layer 5 at position 0 loses its norm; its other weights learn."""
    evaluator = build(toy)
    model, _ = evaluator.build(tuple(range(22)))
    stack = SharedStack.within(model, evaluator.encoder.stack)
    stack.step = stack.of((5, 6))
    features = model.preprocess(["a lamp"], task="query")
    model(features)["sentence_embedding"].sum().backward()
    layers = model[0].model.get_submodule(evaluator.encoder.stack)  # type: ignore[union-attr]
    touched = {
        source
        for source, layer in enumerate(layers)  # type: ignore[arg-type]
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    }
    assert touched == {5, 6}
    assert layers[5].attn_norm.weight.grad is None  # type: ignore[index]


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
        tree: evaluators.PrefixTree,
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

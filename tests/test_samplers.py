"""The samplers: one contract for all of them, found by name, and what each adds to it."""

import logging
import random
from collections import Counter
from collections.abc import Sequence

import optuna
import pytest
from optuna.trial import TrialState

from search import samplers
from search.errors import InputError, SpaceExhaustedError
from search.samplers import Observation, SubsetSampler
from search.samplers._base import State
from search.space import LayerSpace
from search.subsets import Subset

SPACE = LayerSpace(22, 7)
NAN = float("nan")


@pytest.fixture(params=samplers.names())
def name(request: pytest.FixtureRequest) -> str:
    """Each sampler there is, also those that are added later."""
    found: str = request.param
    return found


def make(name: str, space: LayerSpace = SPACE, seed: int = 1) -> SubsetSampler:
    """The sampler `name` over `space`."""
    return samplers.load(name)(space, seed=seed)


def value(subset: Subset) -> float:
    """An additive landscape with one best layer for each position."""
    return sum(1.0 / (1 + (7 * layer) % 11) for layer in subset)


def simulate(sampler: SubsetSampler, trials: int, workers: int = 1) -> list[Observation]:
    """The history of `trials` trials that `workers` workers ran side by side."""
    history: list[Observation] = []
    running: list[int] = []
    for number in range(trials):
        if len(running) == workers:
            done = running.pop(number % workers)
            subset = history[done].subset
            history[done] = Observation(subset, "complete", value(subset))
        history.append(Observation(sampler.next_subset(history), "running"))
        running.append(number)
    return history


def complete(subsets: Sequence[Subset]) -> list[Observation]:
    """A history in which all `subsets` have their value."""
    return [Observation(subset, "complete", value(subset)) for subset in subsets]


def drawn(space: LayerSpace, number: int, seed: int = 0) -> list[Subset]:
    """Members of `space`, all different."""
    return [space.unrank(rank) for rank in random.Random(seed).sample(range(space.count), k=number)]


def run_study(space: LayerSpace, sampler: SubsetSampler, trials: int) -> optuna.Study:
    """A plain Optuna study of `trials` trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: value(space.suggest(trial)), n_trials=trials)
    return study


# the contract of every sampler


@pytest.mark.parametrize("workers", [1, 16])
def test_proposals_are_members_and_never_repeat(name: str, workers: int) -> None:
    subsets = [trial.subset for trial in simulate(make(name), trials=48, workers=workers)]
    assert all(subset in SPACE for subset in subsets)
    assert len(set(subsets)) == 48


def test_nothing_repeats_until_a_space_is_used_up(name: str) -> None:
    space = LayerSpace(7, 3, None, "free")
    subsets = [trial.subset for trial in simulate(make(name, space), trials=15, workers=4)]
    assert sorted(subsets) == list(space)


def test_seed_and_history_decide(name: str) -> None:
    for length in (0, 5, 12, 30):
        history = complete(drawn(SPACE, length))
        random.seed(length)  # global chance has no part in it
        first = make(name).next_subset(history)
        again = make(name, LayerSpace(22, 7))
        again.next_subset(history[:3])  # nor have earlier proposals
        assert again.next_subset(history) == first


def test_propose_takes_all_its_chance_from_rng(name: str) -> None:
    history = complete(drawn(SPACE, 20))
    once = make(name, seed=1).propose(history, random.Random(5))
    assert make(name, seed=2).propose(history, random.Random(5)) == once


def test_seeds_differ(name: str) -> None:
    if name == "exhaustive":
        pytest.skip("leaves nothing to chance")
    histories = [complete(drawn(SPACE, length)) for length in (0, 5, 12, 30)]
    one, other = ([make(name, seed=seed).next_subset(h) for h in histories] for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12, 22, 48])
@pytest.mark.parametrize("cadence", ["strict", "free"])
def test_bases_of_any_size(name: str, layers: int, cadence: str) -> None:
    depth = (layers + 1) // 2
    space = LayerSpace(layers, depth, 3 if cadence == "strict" else None, cadence)
    trials = min(space.count, 14)
    subsets = [trial.subset for trial in simulate(make(name, space), trials)]
    assert all(subset in space for subset in subsets)
    assert len(set(subsets)) == trials


def test_pinned_and_forbidden_layers(name: str) -> None:
    space = LayerSpace(22, 7, 3, "anchored", keep_first=False, pinned={5, 18}, forbidden={0, 1, 21})
    for trial in simulate(make(name, space), trials=30, workers=3):
        assert {5, 18} <= set(trial.subset)
        assert not {0, 1, 21} & set(trial.subset)
        assert trial.subset in space


def test_space_of_one_subset(name: str) -> None:
    space = LayerSpace(5, 5)
    sampler = make(name, space)
    assert sampler.next_subset([]) == (0, 1, 2, 3, 4)
    with pytest.raises(SpaceExhaustedError, match=r"^all 1 subsets of the space have been tried$"):
        sampler.next_subset(complete([(0, 1, 2, 3, 4)]))


@pytest.mark.parametrize("state", ["complete", "running", "failed", "waiting"])
def test_exhausted_space(name: str, state: State) -> None:
    space = LayerSpace(7, 3, None, "free")
    score = 0.5 if state == "complete" else None
    history = [Observation(subset, state, score) for subset in space]
    sampler = make(name, space)
    message = "^all 15 subsets of the space have been tried$"
    with pytest.raises(SpaceExhaustedError, match=message):
        sampler.next_subset(history)
    with pytest.raises(SpaceExhaustedError, match=message):
        sampler.propose(history, random.Random(0))
    missing = history.pop(6).subset
    assert sampler.next_subset(history) == missing


def test_exhausted_space_ends_a_study(name: str) -> None:
    space = LayerSpace(6, 3, None, "free")
    study = run_study(space, make(name, space), trials=30)
    subsets = [space.decode_parameters(trial.params) for trial in study.trials]
    assert sorted(subsets[:10]) == list(space)
    assert len(subsets) <= 11  # the trial in which it turned out may be run once more
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)


def test_failed_trials_and_lost_scores(name: str) -> None:
    tried = drawn(SPACE, 40)
    history = complete(tried)
    history[::4] = [Observation(trial.subset, "failed") for trial in history[::4]]
    history[1::4] = [Observation(trial.subset, "complete", NAN) for trial in history[1::4]]
    history[2] = Observation(tried[2], "complete", float("-inf"))
    history[6] = Observation(tried[6], "complete", float("inf"))
    for _ in range(10):
        proposed = make(name).next_subset(history)
        assert proposed in SPACE
        assert proposed not in {trial.subset for trial in history}
        history.append(Observation(proposed, "failed"))


@pytest.mark.parametrize("score", [None, NAN, 0.0])
def test_histories_that_teach_nothing(name: str, score: float | None) -> None:
    state: State = "failed" if score is None else "complete"
    history = [Observation(subset, state, score) for subset in drawn(SPACE, 30)]
    proposed = make(name).next_subset(history)
    assert proposed in SPACE
    assert proposed not in {trial.subset for trial in history}


def test_trials_outside_the_space(name: str) -> None:
    """Hand-picked baselines may break the rules; the best one here does."""
    outside: list[Subset] = [
        (15, 16, 17, 18, 19, 20, 21),
        (0, 1, 2, 3, 6, 7, 8),
        (0, 1, 2, 3, 6, 8, 18),
        (0, 1, 2, 18),
        tuple(range(22)),
        (),
    ]
    history = [Observation(subset, "complete", 9.0) for subset in outside]
    history += complete(drawn(SPACE, 6))
    for _ in range(20):
        proposed = make(name).next_subset(history)
        assert proposed in SPACE
        assert proposed not in {trial.subset for trial in history}
        history.append(Observation(proposed, "complete", value(proposed)))


def test_repeated_trials_of_one_subset(name: str) -> None:
    """Several seeds of a subset are several trials."""
    few = drawn(SPACE, 5)
    history = [Observation(few[i % 5], "complete", value(few[i % 5]) + i / 100) for i in range(25)]
    proposed = make(name).next_subset(history)
    assert proposed in SPACE
    assert proposed not in few


def test_plain_optuna(name: str) -> None:
    found = []

    def objective(trial: optuna.Trial) -> float:
        found.append(SPACE.suggest(trial))
        return value(found[-1])

    study = optuna.create_study(direction="maximize", sampler=make(name))
    study.optimize(objective, n_trials=25)
    assert len(set(found)) == 25
    assert all(subset in SPACE for subset in found)
    assert [trial.params for trial in study.trials] == [SPACE.encode(subset) for subset in found]
    # the study proposed what the sampler proposes by itself
    assert [trial.subset for trial in simulate(make(name), trials=26)][:25] == found


def test_plain_optuna_with_trials_at_once(name: str) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(name))
    pending = []
    for _ in range(16):
        trial = study.ask()
        pending.append((trial, SPACE.suggest(trial)))
    assert len({subset for _, subset in pending}) == 16
    for trial, subset in pending:
        study.tell(trial, value(subset))
    assert SPACE.suggest(study.ask()) not in {subset for _, subset in pending}


def test_failing_objective(name: str) -> None:
    study = optuna.create_study(direction="maximize", sampler=make(name))

    def objective(trial: optuna.Trial) -> float:
        subset = SPACE.suggest(trial)
        if trial.number % 3 == 0:
            message = "no score"
            raise RuntimeError(message)
        return NAN if trial.number % 3 == 1 else value(subset)

    study.optimize(objective, n_trials=24, catch=RuntimeError)
    subsets = [SPACE.decode_parameters(trial.params) for trial in study.trials]
    assert len(set(subsets)) == 24
    states = Counter(trial.state for trial in study.trials)
    assert states == {TrialState.FAIL: 16, TrialState.COMPLETE: 8}


def test_foreign_parameters_are_sampled_too(name: str) -> None:
    rates = []

    def objective(trial: optuna.Trial) -> float:
        rates.append(trial.suggest_float("rate", 1e-5, 1e-3, log=True))
        return value(SPACE.suggest(trial)) + trial.suggest_categorical("pooling", [0.0, 1.0])

    study = optuna.create_study(direction="maximize", sampler=make(name))
    study.optimize(objective, n_trials=20)
    subsets = [SPACE.decode_parameters(trial.params) for trial in study.trials]
    assert all(subset in SPACE for subset in subsets)
    assert len(set(subsets)) == 20
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert len(set(rates)) > 10
    assert {trial.params["pooling"] for trial in study.trials} == {0.0, 1.0}


def test_resuming_goes_on_as_if_never_stopped(name: str) -> None:
    through = run_study(SPACE, make(name), trials=24)
    resumed = run_study(SPACE, make(name), trials=13)
    resumed.sampler = make(name, LayerSpace(22, 7))
    resumed.optimize(lambda trial: value(SPACE.suggest(trial)), n_trials=11)
    assert [trial.params for trial in resumed.trials] == [trial.params for trial in through.trials]


def test_other_trials_of_a_study_are_survived(name: str) -> None:
    """A study may hold trials of other parameters, and a baseline outside the space."""
    study = optuna.create_study(direction="maximize", sampler=make(name))
    zero_or_one = optuna.distributions.IntDistribution(0, 1)
    baseline = SPACE.encode((0, 1, 2, 3, 6, 7, 8))
    study.add_trial(
        optuna.create_trial(
            params=baseline, distributions=dict.fromkeys(baseline, zero_or_one), value=9.0
        )
    )
    study.add_trial(
        optuna.create_trial(params={"x": 1}, distributions={"x": zero_or_one}, value=9.0)
    )
    study.enqueue_trial(SPACE.encode((0, 1, 2, 3, 4, 5, 18)))
    study.optimize(lambda trial: value(SPACE.suggest(trial)), n_trials=15)
    subsets = [SPACE.decode_parameters(trial.params) for trial in study.trials[2:]]
    assert subsets[0] == (0, 1, 2, 3, 4, 5, 18)
    assert all(subset in SPACE for subset in subsets)
    assert len(set(subsets)) == 15


def test_a_study_records_what_was_tried_also_when_it_ends(name: str) -> None:
    """After a baseline outside the space, an exhausted space still records the subset it ran."""
    space = LayerSpace(4, 2, None, "free")
    study = optuna.create_study(direction="maximize", sampler=make(name, space))
    zero_or_one = optuna.distributions.IntDistribution(0, 1)
    baseline = space.encode((2, 3))
    study.add_trial(
        optuna.create_trial(
            params=baseline, distributions=dict.fromkeys(baseline, zero_or_one), value=9.0
        )
    )
    found = []

    def objective(trial: optuna.Trial) -> float:
        found.append(space.suggest(trial))
        return 0.0

    study.optimize(objective, n_trials=20)
    assert set(found) == set(space)
    assert len(found) <= 4
    assert [space.decode_parameters(trial.params) for trial in study.trials[1:]] == found


def test_proposing_says_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A sampler may use Optuna inside; its messages would come with every trial."""
    caplog.set_level(logging.INFO, logger="optuna")
    optuna.create_study()
    assert "new study" in caplog.text  # this is how it would be seen
    caplog.clear()
    make(name).next_subset(complete(drawn(SPACE, 20)))
    assert caplog.text == ""


def test_every_sampler_is_described(name: str) -> None:
    """Its options, with their defaults, are the keys of `[sampler]` in a study file."""
    found = samplers.load(name)
    assert issubclass(found, SubsetSampler)
    assert found.__doc__
    assert found.__doc__ != SubsetSampler.__doc__


# choosing one


def test_names() -> None:
    assert {"exhaustive", "gp", "swap", "tpe", "uniform"} <= set(samplers.names())
    assert samplers.names() == sorted(samplers.names())
    assert not any(name.startswith("_") for name in samplers.names())


@pytest.mark.parametrize("wrong", ["random", "", "_base", "Swap", "uniform.py", "../uniform"])
def test_unknown_sampler(wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        samplers.load(wrong)
    choices = ", ".join(samplers.names())
    assert str(caught.value) == f"unknown sampler {wrong!r}: choose one of {choices}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("swap", {"startup": -1}),
        ("swap", {"explore": -0.1}),
        ("swap", {"explore": 1.1}),
        ("swap", {"explore": NAN}),
        ("tpe", {"startup": -1}),
        ("gp", {"startup": 0}),
    ],
)
def test_bad_options(name: str, options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"^{name} takes .*\b{next(iter(options))} "):
        samplers.load(name)(SPACE, **options)


@pytest.mark.parametrize("name", ["uniform", "swap", "tpe"])
def test_unknown_options(name: str) -> None:
    with pytest.raises(TypeError, match="'warp'"):
        samplers.load(name)(SPACE, warp=1)


# uniform


def test_unseen_is_uniform_over_what_is_left() -> None:
    space = LayerSpace(6, 3, None, "free", keep_first=False)
    seen = [list(space)[i] for i in (0, 1, 7, 18, 19)]
    history = [Observation(subset, "running") for subset in seen]
    history.append(Observation((0, 1), "complete", 1.0))  # outside, so it takes no place
    history.append(history[2])  # a repeat takes none either
    left = [subset for subset in space if subset not in seen]
    rng = random.Random(3)
    counts = Counter(samplers.unseen(space, history, rng) for _ in range(15_000))
    assert set(counts) == set(left)
    statistic = sum((counts[subset] - 1000) ** 2 / 1000 for subset in left)
    assert statistic < 36.12  # the 99.9 % quantile for 14 degrees of freedom


def test_seeds_of_uniform_are_uniform() -> None:
    """Also over seeds, so that no subset is favoured as the first trial of a study."""
    space = LayerSpace(6, 3, None, "free", keep_first=False)
    counts = Counter(make("uniform", space, seed).next_subset([]) for seed in range(8000))
    statistic = sum((counts[subset] - 400) ** 2 / 400 for subset in space)
    assert statistic < 43.82  # the 99.9 % quantile for 19 degrees of freedom


def test_one_study_of_uniform_is_uniform() -> None:
    """Each proposal is a draw of its own, not the last one moved on."""
    ranks = [SPACE.rank(trial.subset) for trial in simulate(make("uniform"), trials=200)]
    counts = Counter(rank * 10 // SPACE.count for rank in ranks)
    statistic = sum((counts[tenth] - 20) ** 2 / 20 for tenth in range(10))
    assert statistic < 27.88  # the 99.9 % quantile for 9 degrees of freedom


# swap


def swap(**options: float) -> SubsetSampler:
    """The swap sampler with its startup done."""
    return samplers.load("swap")(SPACE, seed=1, **{"startup": 0, "explore": 0.0, **options})


def test_swap_proposes_a_neighbour_of_the_best() -> None:
    history = complete(drawn(SPACE, 30))
    best = max(history, key=lambda trial: trial.score).subset
    near = SPACE.neighbours(best)
    proposals = {
        samplers.load("swap")(SPACE, seed=seed, explore=0.0).next_subset(history)
        for seed in range(40)
    }
    assert proposals <= set(near)
    assert len(proposals) > 10


def test_swap_turns_to_the_next_best_when_all_neighbours_are_tried() -> None:
    best, second = (0, 1, 2, 3, 4, 5, 18), (0, 13, 14, 15, 16, 17, 21)
    history = [Observation(best, "complete", 3.0), Observation(second, "complete", 2.0)]
    history += [Observation(near, "failed") for near in SPACE.neighbours(best)]
    assert swap().next_subset(history) in SPACE.neighbours(second)


def test_swap_judges_a_subset_by_the_mean_of_its_seeds() -> None:
    lucky, steady = (0, 1, 2, 3, 4, 5, 18), (0, 13, 14, 15, 16, 17, 21)
    scores = [(lucky, 0.9), (lucky, 0.1), (steady, 0.6), (steady, 0.6)]
    history = [Observation(subset, "complete", score) for subset, score in scores]
    assert swap().next_subset(history) in SPACE.neighbours(steady)


@pytest.mark.parametrize("lost", [NAN, float("inf"), None])
@pytest.mark.parametrize("last", [True, False])
def test_swap_does_not_climb_from_a_lost_score(lost: float | None, *, last: bool) -> None:
    best, broken = (0, 1, 2, 3, 4, 5, 18), (0, 13, 14, 15, 16, 17, 21)
    history = [Observation(best, "complete", 0.6)]
    history.insert(int(last), Observation(broken, "failed" if lost is None else "complete", lost))
    assert swap().next_subset(history) in SPACE.neighbours(best)


def test_swap_climbs_from_a_baseline_outside_the_space() -> None:
    baseline = (0, 1, 2, 3, 6, 8, 18)
    assert baseline not in SPACE
    near = SPACE.neighbours(baseline)
    assert near
    history = [*complete(drawn(SPACE, 5)), Observation(baseline, "complete", 9.0)]
    assert swap().next_subset(history) in near


def test_swap_starts_uniformly() -> None:
    """Before `startup` trials, and always with `explore = 1`, it draws what `uniform` draws."""
    history = complete(drawn(SPACE, 7))
    expected = make("uniform").next_subset(history)
    assert make("swap").next_subset(history) == expected
    near = {near for trial in history for near in SPACE.neighbours(trial.subset)}
    exploring = [
        samplers.load("swap")(SPACE, seed=seed, startup=0, explore=1.0).next_subset(history)
        for seed in range(20)
    ]
    assert any(subset not in near for subset in exploring)


def test_swap_beats_uniform_on_an_easy_landscape() -> None:
    def best(name: str, seed: int) -> float:
        history = simulate(make(name, seed=seed), trials=50)
        return max(trial.score for trial in history if trial.score is not None)

    means = {name: sum(best(name, seed) for seed in range(20)) / 20 for name in ("swap", "uniform")}
    top = max(value(subset) for subset in SPACE)
    regrets = {name: top - mean for name, mean in means.items()}
    assert 0 <= regrets["swap"] < regrets["uniform"] / 2


# tpe


def test_tpe_learns_from_scores() -> None:
    """Good trials hold layer 20 and bad ones hold layer 1: its proposals follow."""
    tried = drawn(SPACE, 120)
    history = [
        Observation(subset, "complete", (20 in subset) - float(1 in subset)) for subset in tried
    ]
    proposals = [make("tpe", seed=seed).next_subset(history) for seed in range(12)]
    late = sum(20 in subset for subset in proposals)
    early = sum(1 in subset for subset in proposals)
    assert late >= 9
    assert early <= 3
    assert len(set(proposals)) > 1  # the seed still matters


def test_tpe_can_model_layers_together() -> None:
    history = complete(drawn(SPACE, 20))
    together = samplers.load("tpe")(SPACE, seed=1, multivariate=True)
    assert together.next_subset(history) in SPACE
    assert [
        samplers.load("tpe")(SPACE, seed=seed, multivariate=True).next_subset(history)
        for seed in range(4)
    ] != [make("tpe", seed=seed).next_subset(history) for seed in range(4)]


def test_tpe_starts_uniformly() -> None:
    history = complete(drawn(SPACE, 9))
    assert make("tpe").next_subset(history) == make("uniform").next_subset(history)

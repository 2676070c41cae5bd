"""The evaluator `retrieval`: equal to the library's own, deterministic, failing with a reason."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator
from sentence_transformers.util import cos_sim
from transformers import AutoModel, AutoTokenizer

import evaluators
from evaluators.retrieval import Options, base, data, export
from evaluators.retrieval import evaluator as module
from evaluators.retrieval.evaluator import RetrievalEvaluator
from evaluators.retrieval.scoring import Prompts, ndcg, score

SUBSET = (0, 2, 5)
TRIPLETS = {"data": "train.jsonl", "negatives": ["negative"]}


def build(folder: Path, base: str | Path = "base", **options: object) -> RetrievalEvaluator:
    """The evaluator over `folder`, with quick defaults."""
    lengths = {"query_length": 32, "document_length": 48}
    precision = options.pop("precision", "fp32")
    record = evaluators.BaseOptions(model=str(base), precision=precision, **lengths)
    keys = {"steps": 0, "batch_size": 16, "train": TRIPLETS, "test": {"data": "test"}} | options
    made = evaluators.load("retrieval").create(
        Options.model_validate_json(json.dumps(keys)), evaluators.Context(record, folder, "cpu")
    )
    assert isinstance(made, RetrievalEvaluator)
    return made


@pytest.fixture(scope="session")
def untrained(toy: Path) -> RetrievalEvaluator:
    return build(toy)


@pytest.fixture(scope="session")
def trained(toy: Path) -> RetrievalEvaluator:
    return build(toy, steps=12, learning_rate=2e-3)


def in_fp32(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cosine similarity, never in bfloat16: there the best documents of a query tie."""
    with torch.autocast("cpu", enabled=False):
        return cos_sim(left.float(), right.float())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_equal_the_librarys_on_real_data(
    precision: str, minilm: Path, mini_data: Path
) -> None:
    tasks = None if precision == "fp32" else ["NanoMSMARCO", "NanoArguAna"]
    evaluator = build(
        mini_data.parent,
        minilm,
        precision=precision,
        test={"data": "nanobeir-mini", "tasks": tasks or []},
    )
    outcome = evaluator.evaluate((0, 5), 0)
    model, _ = evaluator.build((0, 5))
    reference = NanoBEIREvaluator(
        [task.removeprefix("Nano").lower() for task in outcome.tasks],
        dataset_id=str(mini_data),
        batch_size=64,
        write_csv=False,
        score_functions={"cosine": in_fp32},
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        expected = reference(model)
    assert len(outcome.tasks) == (13 if precision == "fp32" else 2)
    assert outcome.mean == pytest.approx(expected[reference.primary_metric], abs=1e-6)
    for task, found in outcome.tasks.items():
        names = [name for name in expected if name.lower().startswith(f"{task}_".lower())]
        (key,) = [name for name in names if name.endswith("cosine_ndcg@10")]
        assert found.score == pytest.approx(expected[key], abs=1e-6), task
        assert found.score == pytest.approx(sum(found.queries.values()) / len(found.queries))


def test_prompts_reach_queries_and_documents(untrained: RetrievalEvaluator, toy: Path) -> None:
    prompted = build(toy, query_prompt="again", document_prompt="the day")
    model, _ = prompted.build(SUBSET)
    collection = prompted.collections[0]
    by_hand = replace(
        collection,
        queries={name: "again" + text for name, text in collection.queries.items()},
        corpus={name: "the day" + text for name, text in collection.corpus.items()},
    )
    expected = score(model, by_hand, Prompts(), 64)
    found = prompted.evaluate(SUBSET, 0).tasks[collection.task]
    assert found == expected
    assert found != untrained.evaluate(SUBSET, 0).tasks[collection.task]


def test_without_steps_the_cut_model_is_scored_as_it_is(untrained: RetrievalEvaluator) -> None:
    model, _ = untrained.build(SUBSET)
    outcome = untrained.evaluate(SUBSET, 0)
    for collection in untrained.collections:
        assert outcome.tasks[collection.task] == score(model, collection, Prompts(), 64)
    assert outcome == replace(untrained.evaluate(SUBSET, 1), seconds=outcome.seconds)


def test_the_same_seed_gives_the_same_scores(trained: RetrievalEvaluator) -> None:
    first, other, again = (trained.evaluate(SUBSET, seed) for seed in (0, 1, 0))
    assert first.tasks == again.tasks
    assert first.tasks != other.tasks


def test_training_lifts_the_score_and_leaves_the_base_alone(
    trained: RetrievalEvaluator, untrained: RetrievalEvaluator
) -> None:
    before = trained.encoder.fingerprint()
    lifted = trained.evaluate(SUBSET, 0).mean
    assert lifted > untrained.evaluate(SUBSET, 0).mean + 0.02
    assert trained.encoder.fingerprint() == before


def test_an_outcome_says_how_it_came_about(trained: RetrievalEvaluator) -> None:
    stages: list[tuple[str, int, int]] = []
    outcome = trained.evaluate((3, 4, 5), 0, lambda *stage: stages.append(stage))
    assert outcome.notes == ("layer 3 comes first and loses attn_norm.weight",)
    assert all(outcome.seconds[stage] > 0 for stage in ("cut", "train", "evaluate"))
    assert outcome.device == "cpu"
    assert outcome.versions["torch"] == torch.__version__
    assert [stage for stage in stages if stage[0] == "train"] == [
        ("train", step, 12) for step in range(1, 13)
    ]
    assert stages[-1] == ("evaluate", 3, 3)


def test_data_and_base_are_read_once(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "read again"
        raise AssertionError(message)

    monkeypatch.setattr(data, "load_dataset", refuse)
    monkeypatch.setattr(base, "Transformer", refuse)
    assert trained.evaluate((0, 1), 0).mean > 0


def test_both_losses_compute_the_same_gradients(toy: Path) -> None:
    losses = ("multiple-negatives-ranking", "cached-multiple-negatives-ranking")
    found = []
    for loss in losses:
        evaluator = build(toy, steps=3, loss=loss, micro_batch=5, learning_rate=1e-4)
        model, _ = evaluator.build(SUBSET)
        model, _ = evaluator._train(SUBSET, model, 0, evaluators.silent)
        found.append(torch.cat([weight.flatten() for weight in model.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_a_loss_that_is_not_a_number_fails_the_trial(toy: Path) -> None:
    evaluator = build(toy, steps=10, learning_rate=1e30)
    with pytest.raises(evaluators.TrialFailure, match=r"not a number|not numbers"):
        evaluator.evaluate(SUBSET, 0)


class Scarce:
    """Runs out of memory whenever a batch is larger than it can hold."""

    def __init__(self, real: Callable[..., object], limit: int, *, argument: str | int) -> None:
        self.real, self.limit, self.argument = real, limit, argument
        self.seen: list[int | None] = []

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Do the real thing if its batch is small enough."""
        asked = kwargs[self.argument] if isinstance(self.argument, str) else args[self.argument]
        assert asked is None or isinstance(asked, int)
        self.seen.append(asked)
        if asked is None or asked > self.limit:
            message = "CUDA out of memory. Tried to allocate 9 GiB"
            raise torch.OutOfMemoryError(message)
        return self.real(*args, **kwargs)


def test_training_out_of_memory_tries_smaller_micro_batches(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce = Scarce(module.finetune, 4, argument="micro_batch")
    monkeypatch.setattr(module, "finetune", scarce)
    outcome = trained.evaluate(SUBSET, 0)
    assert scarce.seen == [None, 8, 4]
    assert outcome.notes == ("out of memory: trained in micro-batches of 4",)


def test_scoring_out_of_memory_tries_smaller_batches(
    untrained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = untrained.evaluate(SUBSET, 0)
    scarce = Scarce(module.score, 16, argument=3)
    monkeypatch.setattr(module, "score", scarce)
    found = untrained.evaluate(SUBSET, 0)
    assert scarce.seen == [64, 32, 16] * 3
    assert found.mean == pytest.approx(expected.mean, abs=1e-6)


@pytest.mark.parametrize(("function", "argument"), [("finetune", "micro_batch"), ("score", 3)])
def test_out_of_memory_to_the_end_fails_the_trial(
    function: str,
    argument: str | int,
    trained: RetrievalEvaluator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, function, Scarce(getattr(module, function), 0, argument=argument))
    with pytest.raises(evaluators.TrialFailure, match=r"^out of memory: CUDA out of memory"):
        trained.evaluate(SUBSET, 0)


def test_other_errors_are_not_taken_for_a_failed_trial(
    trained: RetrievalEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "device-side assert"
        raise RuntimeError(message)

    monkeypatch.setattr(module, "finetune", broken)
    with pytest.raises(RuntimeError, match="device-side assert"):
        trained.evaluate(SUBSET, 0)


@pytest.mark.parametrize(
    ("empty", "missing"),
    [("relevant", "query with a relevant document"), ("corpus", "document")],
)
def test_an_empty_task_fails_the_trial(
    empty: str, missing: str, untrained: RetrievalEvaluator
) -> None:
    task = replace(untrained.collections[1], **{empty: {}})
    broken = replace(untrained, collections=(untrained.collections[0], task))
    with pytest.raises(evaluators.TrialFailure, match=f"task ToyPeople is empty: .* no {missing}"):
        broken.evaluate(SUBSET, 0)


@pytest.mark.parametrize(
    ("hits", "relevant", "expected"),
    [
        ([True], 1, 1.0),
        ([False, True], 1, 0.6309297535714575),
        ([True, False, True], 2, 1.5 / 1.6309297535714575),
        ([False] * 10, 3, 0.0),
        ([True] * 10, 40, 1.0),
    ],
)
def test_ndcg_of_rankings_worked_out_by_hand(
    hits: list[bool], relevant: int, expected: float
) -> None:
    assert ndcg(hits, relevant) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1, "train": {"data": "./nowhere.jsonl"}}, "evaluator.train.data: no such file"),
        ({"steps": 1, "train": {"data": "train.jsonl", "anchor": "query"}}, "no column 'query'"),
        (
            {"steps": 1, "train": {"data": "train.jsonl", "split": "test"}},
            "evaluator.train: cannot load train.jsonl, split 'test'",
        ),
        ({"steps": 1, "batch_size": 9999}, "too few for one batch"),
        ({"steps": 1, "train": {"data": "train.jsonl", "positive": "anchor"}}, "different columns"),
        ({"test": {"data": "base"}}, r"not in NanoBEIR layout .*one split per task\): "),
        ({"test": {"data": "near/tset"}}, r"\(there is no such folder, so the hub was asked\): "),
        (
            {"test": {"data": "test", "tasks": ["NanoX"]}},
            "evaluator.test.tasks: test has no 'NanoX': it has ToyThings",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(
    options: dict[str, object], message: str, toy: Path
) -> None:
    with pytest.raises(evaluators.InputError, match=message):
        build(toy, **options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"anchor": "a", "positive": ""}\n', "non-empty text"),
        ('{"anchor": "a", "positive": null}\n', "non-empty text"),
    ],
)
def test_training_rows_without_text_are_refused(
    rows: str, message: str, toy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(rows + '{"anchor": "b", "positive": "c"}\n' * 40, encoding="utf-8")
    with pytest.raises(evaluators.InputError, match=message):
        build(toy, steps=1, train={"data": str(path)})


def test_a_base_that_is_not_there_is_refused(toy: Path) -> None:
    with pytest.raises(evaluators.InputError, match=r"base\.model: no such file or folder"):
        build(toy, "./nowhere")
    with pytest.raises(evaluators.InputError, match="no such folder, so the hub was asked"):
        build(toy, "near/bse")


CODE = "from pathlib import Path\nPath({marker!r}).touch()\n"


def with_code(toy: Path, folder: Path, **config: object) -> tuple[Path, Path]:
    """A copy of the base with code of its own, and the marker that this code would leave."""
    base, marker = folder / "base", folder / "marker"
    shutil.copytree(toy / "base", base)
    (base / "stranger.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    path = base / "config.json"
    names = {name: f"stranger.{name}" for name in ("AutoConfig", "AutoModel")}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": names} | config))
    path = base / "tokenizer_config.json"
    names = {"AutoTokenizer": ["stranger.Slow", "stranger.Fast"]}  # type: ignore[dict-item]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": names}))
    return base, marker


def test_code_of_a_base_is_neither_run_nor_exported(
    toy: Path, untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    base, marker = with_code(toy, tmp_path)
    evaluator = build(toy, base)
    assert evaluator.evaluate(SUBSET, 0).mean == untrained.evaluate(SUBSET, 0).mean
    folder = evaluator.export(SUBSET, tmp_path / "export", "# A card\n")
    assert not any("auto_map" in path.read_text() for path in folder.rglob("*.json"))
    assert not any(folder.rglob("*.py"))
    assert not marker.exists()


def test_a_base_that_is_nothing_without_its_code_is_refused(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or "y")
    base, marker = with_code(toy, tmp_path, model_type="strange")
    with pytest.raises(
        evaluators.InputError, match=r"base\.model \S+ needs Python code of its own"
    ):
        build(toy, base)
    assert not marker.exists()


@pytest.mark.parametrize("named", [{}, {"transformers_weights": "adapter_model.bin"}])
def test_weights_that_are_a_pickle_are_refused(
    named: dict[str, str], toy: Path, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
            return Path.touch, (tmp_path / "marker",)

    base = tmp_path / "base"
    shutil.copytree(toy / "base", base)
    (base / "model.safetensors").unlink()
    path = base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        torch.save({"weight": Bomb()}, base / name)
    with pytest.raises(evaluators.InputError) as refused:
        build(toy, base)
    assert re.fullmatch(
        r"base\.model \S+ has no model\.safetensors: weights must be safetensors, .*"
        r"save it again with save_pretrained",
        str(refused.value),
    )
    assert not (tmp_path / "marker").exists()


def test_a_base_cannot_ask_for_a_kernel_from_the_hub(
    toy: Path, untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    for key in ("attn_implementation", "_attn_implementation"):
        base = tmp_path / key
        shutil.copytree(toy / "base", base)
        path = base / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: "stranger/kernel"}))
        config = build(toy, base).encoder.config
        assert config._attn_implementation == untrained.encoder.config._attn_implementation


def test_a_data_set_with_a_script_is_refused(toy: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    shutil.copytree(toy / "test", tmp_path / "data")
    (tmp_path / "data" / "data.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    with pytest.raises(evaluators.InputError, match="scripts are no longer supported"):
        build(toy, test={"data": str(tmp_path / "data")})
    assert not marker.exists()


def test_a_device_that_is_not_there_is_refused(toy: Path) -> None:
    context = evaluators.Context(evaluators.BaseOptions(model="base"), toy, "cuda:7")
    with pytest.raises(evaluators.InputError, match="no device 'cuda:7'"):
        evaluators.load("retrieval").create(Options(steps=0), context)


def test_fingerprints_follow_the_data(untrained: RetrievalEvaluator, toy: Path) -> None:
    few = build(toy, test={"data": "test", "tasks": ["ToyPlaces"]})
    one, other = untrained.description.fingerprints, few.description.fingerprints
    assert one["base"] == other["base"]
    assert one["test"] != other["test"]


def test_an_export_loads_with_stock_libraries_and_scores_the_same(
    untrained: RetrievalEvaluator, tmp_path: Path
) -> None:
    subset = (0, 4, 8, 18)
    folder = untrained.export(subset, tmp_path / "models" / "base-L4H64-pruned", "# A card\n")
    assert (folder / "README.md").read_text() == "# A card\n"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    model = SentenceTransformer(str(folder), device="cpu")
    recorded = untrained.evaluate(subset, 0)
    for collection in untrained.collections:
        assert score(model, collection, Prompts(), 64) == recorded.tasks[collection.task]
    assert AutoModel.from_pretrained(folder).config.num_hidden_layers == 4
    assert AutoTokenizer.from_pretrained(folder)("red boat")["input_ids"][0] == 2
    config = json.loads((folder / "config.json").read_text())
    assert config["global_attn_every_n_layers"] == 3
    assert (config["global_rope_theta"], config["local_rope_theta"]) == (160000.0, 10000.0)
    assert config["layer_types"] == ["full_attention", *["sliding_attention"] * 2, "full_attention"]
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode"] == "mean"


def test_an_older_reader_sees_the_same_model(untrained: RetrievalEvaluator, tmp_path: Path) -> None:
    """Readers before `layer_types` and `rope_parameters` know only the positional fields."""
    folder = untrained.export((0, 1, 2, 18), tmp_path / "model", "# A card\n")
    newer = AutoModel.from_pretrained(folder).eval()
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in ("layer_types", "rope_parameters"):
        del config[name]
    path.write_text(json.dumps(config))
    older = AutoModel.from_pretrained(folder).eval()
    ids = torch.randint(5, 200, (2, 48), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(newer(ids).last_hidden_state, older(ids).last_hidden_state)


def test_an_export_never_overwrites(untrained: RetrievalEvaluator, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(evaluators.InputError, match="exists already"):
        untrained.export((0, 1), tmp_path / "model", "")


def test_an_export_that_reloads_differently_leaves_nothing(
    untrained: RetrievalEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export._extend_config

    def spoil(path: Path, period: int | None) -> None:
        real(path, period)
        config = json.loads(path.read_text())
        config["layer_types"] = ["full_attention"] * 3
        path.write_text(json.dumps(config))

    monkeypatch.setattr(export, "_extend_config", spoil)
    with pytest.raises(evaluators.EvaluatorError, match="reloads other embeddings"):
        untrained.export((0, 1, 2), tmp_path / "model", "")
    assert list(tmp_path.iterdir()) == []


def test_the_real_winner_scores_its_untrained_number_in_the_librarys_evaluator(
    minilm: Path, mini_data: Path, tmp_path: Path
) -> None:
    tasks = ["NanoMSMARCO", "NanoFiQA2018", "NanoTouche2020"]
    evaluator = build(mini_data.parent, minilm, test={"data": "nanobeir-mini", "tasks": tasks})
    recorded = evaluator.evaluate((0, 1, 5), 0)
    folder = evaluator.export((0, 1, 5), tmp_path / "minilm-L3H384-pruned", "# A card\n")
    reference = NanoBEIREvaluator(
        ["msmarco", "fiqa2018", "touche2020"], dataset_id=str(mini_data), write_csv=False
    )
    found = reference(SentenceTransformer(str(folder), device="cpu"))
    assert found[reference.primary_metric] == pytest.approx(recorded.mean, abs=1e-6)

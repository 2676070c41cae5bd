"""A study file as the store keeps it is the same study file."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from search.space import cadences, format_subset
from search.space.families import FAMILIES
from search.study.file import parse_study_file
from storage.values.text import STUDY_NAME


def shares() -> st.SearchStrategy[float]:
    """Draw numbers from 0 to below 1."""
    return st.floats(0, 1, exclude_max=True)


COUNTS = st.integers(1, 10**6)
PHASES = st.sampled_from(["first", "last"])
LAYERS = st.integers(1, 512)
LETTERS = st.characters(exclude_categories=("Cc", "Cs"))
TEXTS = st.text(LETTERS, min_size=1, max_size=9)
WEIGHTS = st.floats(0, 1e9, exclude_min=True)
NAMES = st.from_regex(STUDY_NAME, fullmatch=True)
REVISIONS = st.from_regex(r"[A-Za-z0-9]([./_-]?[A-Za-z0-9]){0,9}", fullmatch=True)
SET = {
    "revision": REVISIONS,
    "tasks": st.lists(TEXTS, max_size=3),
    "batch_size": COUNTS,
    "name": NAMES,
}
TESTS = st.fixed_dictionaries({}, optional={"data": TEXTS, "weight": WEIGHTS, **SET})
HELDOUT = st.fixed_dictionaries({"data": TEXTS}, optional=SET)


def name_of(table: dict[str, Any]) -> object:
    """Return what two sets of one section must not have in common."""
    return table.get("name", id(table))


OPTIONS = {
    "sampler": st.one_of(
        st.fixed_dictionaries({"name": st.just("uniform")}),
        st.fixed_dictionaries(
            {"name": st.just("swap")},
            optional={"startup": st.integers(0, 99), "explore": st.floats(0, 1)},
        ),
        st.fixed_dictionaries(
            {"name": st.just("tpe")},
            optional={"startup": st.integers(0, 99), "multivariate": st.booleans()},
        ),
    ),
    "space": st.fixed_dictionaries(
        {},
        optional={
            "cadence": st.sampled_from(cadences.names()),
            "period": LAYERS,
            "phase": PHASES,
            "keep_first": st.booleans(),
            "pinned": st.lists(st.integers(0, 99), max_size=3),
            "forbidden": st.lists(st.integers(0, 99), max_size=3),
        },
    ),
    "base": st.fixed_dictionaries(
        {"model": TEXTS},
        optional={
            "revision": REVISIONS,
            "pooling": st.sampled_from(["mean", "cls", "max", "lasttoken"]),
            "dense": st.booleans(),
            "normalize": st.booleans(),
            "similarity": st.sampled_from(["cosine", "dot", "euclidean", "manhattan"]),
            "query_prompt": st.text(LETTERS, max_size=9),
            "document_prompt": st.text(LETTERS, max_size=9),
            "query_length": st.integers(2, 9000),
            "document_length": st.integers(2, 9000),
            "rhythm": st.booleans(),
            "precision": st.sampled_from(["fp32", "bf16"]),
        },
    ),
    "evaluator": st.one_of(
        st.fixed_dictionaries(
            {"name": st.just("table"), "path": TEXTS, "layers": LAYERS},
            optional={
                "period": LAYERS,
                "phase": PHASES,
                "noise": st.floats(0, 1e6),
            },
        ),
        st.fixed_dictionaries(
            {"name": st.just("retrieval")},
            optional={
                "train": st.fixed_dictionaries(
                    {"data": TEXTS},
                    optional={
                        "config": TEXTS,
                        "split": TEXTS,
                        "revision": REVISIONS,
                        "anchor": TEXTS,
                        "positive": TEXTS,
                        "negatives": st.lists(TEXTS, max_size=3) | TEXTS,
                    },
                ),
                "test": TESTS | st.lists(TESTS, min_size=1, max_size=3, unique_by=name_of),
                "heldout": st.lists(HELDOUT, max_size=2, unique_by=name_of),
                "loss": st.sampled_from(
                    ["multiple-negatives-ranking", "cached-multiple-negatives-ranking"]
                ),
                "steps": st.integers(0, 10**6),
                "batch_size": st.integers(2, 10**6),
                "micro_batch": COUNTS,
                "learning_rate": st.floats(0, 100, exclude_min=True),
                "warmup": shares(),
            },
        ),
    ),
}


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw contents of valid study files."""
    depths = draw(st.lists(st.integers(1, 48), min_size=1, max_size=4, unique=True))
    subset = st.sampled_from(depths).flatmap(
        lambda depth: st.sets(st.integers(0, 60), min_size=depth, max_size=depth)
    )
    keys = subset.map(lambda layers: format_subset(tuple(sorted(layers))))
    budgets = st.fixed_dictionaries({str(depth): COUNTS for depth in depths})

    study: dict[str, Any] = {
        "name": draw(st.from_regex(STUDY_NAME, fullmatch=True)),
        "depths": depths,
        "trials": draw(COUNTS | budgets),
    }
    if draw(st.booleans()):
        study["seed"] = draw(st.integers(0, 2**31 - 1))
        family = st.sampled_from(list(FAMILIES))
        study["first"] = draw(st.lists(family | keys, max_size=4))
        study["reference"] = draw(st.booleans())

    optional = {key: OPTIONS[key] for key in ("sampler", "space", "base")}
    sections = draw(st.fixed_dictionaries({"evaluator": OPTIONS["evaluator"]}, optional=optional))
    return {"study": study, **sections}


@settings(deadline=None, derandomize=True, max_examples=100)
@given(studies())
def test_recorded_files_are_the_same(data: dict[str, Any]) -> None:
    file = parse_study_file(data)
    plain = file.plain()
    through_store = json.loads(json.dumps(plain))
    assert through_store == plain  # or a study would seem changed when it is launched again

    again = parse_study_file(through_store)
    assert again == file
    assert again.recipe_hash() == file.recipe_hash()

    # nothing that was written is lost
    for section in ("space", "sampler", "evaluator"):
        for name, value in data.get(section, {}).items():
            is_several = isinstance(value, list) and any(isinstance(one, dict) for one in value)
            if not isinstance(value, dict) and not is_several:
                assert plain[section].get(name, []) == value

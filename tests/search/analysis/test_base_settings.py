"""The settings of a base in words."""

from search.analysis.base_settings import settings_in_words

SHIPPED = {
    "pooling": "mean",
    "pools_prompt": True,
    "dense": ["Dense 768 to 3072, Identity", "Dense 3072 to 768, Identity"],
    "normalize": True,
    "similarity": "cosine",
    "query_prompt": 'search "this": ',
    "document_prompt": "",
    "query_length": 64,
    "document_length": 2048,
    "dimensions": 256,
}


def test_everything_that_decides_a_score_is_named() -> None:
    assert settings_in_words(SHIPPED) == (
        "mean pooling; Dense 768 to 3072, Identity; Dense 3072 to 768, Identity; normalised; "
        "first 256 dimensions; cosine similarity; "
        'query of 64 tokens behind "search \\"this\\": "; document of 2048 tokens without a prompt'
    )


def test_a_prompt_that_is_not_pooled_is_named() -> None:
    words = settings_in_words({**SHIPPED, "pools_prompt": False})
    assert words.startswith("mean pooling without the prompt; ")


def test_an_evaluator_without_a_base_has_no_words() -> None:
    assert settings_in_words({}) == ""

"""The hand-picked subsets of the reference's model card can all be expressed."""

import pytest

from search.space import LayerSpace, Subset, format_subset, parse_subset


@pytest.fixture
def pruned(card_rows: list[dict[str, str]]) -> list[Subset]:
    """The pruned rows of the card."""
    kept = [parse_subset(row["subset"]) for row in card_rows]
    return [subset for subset in kept if len(subset) < 22]


def test_every_row_of_the_card_can_be_expressed(pruned: list[Subset]) -> None:
    assert len(pruned) == 26
    for subset in pruned:
        assert subset in LayerSpace(22, len(subset), 3, "free", keep_first=False)


def test_strictest_rule_of_every_row_of_the_card(pruned: list[Subset]) -> None:
    strictest = {}
    for subset in pruned:
        rules = [
            rule
            for rule in ("strict", "anchored", "free")
            if subset in LayerSpace(22, len(subset), 3, rule, keep_first=False)
        ]
        # each rule holds all that a stricter one holds
        assert rules in (["strict", "anchored", "free"], ["anchored", "free"], ["free"])
        strictest[format_subset(subset)] = rules[0]

    loose = {name: rule for name, rule in strictest.items() if rule != "strict"}
    assert loose == {
        "0_1_2_3_4_5_6_7_8_9_10_12_18": "anchored",
        "0_1_2_3_4_5_6_7_8_9_12_15_18": "anchored",
        "0_1_2_3_4_5_6_7_8_10_12_15_18": "free",
        "0_1_2_3_4_5_6_7_9_12_15_18_21": "anchored",
        "0_1_2_3_6_7_8": "free",
        "0_1_2_3_6_7_12": "anchored",
        "0_1_2_3_6_8_12": "anchored",
        "0_1_2_3_6_8_18": "anchored",
    }


def test_rows_of_the_card_without_the_first_layer(pruned: list[Subset]) -> None:
    dropped = [subset for subset in pruned if subset[0] != 0]
    assert [format_subset(subset) for subset in dropped] == [
        "9_10_11_12_13_14_15_16_17_18_19_20_21",
        "15_16_17_18_19_20_21",
        "18_19_20_21",
    ]
    for subset in dropped:
        assert subset in LayerSpace(22, len(subset), 3, "strict", keep_first=False)
        assert subset not in LayerSpace(22, len(subset), 3, "free")

"""The settings of a base in words: how text becomes embeddings, and embeddings a score."""

import json
from collections.abc import Mapping

_ROLES = ("query", "document")


def settings_in_words(settings: Mapping[str, object]) -> str:
    """Return one line on the settings of a base; empty where an evaluator has none.

    Args:
        settings: settings by name, as an evaluator's description and the store have them.
    """
    if not settings:
        return ""

    pooling = f"{settings.get('pooling')} pooling"
    if settings.get("pools_prompt") is False:
        pooling += " without the prompt"

    dense = settings.get("dense")
    modules = [str(module) for module in dense] if isinstance(dense, list | tuple) else []
    modules += ["normalised"] if settings.get("normalize") else []
    if dimensions := settings.get("dimensions"):
        modules.append(f"first {dimensions} dimensions")

    texts = [_text_of(role, settings) for role in _ROLES]
    return "; ".join([pooling, *modules, f"{settings.get('similarity')} similarity", *texts])


def _text_of(role: str, settings: Mapping[str, object]) -> str:
    """Return the length and the prompt of queries or documents."""
    prompt = settings.get(f"{role}_prompt")
    behind = f"behind {json.dumps(prompt, ensure_ascii=False)}" if prompt else "without a prompt"
    return f"{role} of {settings.get(f'{role}_length')} tokens {behind}"

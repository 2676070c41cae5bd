"""Fingerprints: SHA-256 of the texts and judgments that data hold."""

import hashlib
from collections.abc import Iterable, Iterator

from datasets import Dataset

from evaluators.retrieval.data.collection import Collection


def fingerprint_pairs(pairs: Dataset) -> str:
    """Return the SHA-256 over all texts of the training data, in order."""
    return digest(
        text for rows in pairs.iter(batch_size=1024) for texts in rows.values() for text in texts
    )


def fingerprint_collections(found: Iterable[Collection]) -> str:
    """Return the SHA-256 over all texts and judgments of the collections."""

    def texts() -> Iterator[str]:
        for collection in found:
            yield collection.task

            for part in (collection.queries, collection.corpus):
                for name, text in part.items():
                    yield from (name, text)

            for name, ids in sorted(collection.relevant.items()):
                yield from (name, *sorted(ids))

    return digest(texts())


def digest(texts: Iterable[str]) -> str:
    """Return the SHA-256 over texts; their lengths are part of it, so that none run together."""
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()

"""Surgery: which layers a base has, models that keep some of them, and the proof that they do."""

from evaluators.retrieval.surgery.encoder import Encoder, find_stack
from evaluators.retrieval.surgery.proof import require_cuttable
from evaluators.retrieval.surgery.rhythm import Rhythm, find_rhythm

__all__ = ["Encoder", "Rhythm", "find_rhythm", "find_stack", "require_cuttable"]

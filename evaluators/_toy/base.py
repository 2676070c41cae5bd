"""The toy base: a 22-layer ModernBERT in miniature, trained for a minute on the toy world."""

import shutil
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from evaluators._types import Progress
from evaluators.retrieval import Options, TrainOptions
from evaluators.retrieval.data import training_pairs
from evaluators.retrieval.device import silence_libraries
from evaluators.retrieval.finetune import Run, train

LAYERS = 22
HIDDEN = 64
STEPS = 220
"""Steps of training. A heuristic: about a minute on two cores, for a base that finds documents."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write(
    folder: Path, vocabulary: list[str], triplets: Path, progress: Progress, seed: int = 0
) -> None:
    """Make, train and save the base; `folder` appears only when it is complete.

    Args:
        folder: where the base goes; must not exist.
        vocabulary: words the base knows.
        triplets: a .jsonl file with the columns `anchor`, `positive` and `negative`.
        progress: called after every training step.
        seed: the same seed makes the same base on the same machine.
    """
    silence_libraries()
    transformers.set_seed(seed)
    scratch = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(scratch, ignore_errors=True)

    make_tokenizer(vocabulary).save_pretrained(scratch)
    _make_model(len(vocabulary) + len(_SPECIAL)).save_pretrained(scratch)
    module = Transformer(str(scratch), max_seq_length=48)
    model = SentenceTransformer(modules=[module, Pooling(HIDDEN)], device="cpu")

    options = Options(steps=STEPS, batch_size=48, learning_rate=1e-3)
    source = TrainOptions(data=str(triplets), negatives=("negative",))
    pairs = training_pairs(options, source, triplets.parent)
    train(model, pairs, options, Run(seed, bf16=False, micro_batch=None, progress=progress))

    model.save_pretrained(str(scratch), create_model_card=False)
    scratch.replace(folder)


def make_tokenizer(vocabulary: list[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token per word, and the special tokens of ModernBERT."""
    ids = {word: number for number, word in enumerate([*_SPECIAL, *vocabulary])}

    tokenizer = Tokenizer(WordLevel(ids, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )

    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, **dict(zip(names, _SPECIAL, strict=True))
    )


def _make_model(tokens: int) -> ModernBertModel:
    """Make an untrained encoder with mmBERT-small's rhythm and number of layers."""
    config = ModernBertConfig(
        vocab_size=tokens,
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=512,
        local_attention=8,
        initializer_range=HIDDEN**-0.5,  # so narrow a model learns nothing from the usual 0.02
        pad_token_id=0,
        cls_token_id=2,
        bos_token_id=2,
        sep_token_id=3,
        eos_token_id=3,
    )

    with torch.no_grad():
        return ModernBertModel(config)

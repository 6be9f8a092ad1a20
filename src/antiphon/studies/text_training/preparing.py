"""From a file of rows to a job: the model to begin with, and the rows as its tokens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.studies.text_training.job import Job, Say, decoder_of, default_rate
from antiphon.studies.text_training.plans import TextMethod
from antiphon.studies.text_training.settings import TextTraining
from antiphon.studies.text_training.speed import free_memory
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.examples import tokenise
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.records import Records
from antiphon.worlds.text.small_model import new_model, train_tokenizer, weights_named

_WRITTEN = 64  # tokens of a completion where neither data nor user says
_SHOWN_BAD = 5


def start_model(training: TextTraining, records: Records, start: Path) -> TextModel:
    """The model to begin with; a new one is kept in ``start``, so that a resumed run begins with the same.

    Raises:
        UserError: there is no such model.
    """
    if not training.is_new:
        dtype = jnp.bfloat16 if training.dtype == "bfloat16" else jnp.float32
        return TextModel.load(training.model, dtype)
    if (start / "config.json").is_file():
        return replace(TextModel.load(str(start)), name=training.model)
    weights = weights_named(training.model)
    check_memory(weights)
    chat = any(not isinstance(record.prompt, str) for record in records.good)
    tokenizer = train_tokenizer(_texts(records), training.vocabulary, chat=chat)
    model = new_model(training.model, weights, tokenizer, context=training.context, seed=training.seed)
    model.export(start)
    return model


def make_job(
    kind: TextMethod, training: TextTraining, settings: Any, model: TextModel, records: Records,
    run: RunDirectory, say: Say,
) -> Job:  # fmt: skip
    """Rows as tokens, and the model as a policy.

    Raises:
        UserError: no row fits the model.
    """
    answers = kind.wanted(settings) != "prompt"
    width = training.tokens
    if kind.writes and width is None and not answers:
        width = _WRITTEN
    examples = tokenise(
        records, model.tokenizer, model.config.context, answers=answers, new_tokens=width,
        prompt_tokens=training.prompt_tokens, plain=training.plain, sampled=kind.writes,
    )  # fmt: skip
    new = examples.answers.tokens.shape[1] if examples.answers is not None else width or _WRITTEN
    if kind.writes and width is None:
        # The longest completion of the data is now the room that every prompt must leave.
        examples = tokenise(
            records, model.tokenizer, model.config.context, answers=answers, new_tokens=new,
            prompt_tokens=training.prompt_tokens, plain=training.plain, sampled=True,
        )  # fmt: skip
    decoder, params = decoder_of(model, training, new)
    check_memory(trees.count(params))
    rate = training.learning_rate
    if rate is None:
        rate = kind.rate * default_rate(training, trees.count(model.params))
    return Job(training, model, decoder, params, examples, rate, run, say)


def say_rows(records: Records, job: Job) -> None:
    """Which rows were left out, and whether one long row makes all of them wide."""
    say = job.say
    bad = (*records.bad, *job.examples.bad)
    for row in bad[:_SHOWN_BAD]:
        say(f"{records.path}: {row}")
    if bad:
        more = f", {len(bad) - _SHOWN_BAD} of them not shown" if len(bad) > _SHOWN_BAD else ""
        say(f"{records.path}: {len(bad)} of {len(bad) + len(job.examples)} rows are left out{more}")
    length = np.asarray(job.examples.prompts.length)
    usual = int(np.quantile(length, 0.95))
    if length.max() > 2 * usual:
        say(
            f"the longest prompt has {length.max()} tokens and 95 % have at most {usual}; "
            f"--prompt-tokens {usual} would save time"
        )


def check_memory(weights: int) -> None:
    """Before a model that cannot fit takes the machine with it.

    Raises:
        UserError: weights, gradient, moments and a copy, in float32, exceed what is free.
    """
    needed, free = 5 * 4 * weights, free_memory()
    if free is not None and needed > free:
        raise UserError(
            "memory",
            f"training {weights:,} weights takes {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free",
            "choose a smaller model, or train an adapter: --lora 16",
        )


def _texts(records: Records) -> list[str]:
    """Everything that was written, for a tokenizer."""
    texts = []
    for record in records.good:
        prompt = record.prompt
        texts += [prompt] if isinstance(prompt, str) else [str(message["content"]) for message in prompt]
        texts += [text for text in (record.completion, record.rejected) if text is not None]
    return texts

"""Judges by name: a user's Python function, a trained model, or a file of choices to train one on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from antiphon.core.errors import UserError
from antiphon.feedback.preference import Preference
from antiphon.methods.preference_model import PreferenceModel
from antiphon.methods.reward_model import RewardModel
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.studies.text_training.job import Job
from antiphon.train.fit import fit
from antiphon.worlds.text.arena import Compare
from antiphon.worlds.text.examples import rows_of_step, tokenise
from antiphon.worlds.text.judge_folder import SETTINGS, LearnedJudge
from antiphon.worlds.text.judging import CompiledJudge, TextJudge
from antiphon.worlds.text.model import pad_prompts
from antiphon.worlds.text.records import read_records

Kind = Literal["reward", "preference"]

_JUDGE_STEPS, _AT_ONCE = 300, 16


class Judge(NamedTuple):
    """Who judges in a training.

    Attributes:
        preference: over tokens; its parameters are ``params``.
        rewards: named scores, likewise.
        params: what it needs.
        function: if it is a user's.
    """

    preference: Preference
    rewards: Callable[[Any, Any, Any], dict[str, Any]]
    params: PyTree = ()
    function: CompiledJudge | None = None


def judge_of(job: Job, name: str, kind: Kind) -> Judge:
    """A judge by name.

    Args:
        job: whose tokenizer and prompts it must know, and whose run keeps one that is trained first.
        name: ``raters.py:function``, a folder that training a judge made, or a file of pairs.
        kind: what is needed.

    Raises:
        UserError: there is no such judge, or it is of the other kind or another vocabulary.
    """
    if ".py:" in name:
        text = TextJudge.load(name)
        if kind == "reward" and not text.scores:
            raise UserError(
                "judge", f"{name} compares two texts, and a score of one is needed",
                "write def score(prompt, text), or use nash-md",
            )  # fmt: skip
        compiled = CompiledJudge(text, job.model.tokenizer, job.examples.asked)
        return Judge(compiled, compiled.rewards, function=compiled)
    path = Path(name).expanduser()
    if path.is_dir():
        learned = LearnedJudge.load(path)
    elif path.suffix in (".jsonl", ".json", ".parquet"):
        learned = _trained(job, path, kind)
    else:
        raise UserError(
            "judge", f"{name} is no judge",
            "give raters.py:function, a folder of text train preference-model, or a JSONL file of pairs",
        )  # fmt: skip
    if kind == "reward" and learned.kind != "reward":
        raise UserError("judge", f"{name} compares two texts, and a score of one is needed", "use nash-md")
    if not learned.tokenizer.same_vocabulary(job.model.tokenizer):
        raise UserError(
            "tokenizer", f"{name} and {job.model.name} have different tokenizers",
            "train the judge from a model with the same tokenizer",
        )  # fmt: skip
    return Judge(learned.preference(), learned.rewards, learned.params)


def text_judge(name: str) -> Compare:
    """A judge of texts: ``(prompts, firsts, seconds)`` to the probabilities that the first is preferred.

    Raises:
        UserError: there is no such judge.
    """
    if ".py:" in name:
        judge = TextJudge.load(name)
        return lambda *texts: [judge.compare(*row) for row in zip(*texts, strict=True)]
    folder = Path(name).expanduser()
    if not (folder / SETTINGS).is_file():
        raise UserError(
            "judge", f"{name} is no judge",
            "give raters.py:function, or a folder of text train preference-model or reward-model",
        )  # fmt: skip
    learned = LearnedJudge.load(folder)
    prefer = jax.jit(learned.preference())
    encode, stop, pad = learned.tokenizer.encode, learned.tokenizer.stop[0], learned.tokenizer.pad

    def compare(prompts: list[str], firsts: list[str], seconds: list[str]) -> list[float]:
        found: list[float] = []
        asked = [_asked(learned, prompt) for prompt in prompts]
        sides = [[[*encode(text, plain=True), stop] for text in texts] for texts in (firsts, seconds)]
        width = max(len(row) for side in sides for row in side)
        whole = pad_prompts(asked, pad)
        for start in range(0, len(prompts), _AT_ONCE):
            # The last batch is filled up, so that one program does.
            rows = np.minimum(np.arange(start, start + _AT_ONCE), len(prompts) - 1)
            first, second = (
                jnp.asarray([side[row] + [pad] * (width - len(side[row])) for row in rows]) for side in sides
            )
            context = Prompts(whole.tokens[rows], whole.length[rows])
            said = prefer(learned.params, context, first, second)
            found += np.asarray(said)[: len(prompts) - start].tolist()
        return found

    return compare


def train_judge(
    job: Job, kind: Kind, steps: int, rate: float
) -> tuple[RewardModel | PreferenceModel, LlamaJudge]:
    """The method that fits a judge which begins with the job's model, and the judge."""
    tokenizer = job.model.tokenizer
    judge = LlamaJudge(job.model.config, tokenizer.stop, tokenizer.stop[0], job.training.remat)
    warmup, at_once = job.training.warmup, job.training.microbatch
    if kind == "reward":
        return RewardModel(judge.reward, rate, steps, warmup, microbatch=at_once), judge
    return PreferenceModel(judge.compare, rate, steps, warmup, microbatch=at_once), judge


def _trained(job: Job, path: Path, kind: Kind) -> LearnedJudge:
    """A judge fitted to a file of pairs, beginning with the model that will be judged."""
    records = read_records(path, "pair")
    examples = tokenise(
        records, job.model.tokenizer, job.model.config.context, answers=True, plain=job.training.plain
    )
    bad = (*records.bad, *examples.bad)
    for row in bad[:5]:
        job.say(f"{path}: {row}")
    job.say(f"{path}: a {kind} model learns from {len(examples)} pairs first, {len(bad)} rows are left out")
    apart = replace(job, examples=examples)
    method, judge = train_judge(apart, kind, _JUDGE_STEPS, job.rate)
    rows = rows_of_step(len(examples), job.training.batch, job.training.seed)
    start = judge.init(jax.random.key(0), job.network(job.params))
    state = fit(
        method.step, method.init(start), steps=_JUDGE_STEPS, key=jax.random.key(job.training.seed),
        batches=lambda step: apart.pairs(rows(step)), chunk=10, run=job.run, name="judge",
        checkpoint_every=10, keep=1,
    )  # fmt: skip
    return LearnedJudge(str(path), kind, judge, state.params, job.model.tokenizer)


def _asked(learned: LearnedJudge, prompt: str) -> list[int]:
    tokenizer = learned.tokenizer
    if tokenizer.template is None:
        return tokenizer.encode(prompt)
    return tokenizer.encode_chat([{"role": "user", "content": prompt}])

"""The methods, each a function from a job and its settings to a plan."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Array

from antiphon.core.errors import UserError
from antiphon.methods.gkd import GKD
from antiphon.methods.nash_md import NashMD
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.objectives.distillation import TokenDivergence
from antiphon.studies.text_training.job import Job, Plan, fixed, require
from antiphon.studies.text_training.settings import (
    GKDSettings,
    NashEMASettings,
    NashMDSettings,
    RLHFSettings,
    SFTSettings,
)
from antiphon.worlds.text.judging import CompiledJudge, TextJudge
from antiphon.worlds.text.model import TextModel, check_one_vocabulary
from antiphon.worlds.text.records import Wanted

_LARGE_VOCABULARY, _CHUNK = 8192, 512


class TextMethod(NamedTuple):
    """A method by name.

    Attributes:
        plan: from a job and the settings.
        wanted: what it reads of a row, given its settings.
        writes: whether the model writes what it learns from, for which its context must leave room.
        rate: share of the learning rate that imitation would have.
    """

    plan: Callable[[Job, Any], Plan]
    wanted: Callable[[Any], Wanted]
    writes: bool
    rate: float


def plan_sft(job: Job, settings: SFTSettings) -> Plan:
    """Supervised fine-tuning."""
    training = job.training
    method = SFT(
        job.policy, learning_rate=job.rate, steps=training.steps, warmup=training.warmup,
        weight_decay=settings.weight_decay, microbatch=training.microbatch,
    )  # fmt: skip
    return Plan(
        method.step, method.init(job.params), _completions(job), lambda state: state.params, ("loss",),
        passes=2 if training.lora else 3,
    )  # fmt: skip


def plan_gkd(job: Job, settings: GKDSettings) -> Plan:
    """Distillation."""
    teacher = TextModel.load(require(settings.teacher, "--teacher", "DIR"))
    check_one_vocabulary(teacher, job.model)
    room, longest = teacher.config.context - job.decoding.new_tokens, max(job.examples.prompts.length)
    if longest > room:
        raise UserError(
            "prompt",
            f"prompts of {longest} tokens leave {teacher.name} no room for {job.decoding.new_tokens} more",
            f"give --prompt-tokens {max(room, 1)}",
        )
    chunk = settings.chunk
    if chunk is None and job.model.config.vocabulary > _LARGE_VOCABULARY:
        chunk = _CHUNK
    method = GKD(
        job.policy, fixed(teacher, job.decoding), on_policy=settings.on_policy,
        divergence=TokenDivergence(settings.divergence, settings.beta, settings.temperature),
        sampling_temperature=settings.sampling_temperature, chosen=job.policy.chosen, top_k=settings.top_k,
        chunk=chunk, learning_rate=job.rate, steps=job.training.steps, warmup=job.training.warmup,
    )  # fmt: skip
    return Plan(
        method.step, method.init(job.params, ()), _completions(job), lambda state: state.params,
        ("divergence", "on_policy", "length"), written=1,
    )  # fmt: skip


def plan_nash_md(job: Job, settings: NashMDSettings) -> Plan:
    """Nash-MD."""
    judge = _judge(job, settings.preference)
    method = NashMD(
        job.policy, judge, tau=settings.tau, beta=settings.beta, learning_rate=job.rate,
        steps=job.training.steps, group=settings.group, opponents=settings.opponents,
        microbatch=job.training.microbatch or 16, temperature=settings.temperature,
        baseline=settings.baseline, chosen=job.policy.chosen,
    )  # fmt: skip
    return _nash(job, method, judge)


def plan_nash_ema(job: Job, settings: NashEMASettings) -> Plan:
    """Nash-EMA."""
    judge = _judge(job, settings.preference)
    method = NashMD(
        job.policy, judge, tau=settings.tau, opponent="average", decay=settings.decay,
        learning_rate=job.rate, steps=job.training.steps, group=settings.group, opponents=settings.opponents,
        microbatch=job.training.microbatch or 16, temperature=settings.temperature,
        baseline=settings.baseline, chosen=job.policy.chosen,
    )  # fmt: skip
    return _nash(job, method, judge)


def plan_rlhf(job: Job, settings: RLHFSettings) -> Plan:
    """The KL-regularised policy gradient on a score."""
    judge = _judge(job, settings.preference)
    if not judge.judge.scores:
        raise UserError(
            "judge", f"{judge.judge.name} compares two texts, and rlhf climbs a score",
            "write def score(prompt, text), or use nash-md",
        )  # fmt: skip
    if settings.tau < 0:
        raise UserError("usage", f"--tau is {settings.tau}", "give a pull of at least 0")
    method = ReinforceKL(
        job.policy, judge.rewards, (("score", 1.0),), alpha=settings.tau / (1.0 + settings.tau),
        learning_rate=job.rate, group=settings.group, microbatch=job.training.microbatch or 16,
        temperature=settings.temperature, chosen=job.policy.chosen,
    )  # fmt: skip
    return Plan(
        method.step, method.init(job.params, ()), job.prompts, lambda state: state.params,
        ("reward", "kl", "length"), written=settings.group, judge=judge,
    )  # fmt: skip


METHODS: Mapping[str, TextMethod] = {
    "sft": TextMethod(plan_sft, lambda _: "completion", writes=False, rate=1.0),
    "gkd": TextMethod(
        plan_gkd,
        lambda settings: "prompt" if settings.on_policy == 1 else "completion",
        writes=True,
        rate=0.5,
    ),
    "nash-md": TextMethod(plan_nash_md, lambda _: "prompt", writes=True, rate=0.25),
    "nash-ema": TextMethod(plan_nash_ema, lambda _: "prompt", writes=True, rate=0.25),
    "rlhf": TextMethod(plan_rlhf, lambda _: "prompt", writes=True, rate=0.25),
}
"""By the names of :data:`~antiphon.studies.text_training.settings.SETTINGS`."""


def _nash(job: Job, method: NashMD, judge: CompiledJudge) -> Plan:
    return Plan(
        method.step, method.init(job.params), job.prompts, lambda state: state.params,
        ("win_rate", "kl", "length"), written=method.group, judge=judge,
    )  # fmt: skip


def _judge(job: Job, name: str) -> CompiledJudge:
    judge = TextJudge.load(require(name, "--preference", "raters.py:judge"))
    return CompiledJudge(judge, job.model.tokenizer, job.examples.asked)


def _completions(job: Job) -> Callable[[np.ndarray], SFTBatch]:
    """Rows with their completions; where only prompts were read, with completions that nobody looks at."""
    answers, width = job.examples.answers, job.decoding.new_tokens

    def batch(rows: np.ndarray) -> SFTBatch:
        if answers is None:
            nothing = np.zeros((len(rows), width), np.int32)
            return SFTBatch(_host(nothing), job.prompts(rows), _host(nothing.astype(np.float32)))
        return SFTBatch(_host(answers.tokens[rows]), job.prompts(rows), _host(answers.mask[rows]))

    return batch


def _host(array: np.ndarray) -> Array:
    """An array of the host where one of jax stands in the types: the loop brings it to the device."""
    return cast(Array, array)

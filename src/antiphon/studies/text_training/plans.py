"""The methods, each a function from a job and its settings to a plan."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PyTree

from antiphon.core.errors import UserError
from antiphon.feedback.preference import Preference
from antiphon.methods.dpo import DPO
from antiphon.methods.gkd import GKD
from antiphon.methods.nash_md import NashMD
from antiphon.methods.online_ipo import OnlineIPO
from antiphon.methods.reinforce_kl import ReinforceKL
from antiphon.methods.sft import SFT, SFTBatch
from antiphon.nets.fixed_weights import FixedWeights
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.objectives.distillation import TokenDivergence
from antiphon.studies.text_training.job import Fixed, Job, Plan, host, require
from antiphon.studies.text_training.judges import Judge, Kind, judge_of, train_judge
from antiphon.studies.text_training.settings import (
    DPOSettings,
    GKDSettings,
    JudgeSettings,
    NashEMASettings,
    NashMDSettings,
    OnlineIPOSettings,
    RLHFSettings,
    SFTSettings,
)
from antiphon.worlds.text.judge_folder import LearnedJudge
from antiphon.worlds.text.model import TextModel, check_one_vocabulary
from antiphon.worlds.text.records import Wanted

_LARGE_VOCABULARY, _CHUNK = 8192, 512
_AT_ONCE = 16  # completions a gradient pass, unless --microbatch says so


class TextMethod(NamedTuple):
    """A method.

    Attributes:
        plan: from a job and the method's settings.
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

    def method(fixed: Fixed) -> SFT:
        return SFT(
            job.policy(fixed), learning_rate=job.rate, steps=training.steps, warmup=training.warmup,
            weight_decay=settings.weight_decay, microbatch=training.microbatch,
        )  # fmt: skip

    return Plan(
        method, method(job.fixed).init(job.params), _completions(job), ("loss",),
        passes=2 if training.lora else 3,
    )  # fmt: skip


def plan_gkd(job: Job, settings: GKDSettings) -> Plan:
    """Distillation."""
    teacher = TextModel.load(require(settings.teacher, "--teacher", "DIR"))
    check_one_vocabulary(teacher, job.model)
    new, longest = job.decoder.decoding.new_tokens, int(np.max(job.examples.prompts.length))
    room = teacher.config.context - new
    if longest > room:
        raise UserError(
            "prompt", f"prompts of {longest} tokens leave {teacher.name} no room for {new} more",
            f"give --prompt-tokens {max(room, 1)}",
        )  # fmt: skip
    chunk = settings.chunk
    if chunk is None and job.model.config.vocabulary > _LARGE_VOCABULARY:
        chunk = _CHUNK
    learnt = LlamaPolicy(teacher.config, job.decoder.decoding)

    def method(fixed: Fixed) -> GKD:
        student = job.policy(fixed)
        return GKD(
            student, FixedWeights(learnt, fixed["teacher"]), on_policy=settings.on_policy,
            divergence=TokenDivergence(settings.divergence, settings.beta, settings.temperature),
            sampling_temperature=settings.sampling_temperature, chosen=student.chosen, top_k=settings.top_k,
            chunk=chunk, microbatch=job.training.microbatch, learning_rate=job.rate, steps=job.training.steps,
            warmup=job.training.warmup,
        )  # fmt: skip

    fixed = {"teacher": teacher.params}
    return Plan(
        method, method({**job.fixed, **fixed}).init(job.params, ()), _completions(job),
        ("divergence", "on_policy", "length"), fixed, written=1,
    )  # fmt: skip


def plan_nash_md(job: Job, settings: NashMDSettings) -> Plan:
    """Nash-MD."""
    return _nash(job, settings, lambda method: replace(method, beta=settings.beta))


def plan_nash_ema(job: Job, settings: NashEMASettings) -> Plan:
    """Nash-EMA."""
    return _nash(job, settings, lambda method: replace(method, opponent="average", decay=settings.decay))


def plan_online_ipo(job: Job, settings: OnlineIPOSettings) -> Plan:
    """Online IPO, or IPO-MD."""
    judge = _preference(job, settings.preference)

    def method(fixed: Fixed) -> OnlineIPO:
        policy = job.policy(fixed)
        return OnlineIPO(
            policy, _bound(judge, fixed), tau=settings.tau, beta=settings.beta, learning_rate=job.rate,
            group=settings.group, microbatch=job.training.microbatch or _AT_ONCE,
            temperature=settings.temperature, chosen=policy.chosen,
        )  # fmt: skip

    return _against(job, method, judge, settings.group, ("loss", "kl", "length"))


def plan_rlhf(job: Job, settings: RLHFSettings) -> Plan:
    """The KL-regularised policy gradient on a score."""
    judge = judge_of(job, require(settings.preference, "--preference", "raters.py:score"), "reward")
    if settings.tau < 0:
        raise UserError("usage", f"--tau is {settings.tau}", "give a pull of at least 0")

    def method(fixed: Fixed) -> ReinforceKL:
        policy = job.policy(fixed)
        return ReinforceKL(
            policy, lambda _, context, tokens: judge.rewards(fixed["judge"], context, tokens),
            (("score", 1.0),), alpha=settings.tau / (1.0 + settings.tau), learning_rate=job.rate,
            group=settings.group, microbatch=job.training.microbatch or _AT_ONCE,
            temperature=settings.temperature, chosen=policy.chosen,
        )  # fmt: skip

    fixed = {"judge": judge.params}
    return Plan(
        method, method({**job.fixed, **fixed}).init(job.params, ()), job.prompts,
        ("reward", "kl", "length"), fixed, written=settings.group, judge=judge.function,
    )  # fmt: skip


def plan_dpo(job: Job, settings: DPOSettings) -> Plan:
    """DPO."""
    return _without_judge(job, "dpo", settings.tau)


def plan_ipo(job: Job, settings: DPOSettings) -> Plan:
    """IPO."""
    return _without_judge(job, "ipo", settings.tau)


def plan_reward_model(job: Job, settings: JudgeSettings) -> Plan:
    """A reward fitted to pairs."""
    return _judge_plan(job, "reward")


def plan_preference_model(job: Job, settings: JudgeSettings) -> Plan:
    """A preference fitted to pairs."""
    return _judge_plan(job, "preference")


METHODS: Mapping[str, TextMethod] = {
    "sft": TextMethod(plan_sft, lambda _: "completion", writes=False, rate=1.0),
    "gkd": TextMethod(
        plan_gkd,
        lambda settings: "prompt" if settings.on_policy == 1 else "completion",
        writes=True,
        rate=0.5,
    ),
    "reward-model": TextMethod(plan_reward_model, lambda _: "pair", writes=False, rate=0.5),
    "preference-model": TextMethod(plan_preference_model, lambda _: "pair", writes=False, rate=0.5),
    "rlhf": TextMethod(plan_rlhf, lambda _: "prompt", writes=True, rate=0.25),
    "nash-md": TextMethod(plan_nash_md, lambda _: "prompt", writes=True, rate=0.25),
    "nash-ema": TextMethod(plan_nash_ema, lambda _: "prompt", writes=True, rate=0.25),
    "online-ipo": TextMethod(plan_online_ipo, lambda _: "prompt", writes=True, rate=0.25),
    "dpo": TextMethod(plan_dpo, lambda _: "pair", writes=False, rate=0.25),
    "ipo": TextMethod(plan_ipo, lambda _: "pair", writes=False, rate=0.25),
}
"""By the names of :data:`~antiphon.studies.text_training.settings.SETTINGS`."""


def _nash(job: Job, settings: NashMDSettings | NashEMASettings, against: Callable[[NashMD], NashMD]) -> Plan:
    judge = _preference(job, settings.preference)

    def method(fixed: Fixed) -> NashMD:
        policy = job.policy(fixed)
        return against(NashMD(
            policy, _bound(judge, fixed), tau=settings.tau, learning_rate=job.rate,
            steps=job.training.steps, group=settings.group, opponents=settings.opponents,
            microbatch=job.training.microbatch or _AT_ONCE, temperature=settings.temperature,
            baseline=settings.baseline, chosen=policy.chosen,
        ))  # fmt: skip

    return _against(job, method, judge, settings.group, ("win_rate", "kl", "length"))


def _against(
    job: Job, method: Callable[[Fixed], Any], judge: Judge, group: int, show: tuple[str, ...]
) -> Plan:
    fixed = {"judge": judge.params}
    state = method({**job.fixed, **fixed}).init(job.params)
    return Plan(method, state, job.prompts, show, fixed, written=group, judge=judge.function)


def _without_judge(job: Job, loss: Literal["dpo", "ipo"], tau: float) -> Plan:
    def method(fixed: Fixed) -> DPO:
        policy = job.policy(fixed)
        return DPO(
            policy, loss, tau=tau, learning_rate=job.rate, steps=job.training.steps,
            warmup=job.training.warmup, microbatch=job.training.microbatch or _AT_ONCE, chosen=policy.chosen,
        )  # fmt: skip

    state = method(job.fixed).init(job.params)
    return Plan(method, state, job.pairs, ("loss", "accuracy", "margin"))


def _judge_plan(job: Job, kind: Kind) -> Plan:
    if job.training.lora is not None:
        raise UserError("usage", "--lora on a judge", "train all of its weights: leave out --lora")
    method, judge = train_judge(job, kind, job.training.steps, job.rate)
    start = judge.init(jax.random.key(job.training.seed), job.params)

    def export(params: Any, out: Any) -> None:
        LearnedJudge(str(out), kind, judge, params, job.model.tokenizer).export(out)

    return Plan(
        lambda fixed: method,
        method.init(start),
        job.pairs,
        ("loss", "accuracy"),
        export=export,
        samples=False,
    )


def _preference(job: Job, name: str) -> Judge:
    return judge_of(job, require(name, "--preference", "raters.py:judge"), "preference")


def _bound(judge: Judge, fixed: Fixed) -> Preference:
    """The preference with its parameters among the fixed weights instead of in the state."""

    def preference(params: PyTree, prompt: PyTree, first: PyTree, second: PyTree) -> Array:
        del params
        return judge.preference(fixed["judge"], prompt, first, second)

    return preference


def _completions(job: Job) -> Callable[[np.ndarray], SFTBatch]:
    """Rows with their completions; where only prompts were read, with completions that nobody looks at."""
    answers, width = job.examples.answers, job.decoder.decoding.new_tokens

    def batch(rows: np.ndarray) -> SFTBatch:
        if answers is None:
            nothing = np.zeros((len(rows), width), np.int32)
            return SFTBatch(host(nothing), job.prompts(rows), host(nothing.astype(np.float32)))
        return SFTBatch(host(answers.tokens[rows]), job.prompts(rows), host(answers.mask[rows]))

    return batch

"""The sizes of the study and the network that everything in it is: policy, reference and judges."""

from dataclasses import dataclass

from antiphon.nets.llama import Llama
from antiphon.nets.llama_judge import LlamaJudge
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.worlds.text.reports import NOTICE_TOKENS, WORDS


@dataclass(frozen=True)
class Config:
    """Sizes of the study."""

    dials: tuple[float, ...] = (0.0, 0.5)
    """Shares of the ring in the raters' votes."""
    betas: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 1.0)
    """Shares of the reference in the opponent: 0 is self-play, 1 the best response to the reference."""
    decays: tuple[float, ...] = (0.9, 0.98)
    """Of the averages that are Nash-EMA's opponents."""
    pulls: tuple[float, ...] = (0.5, 2.0)
    """RLHF is also trained with the pull at equal divergence times these."""
    kl: float = 1.5
    """Divergence from the reference that every method is brought to, nats per notice."""
    width: int = 64
    """Features of every network."""
    layers: int = 2
    """Blocks of every network."""
    reports: int = 20_000
    """Reports that networks learn from."""
    tests: int = 600
    """Reports that they are compared on."""
    imitation_steps: int = 900
    """Updates of the reference, 128 notices each."""
    raters: int = 12
    """Raters whose votes train the judges, and as many others who judge in the end."""
    pairs: int = 16_000
    """Pairs of the reference's notices, with one vote each, that the judges learn from."""
    judge_steps: int = 1200
    """Updates of a judge, 64 pairs each."""
    steps: int = 100
    """Updates of a policy at the full learning rate."""
    prompts: int = 16
    """Reports of an update."""
    group: int = 4
    """Notices of the policy for each, and half as many of the opponent."""
    rounds: int = 12
    """Of settling at a third of it, at most."""
    round_steps: int = 25
    """Updates of a round; after each the divergence is measured."""
    learning_rate: float = 1e-3
    """Of the policies."""
    seed: int = 0
    """Of everything."""


PRESETS = {
    "smoke": Config(
        dials=(0.5,), betas=(0.0, 0.25), decays=(), pulls=(), width=32, layers=1, reports=4000, tests=100,
        imitation_steps=200, pairs=2000, judge_steps=100, steps=50, prompts=8, rounds=2, round_steps=25,
    ),
    "laptop": Config(),
    "gpu": Config(
        dials=(0.0, 0.25, 0.5, 0.75), betas=(0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0), width=128,
        layers=4, reports=100_000, tests=2000, imitation_steps=3000, pairs=50_000, judge_steps=3000,
        steps=600, prompts=64, round_steps=50,
    ),
}  # fmt: skip


def policy_of(config: Config) -> LlamaPolicy:
    """Writes notices."""
    return LlamaPolicy(_decoder(config), Decoding(new_tokens=NOTICE_TOKENS, stop=(0,), pad=0))


def judge_of(config: Config) -> LlamaJudge:
    """Reads a report and one notice or two."""
    return LlamaJudge(_decoder(config), stop=(0,), mark=0)


def _decoder(config: Config) -> Llama:
    width = config.width
    return Llama(
        len(WORDS), width, config.layers, heads=4, kv_heads=4, head_width=width // 4, hidden=5 * width // 2,
        context=64,
    )  # fmt: skip

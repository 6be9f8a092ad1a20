"""What can be chosen: settings that every method shares, and those of each method."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from antiphon.core.errors import UserError

Divergence = Literal["forward_kl", "reverse_kl", "jsd", "normalised_jsd", "total_variation", "skew_kl"]


@dataclass(frozen=True)
class TextTraining:
    """Settings that every method shares."""

    model: str = "smollm2"
    """Where to start: smollm2, a GGUF file, a Hugging Face folder, or new:4m for 4 million random weights."""

    data: Path | None = None
    """JSONL or Parquet with prompt and completion, chosen and rejected, or messages."""

    lora: int | None = None
    """Train an adapter of this rank beside the frozen weights; all weights if not given."""

    lora_alpha: float | None = None
    """The adapter counts alpha / rank; twice the rank if not given."""

    steps: int = 1000
    """Updates."""

    batch: int = 16
    """Rows of data a step."""

    learning_rate: float | None = None
    """Peak; if not given, it goes by method and size and is said."""

    warmup: int = 50
    """Steps of linear warm-up, at most a tenth of all."""

    tokens: int | None = None
    """Longest completion; that of the data, or 64 where the model writes, if not given."""

    prompt_tokens: int | None = None
    """Leave out rows with longer prompts; one long prompt makes every row as wide."""

    plain: bool = False
    """Continue prompts as plain text even if the model has a chat template."""

    microbatch: int | None = None
    """Rows whose gradient is taken at once; the result is that of the whole batch."""

    remat: bool = False
    """Compute the layers again in the backward pass: less memory, a third more time."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of frozen weights: bfloat16 halves them, and needs --lora."""

    vocabulary: int = 4096
    """Tokens of a new model at most."""

    context: int = 512
    """Positions of a new model."""

    seed: int = 0
    """Of new weights, the order of rows and what is sampled."""

    sample_every: int | None = None
    """Steps between samples that are shown; a quarter of all if not given, 0 for none."""

    save_every: int | None = None
    """Steps between checkpoints; a tenth of all if not given."""

    def checked(self) -> "TextTraining":
        """The same, once it is known to make sense.

        Raises:
            UserError: a number out of range, or two settings that exclude each other.
        """
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise UserError("usage", f"--{name} is {getattr(self, name)}", "give at least 1")
        for name in ("lora", "learning_rate", "tokens", "prompt_tokens", "microbatch", "save_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError("usage", f"--{name.replace('_', '-')} is {value}", "give a number above 0")
        if self.dtype == "bfloat16" and self.lora is None:
            raise UserError(
                "usage", "--dtype bfloat16 without --lora",
                "train an adapter, or keep float32: bfloat16 weights lose updates this small",
            )  # fmt: skip
        if self.is_new and self.lora is not None:
            raise UserError("usage", "--lora on a new model", "train all of its weights: leave out --lora")
        if self.lora_alpha is not None and self.lora is None:
            raise UserError("usage", "--lora-alpha without --lora", "add --lora 16, or leave it out")
        return self

    @property
    def is_new(self) -> bool:
        """Whether the model starts from nothing."""
        return self.model.startswith("new:")


@dataclass(frozen=True)
class SFTSettings:
    """Imitate the completions of the data."""

    weight_decay: float = 0.01
    """On matrices."""


@dataclass(frozen=True)
class GKDSettings:
    """Learn from a teacher on what the student itself writes (arXiv 2306.13649)."""

    teacher: str = ""
    """The teacher: as --model, with the same tokenizer."""

    on_policy: float = 1.0
    """Share of steps on the student's own completions; below 1 the data needs completions."""

    divergence: Divergence = "forward_kl"
    """From teacher to student, token by token."""

    beta: float = 0.5
    """Weight of the divergences that have one."""

    temperature: float = 1.0
    """Of both in the loss."""

    sampling_temperature: float = 1.0
    """Of the student's completions."""

    top_k: int | None = None
    """Look at the teacher's so many likeliest tokens and the rest as one."""

    chunk: int | None = None
    """Tokens whose scores exist at a time; 512 for vocabularies above 8192 if not given."""


@dataclass(frozen=True)
class NashMDSettings:
    """Be preferred to a mixture of oneself and the start (arXiv 2312.00886, Nash-MD)."""

    preference: str = ""
    """Who judges: raters.py:function, a folder of preference-model, or a JSONL file of pairs."""

    tau: float = 0.02
    """Pull towards the start."""

    beta: float = 0.125
    """Share of the start in the opponent: 0 is self-play, 1 the best response to the start."""

    group: int = 2
    """Completions of each prompt."""

    opponents: int = 1
    """The opponent's completions of each prompt."""

    temperature: float = 1.0
    """Of sampling."""

    baseline: Literal["half", "leave_one_out"] = "half"
    """What a win is compared with; leave_one_out varies less and wants a larger --group."""


@dataclass(frozen=True)
class NashEMASettings:
    """Be preferred to an average of one's own past (arXiv 2312.00886, Nash-EMA)."""

    preference: str = ""
    """Who judges: raters.py:function, a folder of preference-model, or a JSONL file of pairs."""

    tau: float = 0.02
    """Pull towards the start."""

    decay: float = 0.999
    """Of the average of weights that is the opponent."""

    group: int = 2
    """Completions of each prompt."""

    opponents: int = 1
    """The opponent's completions of each prompt."""

    temperature: float = 1.0
    """Of sampling."""

    baseline: Literal["half", "leave_one_out"] = "half"
    """What a win is compared with; leave_one_out varies less and wants a larger --group."""


@dataclass(frozen=True)
class OnlineIPOSettings:
    """Be preferred among one's own completions (arXiv 2403.08635, online IPO and IPO-MD)."""

    preference: str = ""
    """Who judges: raters.py:function, a folder of preference-model, or a JSONL file of pairs."""

    tau: float = 0.02
    """Pull towards the start."""

    beta: float = 0.0
    """Share of the start in what is sampled: above 0 it is IPO-MD."""

    group: int = 2
    """Completions of each prompt, compared with one another."""

    temperature: float = 1.0
    """Of sampling."""


@dataclass(frozen=True)
class DPOSettings:
    """Prefer the chosen answers of the data, without a judge (arXiv 2305.18290 and 2310.12036)."""

    tau: float = 0.1
    """Pull towards the start."""


@dataclass(frozen=True)
class JudgeSettings:
    """A judge learns from pairs: reward-model scores one answer, preference-model compares two."""


@dataclass(frozen=True)
class RLHFSettings:
    """Climb a score, pulled back to the start."""

    preference: str = ""
    """Who scores: raters.py:function, a folder of reward-model, or a JSONL file of pairs."""

    tau: float = 0.05
    """Pull towards the start, in units of the score."""

    group: int = 4
    """Completions of each prompt, compared with one another."""

    temperature: float = 1.0
    """Of sampling."""


SETTINGS: Mapping[str, type] = {
    "sft": SFTSettings,
    "gkd": GKDSettings,
    "reward-model": JudgeSettings,
    "preference-model": JudgeSettings,
    "rlhf": RLHFSettings,
    "nash-md": NashMDSettings,
    "nash-ema": NashEMASettings,
    "online-ipo": OnlineIPOSettings,
    "dpo": DPOSettings,
    "ipo": DPOSettings,
}
"""The methods by name, apart from the functions that plan them, so that ``--help`` loads no jax."""

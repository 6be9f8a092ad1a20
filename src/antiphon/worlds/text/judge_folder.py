"""Learnt judges as folders: the trunk as a Hugging Face folder, with the vector of the judge beside it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PyTree

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.feedback.preference import Preference, antisymmetric, from_reward
from antiphon.nets.array_file import load_arrays, save_arrays
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_judge import JudgeParams, LlamaJudge
from antiphon.worlds.text.huggingface_folder import export_folder, load_folder, read_json
from antiphon.worlds.text.tokenizer import Tokenizer, load_tokenizer

SETTINGS, HEAD = "judge.json", "judge.safetensors"

Kind = Literal["reward", "preference"]


@dataclass(frozen=True)
class LearnedJudge:
    """A reward or preference model and its tokenizer.

    Attributes:
        name: where it came from.
        kind: whether it scores one completion or compares two.
        judge: its sizes.
        params: its weights.
        tokenizer: of its trunk, which must be the policy's.
    """

    name: str
    kind: Kind
    judge: LlamaJudge
    params: JudgeParams = field(repr=False)
    tokenizer: Tokenizer

    @staticmethod
    def load(folder: Path, dtype: DTypeLike = jnp.float32) -> "LearnedJudge":
        """A judge from its folder.

        Raises:
            UserError: no judge's folder, or one that is damaged.
        """
        settings = folder / SETTINGS
        if not settings.is_file():
            raise UserError(
                "judge", f"{folder} has no {SETTINGS}, so it is no judge",
                "give a folder that was made by training a reward or preference model",
            )  # fmt: skip
        described = read_json(settings)
        kind, mark, stop = (described.get(name) for name in ("kind", "mark", "stop"))
        if kind not in ("reward", "preference") or not isinstance(mark, int) or not isinstance(stop, list):
            raise UserError("judge", f"{settings} lacks kind, mark or stop", "copy it again, or train again")
        config, trunk = load_folder(folder, dtype)
        head = load_arrays(folder / HEAD).get("score.weight")
        if head is None or head.shape != (1, config.width):
            shape = None if head is None else head.shape
            raise UserError(
                "shape", f"{folder / HEAD} has score.weight of shape {shape}, not {(1, config.width)}",
                "copy or train it again",
            )  # fmt: skip
        judge = LlamaJudge(config, tuple(map(int, stop)), mark)
        params = JudgeParams(trunk, jnp.asarray(head[0], jnp.float32))
        return LearnedJudge(str(folder), kind, judge, params, load_tokenizer(folder))

    def export(self, folder: Path) -> list[Path]:
        """Writes the folder and returns its files; the settings come last.

        Raises:
            UserError: no class of transformers has the trunk's switches.
            OSError: the disk refused.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            *self.tokenizer.save(folder),
            *export_folder(folder, self.judge.config, self.params.trunk),
        ]
        save_arrays(folder / HEAD, {"score.weight": np.asarray(self.params.head, np.float32)[None]})
        described = {"kind": self.kind, "mark": self.judge.mark, "stop": list(self.judge.stop)}
        with whole_file(folder / SETTINGS) as file:
            file.write(json.dumps(described, indent=2).encode())
        return [*files, folder / HEAD, folder / SETTINGS]

    def preference(self) -> Preference:
        """The judge as a preference over tokens, whose parameters are ``params``."""
        return from_reward(self.judge.reward) if self.kind == "reward" else antisymmetric(self.judge.compare)

    def rewards(
        self, params: PyTree, context: Prompts, tokens: Int[Array, "B T"]
    ) -> dict[str, Float[Array, "B"]]:
        """Its score as the reward ``score``.

        Raises:
            UserError: it compares, and has no score.
        """
        if self.kind != "reward":
            raise UserError(
                "judge", f"{self.name} compares two texts, and a score of one is needed",
                "train a reward model, or use nash-md",
            )  # fmt: skip
        return {"score": self.judge.reward(params, context, tokens)}

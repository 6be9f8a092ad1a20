"""Sizes and lengths of every stage."""

from dataclasses import dataclass, field, replace

from antiphon.core.errors import UserError
from antiphon.worlds.music.bundle import Sizes
from antiphon.worlds.music.dataset import Dataset, DatasetConfig


@dataclass(frozen=True)
class Config:
    """What is trained, and for how long.

    Attributes:
      data: the data set it is trained on.
      codec_width: channels of the codec.
      codec_steps: updates of the codec.
      decoder_steps: further updates of its decoder alone, once the tokens are written.
      levels: codec levels that the policy speaks.
      width: of the policy.
      layers: of the policy.
      policy_steps: updates of the policy.
      policy_batch: clips in one of them.
      policy_learning_rate: peak.
      embedding_steps: updates of each of the two embeddings.
      embedding_batch: clips in one of them.
      quality_steps: updates of the quality model.
      fine_steps: updates of the model of the fine levels.
      planner_steps: updates of the planner.
      listening: clips that the embeddings and the quality model learn from.
      seed: of everything but the data.

    Raises:
      UserError: a number is below 1.
    """

    data: DatasetConfig = field(default_factory=DatasetConfig)
    codec_width: int = 256
    codec_steps: int = 5000
    decoder_steps: int = 10_000
    levels: int = 3
    width: int = 256
    layers: int = 5
    policy_steps: int = 10_000
    policy_batch: int = 16
    policy_learning_rate: float = 2e-3
    embedding_steps: int = 2000
    embedding_batch: int = 128
    quality_steps: int = 2000
    fine_steps: int = 2000
    planner_steps: int = 1000
    listening: int = 20_000
    seed: int = 0

    def __post_init__(self):
        """Refuse what only a later stage would stumble over."""
        counts = (
            "codec_width", "codec_steps", "decoder_steps", "levels", "width", "layers", "policy_steps",
            "policy_batch", "embedding_steps", "embedding_batch", "quality_steps", "fine_steps",
            "planner_steps", "listening",
        )  # fmt: skip
        for name in counts:
            if getattr(self, name) < 1:
                raise UserError("config", f"{name} is {getattr(self, name)}", "give at least 1")


PRESETS = {
    "smoke": Config(
        data=DatasetConfig(train=512, valid=64, test=64, seconds=2.56), codec_width=64, codec_steps=60,
        decoder_steps=40, width=64, layers=2, policy_steps=60, policy_batch=8, embedding_steps=30,
        embedding_batch=32, quality_steps=30, fine_steps=30, planner_steps=60, listening=256,
    ),
    "laptop": Config(),
    "gpu": Config(
        data=DatasetConfig(train=60_000, valid=1024, test=2048, seconds=10.24), codec_steps=20_000,
        decoder_steps=20_000, width=384, layers=8, policy_steps=40_000, policy_batch=64,
        policy_learning_rate=1e-3, embedding_steps=3000, embedding_batch=512, quality_steps=3000,
        fine_steps=10_000, listening=30_000,
    ),
}  # fmt: skip


def with_data(config: Config, dataset: Dataset) -> Config:
    """The configuration with the data set's own description."""
    return replace(config, data=dataset.config)


def sizes_of(config: Config) -> Sizes:
    """What a bundle of these networks needs to know."""
    return Sizes(config.codec_width, config.levels, config.width, config.layers, config.data.frames)

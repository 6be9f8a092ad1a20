"""The stages in their order."""

from collections.abc import Callable

from antiphon.studies.music_base.config import Config
from antiphon.studies.music_base.embedding import train_judge, train_reward
from antiphon.studies.music_base.planner import train_planner
from antiphon.studies.music_base.policy import train_fine, train_policy
from antiphon.studies.music_base.quality import train_quality
from antiphon.studies.music_base.tokens import train_codec, train_decoder, write_tokens
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.dataset import Dataset

_STAGE: dict[str, Callable[[Config, Dataset, RunDirectory], None]] = {
    "codec": train_codec,
    "tokens": write_tokens,
    "decoder": train_decoder,
    "planner": train_planner,
    "reward": train_reward,
    "judge": train_judge,
    "quality": train_quality,
    "fine": train_fine,
    "policy": train_policy,
}

STAGES = tuple(_STAGE)


def train(config: Config, dataset: Dataset, run: RunDirectory, stages: tuple[str, ...] = STAGES) -> None:
    """Run the named stages, in the order of :data:`STAGES`.

    Raises:
      UserError: a stage needs what an earlier one has not left.
      RunError: a stage cannot start or go on.
    """
    for name in STAGES:
        if name in stages:
            _STAGE[name](config, dataset, run)

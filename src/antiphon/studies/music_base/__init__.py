"""From scores to the base model: every network that the music world bundles, stage after stage.

    data -> codec -> tokens -> planner, two embeddings, quality, fine levels, policy

Each stage is one ``fit`` in one run directory and leaves one file; a stage whose file exists is skipped, an
interrupted one continues where it stopped.
"""

from antiphon.studies.music_base.beginning import begin_from
from antiphon.studies.music_base.config import PRESETS, Config, sizes_of, with_data
from antiphon.studies.music_base.packing import pack_run
from antiphon.studies.music_base.policy import policy_batches
from antiphon.studies.music_base.stages import STAGES, train
from antiphon.studies.music_base.tokens import codec_config, load_codec, load_tokens
from antiphon.studies.music_base.weights import weights_path

__all__ = [
    "PRESETS", "STAGES", "Config", "begin_from", "codec_config", "load_codec", "load_tokens", "pack_run",
    "policy_batches", "sizes_of", "train", "weights_path", "with_data",
]  # fmt: skip

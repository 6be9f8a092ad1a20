"""More training for the decoding half of a codec whose tokens must stay what they are.

Everything behind a codec is trained on its tokens, so once they are written the encoder and the codebooks
are frozen. The decoder is not bound: it may go on learning to make audio of them, at two thirds of the cost
of a step of the whole.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.nets.layers import ConvNeXt, Dense
from antiphon.worlds.music.codec import Codec, CodecNets, decode_spectrum
from antiphon.worlds.music.codec_training import mel_loss
from antiphon.worlds.music.optimiser import begin, clipped_adam, descend
from antiphon.worlds.music.spectrum import istft, magnitude, stft


class Decoder(NamedTuple):
    """The weights of :class:`~antiphon.worlds.music.codec.CodecNets` that decode."""

    expand: Dense
    slow: ConvNeXt
    split: Dense
    fast: ConvNeXt
    head_gain: Array
    head: Dense

    @staticmethod
    def of(nets: CodecNets) -> "Decoder":
        """The decoding half of a codec's networks."""
        return Decoder(*(getattr(nets, name) for name in Decoder._fields))


class DecoderState(NamedTuple):
    """The codec it began with, the decoder as it is now, optimiser state."""

    frozen: Codec
    decoder: Decoder
    optimiser: optax.OptState


class DecoderBatch(NamedTuple):
    """Excerpts: ``tokens`` ``[B, F, Q]`` of all levels, and their audio ``wave`` ``[B, F * FRAME]``."""

    tokens: Array | np.ndarray
    wave: Array | np.ndarray


@dataclass(frozen=True)
class DecoderTraining:
    """The spectral losses of :class:`~antiphon.worlds.music.codec_training.CodecTraining`, tokens given.

    Attributes:
      learning_rate: peak of a cosine to 1e-5 with a short warm-up.
      steps: length of the schedule.
      coarse_levels: the levels a policy will speak.
      coarse_share: share of the examples that keep only those; the others keep all levels.

    Raises:
      UserError: the share is no share.
    """

    learning_rate: float = 1e-3
    steps: int = 4000
    coarse_levels: int = 3
    coarse_share: float = 0.5

    def __post_init__(self):
        """Refuse what cannot be trained."""
        if not 0 <= self.coarse_share <= 1:
            raise UserError("config", f"coarse_share is {self.coarse_share}", "give a share between 0 and 1")

    def optimiser(self) -> optax.GradientTransformation:
        """See :func:`~antiphon.worlds.music.optimiser.clipped_adam`."""
        return clipped_adam(self.learning_rate, self.steps, warmup=min(100, self.steps // 10 + 1), final=1e-5)

    def init(self, codec: Codec) -> DecoderState:
        """Begin with a trained codec.

        Raises:
          UserError: it has fewer levels than the policy is to speak.
        """
        if codec.codes.shape[0] < self.coarse_levels:
            raise UserError(
                "config",
                f"the codec has {codec.codes.shape[0]} levels but coarse_levels is {self.coarse_levels}",
                "give at most all of them",
            )
        # The state is donated: the decoder needs buffers that the frozen codec does not share.
        decoder = jax.tree.map(jnp.copy, Decoder.of(codec.nets))
        return DecoderState(codec, decoder, begin(self.optimiser(), decoder))

    def step(
        self, state: DecoderState, batch: DecoderBatch, key: PRNGKeyArray
    ) -> tuple[DecoderState, dict[str, Array]]:
        """One update on excerpts and their tokens."""
        wave, codes = jnp.asarray(batch.wave), state.frozen.codes
        levels = codes.shape[0]
        coarse = jax.random.uniform(key, (wave.shape[0],)) < self.coarse_share
        keep = jnp.where(coarse, self.coarse_levels, levels)
        kept = jnp.arange(levels) < keep[:, None]
        # [Q, K, d] by level: the sum of the levels an example keeps.
        vectors = codes[jnp.arange(levels), jnp.asarray(batch.tokens).astype(jnp.int32)]
        latent = jnp.sum(jnp.where(kept[:, None, :, None], vectors, 0.0), axis=2)
        target = jnp.log(magnitude(stft(wave)) + 0.01)

        def loss_of(decoder):
            nets = state.frozen.nets._replace(**decoder._asdict())
            log_magnitude, phasor = decode_spectrum(nets, latent)
            rebuilt = istft(jnp.exp(log_magnitude) * phasor)
            direct = jnp.mean(jnp.abs(log_magnitude - target))
            mel = mel_loss(rebuilt, wave)
            return direct + mel, (direct, mel)

        (loss, (direct, mel)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.decoder)
        decoder, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.decoder)
        return DecoderState(state.frozen, decoder, optimiser), {"loss": loss, "direct": direct, "mel": mel}

    def codec(self, state: DecoderState) -> Codec:
        """The codec with the decoder that was trained."""
        return state.frozen._replace(nets=state.frozen.nets._replace(**state.decoder._asdict()))

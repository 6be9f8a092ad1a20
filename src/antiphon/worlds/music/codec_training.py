"""Training the codec: spectral losses, level dropout, dead-code revival."""

import functools
import operator
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.worlds.music import rvq
from antiphon.worlds.music.codec import FRAME, Codec, CodecConfig, CodecNets, decode_spectrum, encode_latent
from antiphon.worlds.music.optimiser import begin, clipped_adam, descend
from antiphon.worlds.music.spectrum import HOP, istft, log_mel, magnitude, stft


class CodecState(NamedTuple):
    """Networks, codebooks, optimiser state."""

    nets: CodecNets
    books: rvq.Codebooks
    optimiser: optax.OptState


@dataclass(frozen=True)
class CodecTraining:
    """The codec's training as a method: ``init`` and ``step``.

    Loss = L1 of the log magnitude the head predicts + L1 of log-mel spectra of the waveform at several
    windows (:func:`mel_loss`) + ``commitment`` times the commitment of SoundStream (arXiv 2107.03312).

    Differs from the paper: no adversarial loss; spectral front and head instead of waveform convolutions.

    Attributes:
      config: sizes.
      learning_rate: peak of a cosine with a short warm-up.
      steps: length of the schedule.
      coarse_levels: the levels a policy will speak.
      coarse_share: share of the examples that keep only those.
      full_share: share of the examples that keep all levels; the rest keep a uniform number.
      commitment: weight of the commitment loss.
      decay: of the codebooks' running means.
      dead: share of fair use below which a code is replaced.

    Raises:
      UserError: the levels or shares are impossible.
    """

    config: CodecConfig = field(default_factory=CodecConfig)
    learning_rate: float = 1.5e-3
    steps: int = 4000
    coarse_levels: int = 3
    coarse_share: float = 0.4
    full_share: float = 0.4
    commitment: float = 0.25
    decay: float = 0.98
    dead: float = 0.03

    def __post_init__(self):
        """Refuse what cannot be trained."""
        if not 1 <= self.coarse_levels <= self.config.levels:
            raise UserError(
                "config",
                f"the codec has {self.config.levels} levels but coarse_levels is {self.coarse_levels}",
                "give at least 1 and at most all of them",
            )
        if min(self.coarse_share, self.full_share) < 0 or self.coarse_share + self.full_share > 1:
            raise UserError(
                "config",
                f"coarse_share is {self.coarse_share} and full_share {self.full_share}",
                "give shares of at least 0 that sum to at most 1",
            )

    def optimiser(self) -> optax.GradientTransformation:
        """See :func:`~antiphon.worlds.music.optimiser.clipped_adam`; the last learning rate is 1e-5."""
        return clipped_adam(self.learning_rate, self.steps, warmup=min(50, self.steps // 10 + 1), final=1e-5)

    def init(self, key: PRNGKeyArray) -> CodecState:
        """Fresh networks and codebooks."""
        key_nets, key_books = jax.random.split(key)
        nets = CodecNets.init(key_nets, self.config)
        books = rvq.Codebooks.init(key_books, self.config.levels, self.config.codes, self.config.latent)
        return CodecState(nets, books, begin(self.optimiser(), nets))

    def step(
        self, state: CodecState, wave: Float[Array, "B N"], key: PRNGKeyArray
    ) -> tuple[CodecState, dict[str, Array]]:
        """One update on a batch of audio excerpts."""
        key_keep, key_level, key_update = jax.random.split(key, 3)
        batch, frames = wave.shape[0], wave.shape[1] // FRAME
        draw = jax.random.uniform(key_keep, (batch,))
        anywhere = jax.random.randint(key_level, (batch,), 1, self.config.levels + 1)
        keep = jnp.where(draw < self.full_share + self.coarse_share, self.coarse_levels, anywhere)
        keep = jnp.where(draw < self.full_share, self.config.levels, keep)

        def loss_of(nets):
            latent = encode_latent(nets, wave)
            flat = latent.reshape(-1, latent.shape[-1])
            seen = rvq.quantise(flat, state.books.codes, jnp.repeat(keep, frames))
            log_magnitude, phasor = decode_spectrum(nets, seen.vector.reshape(latent.shape))
            rebuilt = istft(jnp.exp(log_magnitude) * phasor)
            direct = jnp.mean(jnp.abs(log_magnitude - jnp.log(magnitude(stft(wave)) + 0.01)))
            mel = mel_loss(rebuilt, wave)
            return direct + mel + self.commitment * seen.commitment, (seen, direct, mel)

        (loss, (seen, direct, mel)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.nets)
        nets, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.nets)
        books = rvq.update(state.books, seen, key_update, self.decay, self.dead)
        metrics = {"loss": loss, "direct": direct, "mel": mel, "commitment": seen.commitment}
        return CodecState(nets, books, optimiser), metrics

    def codec(self, state: CodecState) -> Codec:
        """The codec a training state stands for (the last networks: the schedule ends near zero)."""
        return Codec(state.nets, state.books.codes)


_SCALES = ((512, 256, 64), (1024, HOP, 80), (2048, 512, 128), (4096, 1024, 229))
"""Window, hop and mel bands of each view; the longest resolves semitones down to about 250 Hz."""


def mel_loss(rebuilt: Float[Array, "B N"], wave: Float[Array, "B N"]) -> Float[Array, ""]:
    """L1 distance of log-mel spectra of two waveforms, mean over four pairs of window and band number."""

    def view(x, size, hop, bands):
        usable = x.shape[1] // hop * hop
        return log_mel(x[:, :usable], bands, size, hop)

    distances = [jnp.mean(jnp.abs(view(rebuilt, *scale) - view(wave, *scale))) for scale in _SCALES]
    return functools.reduce(operator.add, distances) / len(distances)


def log_mel_distance(rebuilt: Float[Array, "B N"], wave: Float[Array, "B N"]) -> Float[Array, " B"]:
    """The figure of merit: mean L1 distance of 80-band log-mel spectra (window 1024, hop 20 ms), per clip."""
    return jnp.mean(jnp.abs(log_mel(rebuilt) - log_mel(wave)), axis=(1, 2))

"""Training the codec: spectral losses, level dropout, dead-code revival."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.worlds.music import rvq
from antiphon.worlds.music.codec import FRAME, Codec, CodecConfig, CodecNets, decode_spectrum, encode_latent
from antiphon.worlds.music.spectrum import HOP, istft, log_mel, magnitude, mel_matrix, stft


class CodecState(NamedTuple):
    """Networks, codebooks, optimiser state."""

    nets: CodecNets
    books: rvq.Codebooks
    optimiser: optax.OptState


@dataclass(frozen=True)
class CodecTraining:
    """The codec's training as a method: ``init`` and ``step``.

    Loss = L1 of the log magnitude the head predicts + L1 of log-mel spectra of the waveform at several windows + commitment. No discriminator. ``full_share``
    of the examples keep all levels, ``coarse_share`` keep ``coarse_levels``, the rest a uniform number.

    Differs from SoundStream (arXiv 2107.03312): no adversarial loss, spectral front and head instead of waveform convolutions.
    """

    config: CodecConfig = CodecConfig()
    learning_rate: float = 1.5e-3
    steps: int = 4000
    coarse_levels: int = 3
    coarse_share: float = 0.4
    full_share: float = 0.4
    commitment: float = 0.25
    decay: float = 0.98
    dead: float = 0.03

    def optimiser(self) -> optax.GradientTransformation:
        """Adam with a short warm-up and a cosine to zero, gradient norm clipped to 1."""
        warm = min(50, self.steps // 10 + 1)
        schedule = optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, warm, self.steps, 1e-5)
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=0.9, b2=0.98))

    def init(self, key: PRNGKeyArray) -> CodecState:
        """Fresh networks and codebooks."""
        key_nets, key_books = jax.random.split(key)
        nets = CodecNets.init(key_nets, self.config)
        books = rvq.Codebooks.init(key_books, self.config.levels, self.config.codes, self.config.latent)
        return CodecState(nets, books, self.optimiser().init(nets))

    def step(self, state: CodecState, wave: Float[Array, "B N"], key: PRNGKeyArray) -> tuple[CodecState, dict]:
        """One update on a batch of audio excerpts."""
        key_keep, key_level, key_update = jax.random.split(key, 3)
        batch, frames = wave.shape[0], wave.shape[1] // FRAME
        draw = jax.random.uniform(key_keep, (batch,))
        anywhere = jax.random.randint(key_level, (batch,), 1, self.config.levels + 1)
        keep = jnp.where(draw < self.full_share + self.coarse_share, self.coarse_levels, anywhere)
        keep = jnp.where(draw < self.full_share, self.config.levels, keep)

        def loss_of(nets):
            latent = encode_latent(nets, wave)
            seen = rvq.quantise(latent.reshape(-1, latent.shape[-1]), state.books.codes, jnp.repeat(keep, frames))
            log_magnitude, phasor = decode_spectrum(nets, seen.vector.reshape(latent.shape))
            rebuilt = istft(jnp.exp(log_magnitude) * phasor)
            direct = jnp.mean(jnp.abs(log_magnitude - jnp.log(magnitude(stft(wave)) + 0.01)))
            mel = mel_loss(rebuilt, wave)
            return direct + mel + self.commitment * seen.commitment, (seen, direct, mel)

        (loss, (seen, direct, mel)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.nets)
        updates, optimiser = self.optimiser().update(gradient, state.optimiser, state.nets)
        nets = optax.apply_updates(state.nets, updates)
        books = rvq.update(state.books, seen, key_update, self.decay, self.dead)
        metrics = {"loss": loss, "direct": direct, "mel": mel, "commitment": seen.commitment}
        return CodecState(nets, books, optimiser), metrics

    def codec(self, state: CodecState) -> Codec:
        """The codec a training state stands for (last networks: the schedule ends at zero)."""
        return Codec(state.nets, state.books.codes)


_SCALES = ((512, 256, 64), (1024, HOP, 80), (2048, 512, 128), (4096, 1024, 229))
"""Window, hop and mel bands of each view; the longest resolves semitones down to about 250 Hz."""


def mel_loss(rebuilt: Float[Array, "B N"], wave: Float[Array, "B N"]) -> Float[Array, ""]:
    """Mean over :data:`_SCALES` of the L1 distance of log-mel spectra of two waveforms."""

    def view(x, size, hop, bands):
        usable = x.shape[1] // hop * hop
        return jnp.log(jnp.dot(magnitude(stft(x[:, :usable], size, hop)), mel_matrix(bands, size)) + 0.01)

    distances = [jnp.mean(jnp.abs(view(rebuilt, *scale) - view(wave, *scale))) for scale in _SCALES]
    return sum(distances) / len(distances)


def log_mel_distance(rebuilt: Float[Array, "B N"], wave: Float[Array, "B N"]) -> Float[Array, " B"]:
    """The figure of merit: mean L1 distance of 80-band log-mel spectra (window 1024, hop 20 ms), per clip."""
    return jnp.mean(jnp.abs(log_mel(rebuilt) - log_mel(wave)), axis=(1, 2))

"""From a caption to the beat grid: which tempo and metre a clip will have.

The policy is told where each frame stands in its beat, which needs the tempo before the first frame is drawn.
A small classifier reads it from the caption; a caption that does not say is answered by drawing from what the
classifier thinks likely.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from antiphon.core.indexing import pick
from antiphon.nets.text_encoder import TextEncoder, TextParams
from antiphon.worlds.music.attributes import METRES, TEMPI
from antiphon.worlds.music.optimiser import begin, descend

ENCODER = TextEncoder(len(TEMPI) + len(METRES), width=64, layers=1)


def logits(params: TextParams, words: Int[Array, "B W P"]) -> tuple[Float[Array, "B 4"], Float[Array, "B 3"]]:
    """Scores of each tempo and each metre."""
    out = ENCODER(params, words)
    return out[:, : len(TEMPI)], out[:, len(TEMPI) :]


def plan(
    params: TextParams, key: PRNGKeyArray, words: Int[Array, "B W P"]
) -> tuple[Int[Array, " B"], Int[Array, " B"]]:
    """Draw ``(tempo, metre)`` for each caption."""
    key_tempo, key_metre = jax.random.split(key)
    tempo, metre = logits(params, words)
    return jax.random.categorical(key_tempo, tempo), jax.random.categorical(key_metre, metre)


class PlannerState(NamedTuple):
    """Weights and optimiser state."""

    params: TextParams
    optimiser: optax.OptState


@dataclass(frozen=True)
class PlannerTraining:
    """Cross-entropy on captions and the true grid.

    Labels are not smoothed, so what a caption does not say keeps its true frequencies.
    """

    learning_rate: float = 3e-3
    steps: int = 800

    def optimiser(self) -> optax.GradientTransformation:
        """Adam with a cosine to zero."""
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))

    def init(self, key: PRNGKeyArray) -> PlannerState:
        """Fresh classifier."""
        params = ENCODER.init(key)
        return PlannerState(params, begin(self.optimiser(), params))

    def step(
        self, state: PlannerState, batch: tuple[Array, Array, Array], key: PRNGKeyArray
    ) -> tuple[PlannerState, dict[str, Array]]:
        """One update on ``(words [B, W, P], tempo [B], metre [B])``."""
        del key
        words, tempo, metre = batch

        def loss_of(params):
            tempo_logits, metre_logits = logits(params, words)
            of_tempo = -pick(jax.nn.log_softmax(tempo_logits), tempo)
            of_metre = -pick(jax.nn.log_softmax(metre_logits), metre)
            return jnp.mean(of_tempo + of_metre), (jnp.mean(of_tempo), jnp.mean(of_metre))

        (loss, (of_tempo, of_metre)), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        params, optimiser = descend(self.optimiser(), gradient, state.optimiser, state.params)
        return PlannerState(params, optimiser), {"loss": loss, "tempo": of_tempo, "metre": of_metre}

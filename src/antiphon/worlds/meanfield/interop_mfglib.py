"""MFGLib's environments as games, and games as its environments; states and actions are numbered row by row.

MFGLib says when an action is taken as T + 1 decisions at times 0 … T, in torch, with the successor as the
first axis of its kernels. Its functions are called back from compiled code, so nothing here is fast.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.equilibrium import MeanFieldGame
from antiphon.worlds.meanfield.called_back import call_back
from antiphon.worlds.meanfield.kernel_table import kernel_table


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MFGLibGame:
    """An environment of MFGLib; made by :func:`from_mfglib`.

    Attributes:
        start: distribution at time 0, [S].
        environment: what is asked for kernel and reward.
    """

    start: Float[Array, "S"]
    environment: Any = field(metadata={"static": True})

    @property
    def horizon(self) -> int:
        """T + 1."""
        return self.environment.T + 1

    @property
    def n_states(self) -> int:
        """All states, flattened."""
        return self.environment.n_states

    @property
    def n_actions(self) -> int:
        """All actions, flattened."""
        return self.environment.n_actions

    @property
    def populations(self) -> tuple[int, ...]:
        """One population."""
        return ()

    @property
    def time_dependent(self) -> bool:
        """An environment may read the time."""
        return True

    def init(self) -> Float[Array, "S"]:
        """Distribution at time 0."""
        return self.start

    def kernel(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A S"]:
        """P(s' | s, a, crowd), asked of the environment; not differentiable."""
        found = self._ask("prob", (self.n_states, *crowd.shape), time, crowd)
        return jnp.moveaxis(found, 0, -1)

    def reward(self, time, crowd: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """r(s, a, crowd), asked of the environment; not differentiable."""
        return self._ask("reward", crowd.shape, time, crowd)

    def _ask(self, what: str, shape: tuple[int, ...], time: Any, crowd: Array) -> Array:
        def answer(time: int, crowd: np.ndarray) -> np.ndarray:
            import torch  # pyright: ignore[reportMissingImports]

            env = self.environment
            joint = torch.from_numpy(crowd).to(torch.get_default_dtype())
            return getattr(env, what)(time, joint.reshape(*env.S, *env.A)).detach().numpy()

        return call_back(answer, shape, time, crowd)


def from_mfglib(environment: Any) -> MFGLibGame:
    """An environment of MFGLib as a game.

    Raises:
        UserError: it is no such environment.
    """
    missing = [name for name in ("T", "S", "A", "mu0", "reward", "prob") if not hasattr(environment, name)]
    if missing:
        raise UserError("environment", f"it has no {missing[0]}", "give an mfglib.env.Environment")
    return MFGLibGame(jnp.asarray(environment.mu0.numpy().ravel(), float), environment)


def to_mfglib(game: MeanFieldGame, largest_reward: float | None = None) -> Any:
    """A game of one population as an ``mfglib.env.Environment``, in torch's default precision.

    Args:
        game: any game with a finite horizon; time T of the environment is its last decision.
        largest_reward: bound on |r|, which some of MFGLib's methods need; by default the largest at time 0
            when everybody does anything anywhere.

    Raises:
        UserError: the game has several populations.
    """
    import torch  # pyright: ignore[reportMissingImports]
    from mfglib.env import Environment  # pyright: ignore[reportMissingImports]

    if game.populations:
        raise UserError("populations", "MFGLib knows one population", "export the populations one by one")

    @jax.jit
    def kernel(time: Array, crowd: Array) -> Array:
        return jnp.moveaxis(kernel_table(game.kernel(time, crowd), jnp.sum(crowd, axis=-1)), -1, 0)

    reward = jax.jit(game.reward)

    def asked(function: Any) -> Any:
        def answer(env: Any, time: int, joint: Any) -> Any:
            del env
            found = function(jnp.asarray(time), jnp.asarray(joint.detach().numpy()))
            return torch.from_numpy(np.array(found)).to(torch.get_default_dtype())

        return answer

    if largest_reward is None:
        even = jnp.full((game.n_states, game.n_actions), 1.0 / (game.n_states * game.n_actions))
        largest_reward = float(jnp.max(jnp.abs(reward(jnp.asarray(0), even))))
    start = torch.from_numpy(np.array(game.init())).to(torch.get_default_dtype())
    return Environment(
        T=game.horizon - 1, S=(game.n_states,), A=(game.n_actions,), mu0=start, r_max=largest_reward,
        reward_fn=asked(reward), transition_fn=asked(kernel),
    )  # fmt: skip

"""Sampled gradients of the preference methods against enumeration: three tokens, up to six of a kind."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.divergences import forward_kl
from antiphon.equilibrium.preference_game import nash, preference_game
from antiphon.feedback.preference import from_table
from antiphon.methods.nash_md import Duel, NashMD
from antiphon.methods.online_ipo import Bout, OnlineIPO
from antiphon.methods.reinforce_kl import ReinforceKL, Rollout
from antiphon.worlds.diagnostics.preferences import random_table

V = 3


@dataclass(frozen=True)
class Tree:
    """Scores of the next token by all before it: ``params [T, V^(T−1), V]``; no two prefixes share any."""

    length: int

    @property
    def completions(self):
        return np.array(list(itertools.product(range(V), repeat=self.length)))

    @property
    def shape(self):
        return (self.length, V ** (self.length - 1), V)

    def places(self, tokens):
        """Number of the prefix before every token."""
        before = [tokens[:, :t] @ (V ** np.arange(t)[::-1]) if t else 0 * tokens[:, 0]
                  for t in range(self.length)]  # fmt: skip
        return jnp.stack(before, axis=1)

    def logits(self, params, tokens, context):
        return params[jnp.arange(self.length), self.places(tokens)]

    def sample(self, params, key, context, *, temperature=1.0):
        raise NotImplementedError

    def sample_mixture(self, params, other, key, context, *, share, temperature=1.0):
        raise NotImplementedError

    def log_law(self, params, other=None, share=0.0):
        """Of every completion, mixed with another one token by token."""
        completions = jnp.asarray(self.completions)
        scores = (1 - share) * self.logits(params, completions, None)
        if other is not None:
            scores = scores + share * self.logits(other, completions, None)
        return jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(scores), completions[..., None], -1), (1, 2))

    def from_law(self, log_law):
        """Parameters whose law is the one given."""
        params = np.zeros(self.shape)
        for t in range(self.length):
            mass = np.exp(np.asarray(log_law)).reshape(V**t, V, -1).sum(-1)
            params[t, : V**t] = np.log(mass)
        return jnp.asarray(params)


def draw(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def judge(tree):
    return from_table(lambda tokens: tokens @ (V ** np.arange(tree.length)[::-1]))


def relative(found, wanted):
    return float(jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted))


@pytest.mark.parametrize("beta", [0.0, 0.125, 1.0])
def test_nash_md_on_six_tokens(beta):
    with jax.enable_x64():
        tree, tau = Tree(6), 0.2
        policy, anchor = draw(0, tree.shape), draw(1, tree.shape)
        table = jnp.asarray(random_table(0, V**6, 2.0))
        won = table @ jnp.exp(tree.log_law(policy, anchor, beta))
        method = NashMD(tree, judge(tree), tau=tau, beta=beta, group=1, microbatch=1)
        state = method.init(policy, table, anchor)
        found = expected(tree, policy, lambda tokens, place: method.gradient(
            state, Duel(tokens[None], jnp.zeros(1), jnp.ones((1, 6)), won[place, None]))[0])  # fmt: skip

        def objective(params):
            log_p = tree.log_law(params)
            return jnp.exp(log_p) @ won - tau * forward_kl(log_p, tree.log_law(anchor))

        assert relative(found, -jax.grad(objective)(policy)) < 1e-6
        # The KL of the own token alone, as some have it, is another gradient.
        assert relative(found, -jax.grad(lambda p: jnp.exp(tree.log_law(p)) @ won)(policy)) > 0.1


def test_rlhf_on_six_tokens():
    with jax.enable_x64():
        tree, alpha = Tree(6), 0.3
        policy, anchor, reward = draw(0, tree.shape), draw(1, tree.shape), draw(2, V**6)
        method = ReinforceKL(
            tree, lambda *_: {}, (("r", 1.0),), alpha=alpha, group=1, microbatch=1, temperature=1.0,
            baseline="none",
        )  # fmt: skip
        state = method.init(policy, ())._replace(anchor=anchor)

        def of_one(tokens, place):
            worth = reward[place, None]
            rollout = Rollout(tokens[None], jnp.zeros(1), jnp.ones((1, 6)), worth, {"r": worth})
            return method.gradient(state, rollout)[0].policy

        def objective(params):
            log_p = tree.log_law(params)
            return (1 - alpha) * jnp.exp(log_p) @ reward - alpha * forward_kl(log_p, tree.log_law(anchor))

        assert relative(expected(tree, policy, of_one), -jax.grad(objective)(policy)) < 1e-6


def expected(tree, policy, gradient_of_one):
    """Mean over all completions, each as often as the policy writes it."""

    def weighted(total, row):
        tokens, place, weight = row
        return total + weight * gradient_of_one(tokens, place), None

    count = V**tree.length
    rows = jnp.asarray(tree.completions), jnp.arange(count), jnp.exp(tree.log_law(policy))
    return jax.jit(lambda: jax.lax.scan(weighted, jnp.zeros(tree.shape), rows)[0])()


def expected_ipo(tree, method, state, table, params):
    """Over all pairs, each as often as the mixture that is sampled writes it."""
    law = jnp.exp(tree.log_law(params, state.anchor, method.beta))
    completions = jnp.asarray(tree.completions)

    def of_pair(a, b):
        pair = jnp.array([a, b])
        bout = Bout(completions[pair][None], jnp.zeros((1, 2)), jnp.ones((1, 2, tree.length)),
                    table[pair][:, pair][None])  # fmt: skip
        return method.gradient(state._replace(params=params), bout)[0]

    first, second = (x.reshape(-1) for x in jnp.meshgrid(*[jnp.arange(len(completions))] * 2))
    return jnp.tensordot(law[first] * law[second], jax.jit(jax.vmap(of_pair))(first, second), 1)


def test_online_ipo_descends_four_over_tau_times_as_self_play_does():
    with jax.enable_x64():
        tree, tau = Tree(2), 0.2
        policy, anchor = draw(0, tree.shape), draw(1, tree.shape)
        table = jnp.asarray(random_table(0, V**2, 2.0))
        ipo = OnlineIPO(tree, judge(tree), tau=tau)
        found = expected_ipo(tree, ipo, ipo.init(policy, table, anchor), table, policy)
        won = table @ jnp.exp(tree.log_law(policy))

        def objective(params):
            log_p = tree.log_law(params)
            return jnp.exp(log_p) @ won - tau * forward_kl(log_p, tree.log_law(anchor))

        assert relative(found, -4 / tau * jax.grad(objective)(policy)) < 1e-6


def test_online_ipo_stands_still_at_the_regularised_equilibrium_alone():
    with jax.enable_x64():
        tree, tau = Tree(2), 0.3
        anchor, table = draw(1, tree.shape), jnp.asarray(random_table(0, V**2, 2.0))
        mu = np.exp(np.asarray(tree.log_law(anchor)))
        equilibrium = nash(preference_game(table, tau, mu))
        method = OnlineIPO(tree, judge(tree), tau=tau)
        state = method.init(anchor, table)

        def force(method, log_law):
            return float(jnp.linalg.norm(expected_ipo(tree, method, state, table, tree.from_law(log_law))))

        best = np.log(equilibrium)
        assert force(method, best) < 1e-6
        response = np.log(mu) + np.asarray(table) @ mu / tau  # to the reference, where IPO ends
        response -= np.logaddexp.reduce(response)
        assert force(method, response) > 0.1
        # IPO on the reference's own pairs, β = 1, is at home there instead.
        offline = OnlineIPO(tree, judge(tree), tau=tau, beta=1.0)
        assert force(offline, response) < 1e-6
        assert force(offline, best) > 0.1

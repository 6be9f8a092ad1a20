import dataclasses

import jax
import jax.numpy as jnp
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem, major_minor_game, mean_field_game, rules
from antiphon.worlds.meanfield.sis import SIS
from antiphon.worlds.meanfield.susceptible_infected import SusceptibleInfected


def broken(kind, **functions):
    return rules(type("Broken", (kind,), functions))()


def test_a_row_that_does_not_sum_to_one_is_named():
    def next_state(self, state, action, mean_field, time):
        return jnp.where((state == 1) & (action == 0), jnp.array([0.5, 0.4]), jnp.array([0.5, 0.5]))

    with pytest.raises(UserError, match=r"\[0\.5, 0\.4\] at state 1, action 0, time 0, which sums to 0\.9;"):
        mean_field_game(broken(SusceptibleInfected, next_state=next_state))


def test_a_negative_probability_is_named():
    def next_state(self, state, action, mean_field, time):
        return jnp.array([1.5, -0.5])

    with pytest.raises(UserError, match="state 0, action 0, time 0"):
        mean_field_game(broken(SusceptibleInfected, next_state=next_state))


def test_a_wrong_shape_is_named():
    def next_state(self, state, action, mean_field, time):
        return jnp.array([0.2, 0.3, 0.5])

    with pytest.raises(UserError, match=r"shape \[3\].*state 0, action 0, time 0; return .* 2 states"):
        mean_field_game(broken(SusceptibleInfected, next_state=next_state))
    with pytest.raises(UserError, match=r"reward has shape \[2\]"):
        mean_field_game(broken(SusceptibleInfected, reward=lambda self, s, a, m, t: m))
    with pytest.raises(UserError, match=r"start\(\) has shape \[3\]"):
        mean_field_game(broken(SusceptibleInfected, start=lambda self: jnp.ones(3) / 3))


def test_a_reward_that_is_no_number_is_named_with_its_time():
    def reward(self, state, action, mean_field, time):
        return jnp.where((time == 3) & (action == 1), jnp.nan, 0.0)

    with pytest.raises(UserError, match="reward is nan at state 0, action 1, time 3; return a finite number"):
        mean_field_game(broken(SusceptibleInfected, reward=reward, time_dependent=True))


def test_the_major_player_is_checked_too():
    def reward(self, state, action, mean_field, major_state, major_action):
        return jnp.where((major_state == 1) & (major_action == 0) & (state == 1), jnp.inf, 0.0)

    with pytest.raises(UserError, match="major state 1, major action 0, state 1, action 0, time 0"):
        major_minor_game(broken(SIS, reward=reward))
    with pytest.raises(UserError, match=r"major_next_state .* at major state 0, major action 0"):
        major_minor_game(broken(SIS, major_next_state=lambda self, s, a, m: jnp.array([0.5, 0.6])))
    with pytest.raises(UserError, match="major_start"):
        major_minor_game(broken(SIS, major_start=lambda self: jnp.array([0.5, 0.6])))


def test_a_class_without_the_decorator_is_named():
    class Plain(SusceptibleInfected):
        pass

    with pytest.raises(UserError, match=r"Plain is not a pytree.*@rules"):
        mean_field_game(Plain())


def test_what_is_missing_is_named():
    with pytest.raises(UserError, match=r"no function reward; write def reward\(self, state, action, mean_f"):
        mean_field_game(broken(SusceptibleInfected, reward=None))
    with pytest.raises(UserError, match="has no n_actions"):
        mean_field_game(broken(SusceptibleInfected, n_actions=None))
    with pytest.raises(UserError, match="n_states of Broken is 0"):
        mean_field_game(broken(SusceptibleInfected, n_states=0))
    with pytest.raises(UserError, match="no function major_start"):
        major_minor_game(broken(SIS, major_start=None))


def test_other_arguments_are_named():
    with pytest.raises(
        UserError, match=r"reward of Broken takes \(s, a\); write def reward\(self, state, act"
    ):
        mean_field_game(broken(SusceptibleInfected, reward=lambda self, s, a: 0.0))
    with pytest.raises(
        UserError, match=r"write def major_next_state\(self, major_state, major_action, mean_"
    ):
        major_minor_game(broken(SIS, major_next_state=lambda self, s: jnp.array([0.5, 0.5])))


def test_a_question_about_a_state_is_named_with_its_line():
    def reward(self, state, action, mean_field, time):
        if state == 1:
            return -1.0
        return 0.0

    with pytest.raises(UserError, match=r"reward asks at test_pointwise\.py, line \d+, .*jnp\.where"):
        mean_field_game(broken(SusceptibleInfected, reward=reward))


def test_coefficients_are_leaves_and_sizes_are_not():
    @rules
    class Small(SusceptibleInfected):
        extra: float = 1.0
        name: str = "small"

    leaves = jax.tree.leaves(SusceptibleInfected())
    assert len(leaves) == 5
    assert len(jax.tree.leaves(Small())) == 6
    with pytest.raises(dataclasses.FrozenInstanceError):
        Small().extra = 2.0  # pyright: ignore


def test_a_sweep_over_a_coefficient_is_one_vmap():
    def value(infection):
        problem = FlowProblem(mean_field_game_unchecked(SusceptibleInfected(infection=infection, horizon=5)))
        return problem.measure(problem.uniform()).value

    def mean_field_game_unchecked(rules):
        from antiphon.equilibrium.pointwise import PointwiseGame

        return PointwiseGame(rules)

    values = jax.vmap(value)(jnp.array([0.1, 0.5, 0.9]))
    assert values[0] > values[1] > values[2]

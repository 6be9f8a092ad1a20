import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.equilibrium import FlowProblem
from antiphon.worlds.meanfield.garnet import RandomGame, garnet
from antiphon.worlds.meanfield.roads import three_roads
from antiphon.worlds.meanfield.zoo import GAMES, build, find_rules

PROTOCOL = """
import jax.numpy as jnp
from antiphon.equilibrium import rules

@rules
class Still:
    horizon: int = 2
    n_states = n_actions = 2
    populations = ()
    time_dependent = False
    def init(self):
        return jnp.array([0.25, 0.75])
    def kernel(self, time, crowd):
        return jnp.broadcast_to(jnp.eye(2)[:, None], (2, 2, 2))
    def reward(self, time, crowd):
        return jnp.array([[0.0, 1.0], [0.0, 2.0]])
"""


def test_names_are_one_of_a_kind_and_make_rules():
    names = [entry.name for entry in GAMES]
    assert len(set(names)) == len(names)
    for entry in GAMES:
        assert entry.about
        assert hasattr(entry.rules(), "horizon") or hasattr(entry.rules(), "build")


def test_a_file_may_hold_a_game_of_arrays(tmp_path):
    file = tmp_path / "still.py"
    file.write_text(PROTOCOL)
    problem = FlowProblem(build(find_rules(f"{file}:Still")()))
    # Uniform earns ½ and 1 a step; the best 1 and 2.
    gap = problem.measure(problem.uniform())
    assert float(gap.exploitability) == pytest.approx(2 * (0.25 * 0.5 + 0.75 * 1.0))


def test_a_random_game_is_the_garnet_of_its_seed():
    ours = build(RandomGame(kind="cyclic", seed=3, n_states=4))
    theirs = garnet(jax.random.key(3), "cyclic", n_states=4)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_three_roads_as_their_docstring_says():
    np.testing.assert_allclose(three_roads().equilibrium(), [2 / 3, 1 / 3, 0], atol=1e-6)


def test_says_what_is_missing(tmp_path):
    file = tmp_path / "still.py"
    file.write_text(PROTOCOL)
    for name, said in ((f"{file}:Stil", "has no class 'Stil'"), (str(file), "which class"), ("sars", "sars")):
        with pytest.raises(UserError, match=said):
            find_rules(name)

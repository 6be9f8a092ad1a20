"""Teacher and student: small decoders, how they are made, and the ones that ship with the package.

Run as a program it makes the shipped ones again: ``python -m antiphon.studies.gkd.networks DIR [RUN]``, and
with the run directory that an interrupted making left, it goes on with that.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from antiphon.methods.sft import SFT, SFTBatch, SFTState
from antiphon.nets.llama import Llama, LlamaParams
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.weights import load_tree, save_tree
from antiphon.studies.gkd.training import fine_tune, judge
from antiphon.train.fit import fit
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.arithmetic import LETTERS, Chain, Exercises

CHAIN = Chain()
SHIPPED = Path(__file__).parents[2] / "assets" / "gkd"
_TEACHER_STEPS, _TEACHER_BATCH = 1500, 96
_SHIPPED_EXAMPLES, _SHIPPED_STEPS = 1500, 1500


def _decoder(width: int, layers: int, hidden: int, rope_base: float) -> LlamaPolicy:
    config = Llama(
        len(LETTERS), width=width, layers=layers, heads=4, kv_heads=4, head_width=width // 4, hidden=hidden,
        context=CHAIN.question_length + CHAIN.answer_length, tied=False, rope_base=rope_base,
    )  # fmt: skip
    return LlamaPolicy(config, Decoding(new_tokens=CHAIN.answer_length))


# Where an operation stands differs from step to step: with the usual base, two dozen positions are hardly
# told apart, and a student of few exercises learns them by heart. Base 30 with strong weight decay makes most
# starts land between 20 and 55 % of fresh exercises right; base 100 with weak decay, one in six.
STUDENT = _decoder(64, 2, 176, rope_base=30.0)
_START_DECAY = 0.3
TEACHER = _decoder(96, 2, 264, rope_base=10_000.0)


def new_params(policy: LlamaPolicy, key: PRNGKeyArray) -> LlamaParams:
    """Random weights of deviation ``width ** -0.5``: a decoder's own 0.02 is for wide layers."""
    wider = 50.0 * policy.config.width**-0.5
    return jax.tree.map(
        lambda leaf: leaf * wider if leaf.ndim > 1 and not (leaf == 1).all() else leaf,
        policy.config.init(key),
    )


def exercises(seed: int, count: int, start: int) -> Exercises:
    """The fixed set that a student sees: its own for every start, smaller ones the head of larger ones."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 1), start)
    drawn = CHAIN.draw(key, 4000)
    return jax.tree.map(lambda leaf: leaf[:count], drawn)


def fresh(seed: int, count: int) -> Exercises:
    """Exercises that everybody is judged on."""
    return CHAIN.draw(jax.random.fold_in(jax.random.key(seed), 2), count)


def start_params(seed: int, start: int, count: int, steps: int, batch: int) -> LlamaParams:
    """A student fine-tuned on its ``count`` exercises: where every distillation begins."""
    key_init, key_data = jax.random.split(jax.random.fold_in(jax.random.key(seed), 100 + start))
    method = SFT(STUDENT, learning_rate=3e-3, steps=steps, warmup=100, final=0.05, weight_decay=_START_DECAY)
    given = exercises(seed, count, start)
    return fine_tune(method, new_params(STUDENT, key_init), given, key_data, batch=batch)


def teacher_params(seed: int, run: RunDirectory | None = None) -> LlamaParams:
    """A teacher trained on exercises without end; with a run directory, interruptions cost little."""
    key_init, key_data = jax.random.split(jax.random.fold_in(jax.random.key(seed), 3))
    method = SFT(TEACHER, learning_rate=4e-3, steps=_TEACHER_STEPS, warmup=60, final=0.05, weight_decay=0.01)

    def step(state: SFTState, batch: None, key: PRNGKeyArray) -> tuple[SFTState, dict[str, Array]]:
        del batch
        key_draw, key_step = jax.random.split(key)
        drawn = CHAIN.draw(key_draw, _TEACHER_BATCH)
        batch_drawn = SFTBatch(drawn.answers, drawn.prompts(), jnp.ones(drawn.answers.shape))
        return method.step(state, batch_drawn, key_step)

    state = method.init(new_params(TEACHER, key_init))
    return fit(step, state, steps=_TEACHER_STEPS, key=key_data, chunk=50, run=run, name="teacher").params


def shipped_teacher() -> LlamaParams:
    """The teacher that ships with the package."""
    return load_tree(SHIPPED / "teacher.safetensors", shape_of(TEACHER))


def shipped_start() -> LlamaParams:
    """The start that ships with the package: the first of those made with 1,500 exercises."""
    return load_tree(SHIPPED / "start.safetensors", shape_of(STUDENT))


def shape_of(policy: LlamaPolicy) -> LlamaParams:
    """Shapes of a decoder's weights."""
    return jax.eval_shape(policy.config.init, jax.random.key(0))


def main(folder: Path, run: RunDirectory) -> None:
    """Make the shipped networks and say how good they are."""
    judged = fresh(0, 2000)
    made = (
        ("teacher", TEACHER, teacher_params(0, run)),
        ("start", STUDENT, start_params(0, 0, _SHIPPED_EXAMPLES, _SHIPPED_STEPS, 32)),
    )
    for name, policy, params in made:
        score = judge(policy, params, CHAIN, judged)
        say(f"{name}: {score.greedy:.2%} greedy, {score.sampled:.2%} at temperature 1")
        save_tree(folder / f"{name}.safetensors", params, metadata=score._asdict())


if __name__ == "__main__":
    made_in = RunDirectory.open(sys.argv[2]) if len(sys.argv) > 2 else None
    main(Path(sys.argv[1]), made_in or RunDirectory.create("gkd-networks", {}, seed=0))

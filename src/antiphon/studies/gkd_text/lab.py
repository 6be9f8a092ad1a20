"""A task's teacher, starts and students: how each is made once, and judged once."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from antiphon.core.errors import UserError
from antiphon.methods.gkd import GKD, GKDState
from antiphon.methods.sft import SFT, SFTBatch, SFTState
from antiphon.nets.llama import LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.objectives.distillation import TokenDivergence
from antiphon.studies.gkd.arms import Arm, slug
from antiphon.studies.gkd_text.config import Config, Sizes
from antiphon.studies.gkd_text.marks import SHOWN, TextScore, write
from antiphon.studies.gkd_text.tasks import Task
from antiphon.train.fit import fit
from antiphon.train.pieces import done_once
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.examples import Answers, Examples, rows_of_step, tokenise
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.records import Records
from antiphon.worlds.text.small_model import new_model, sizes_for, train_tokenizer, weights_named
from antiphon.worlds.text.tokenizer import load_tokenizer

_DECAY = 0.1
_TEACHER, _START, _STUDENT = 0, 1, 100
"""Seeds of the teacher, the first start, and its students."""


@dataclass(frozen=True, eq=False)
class Lab:
    """Everything of one task.

    Attributes:
        config: sizes.
        task: what is to be written.
        run: where trainings are kept.
        train: rows to learn from.
        test: rows to be judged on.
        begun: starts so far, by number.
    """

    config: Config
    task: Task
    run: RunDirectory
    train: Records
    test: Records
    begun: dict[int, LlamaParams] = field(default_factory=dict)

    @property
    def sizes(self) -> Sizes:
        """Of this task's networks and trainings."""
        return self.task.sizes(self.config)

    @cached_property
    def beginning(self) -> TextModel:
        """The teacher before it has learnt anything of the task; its tokenizer is everybody's.

        Raises:
            UserError: there is no such model, or it reads less than a prompt and its completion.
        """
        sizes = self.sizes
        if not sizes.teacher.startswith("new:"):
            model = TextModel.load(sizes.teacher)
            if model.config.context < self._context:
                raise UserError(
                    "config",
                    f"{sizes.teacher} reads {model.config.context} tokens, and prompt and completion take "
                    f"{self._context}",
                    "set a smaller prompt_tokens",
                )
            return model
        folder = self.run.path / "tokenizers" / self.task.name
        if (folder / "tokenizer_config.json").is_file():
            tokenizer = load_tokenizer(folder)
        else:
            texts = (f"{record.prompt}{record.completion}" for record in self.train.good)
            tokenizer = train_tokenizer(texts, sizes.vocabulary)
            folder.mkdir(parents=True, exist_ok=True)
            tokenizer.save(folder)
        weights, seed = weights_named(sizes.teacher), 1000 * self.config.seed
        return new_model(sizes.teacher, weights, tokenizer, context=self._context, seed=seed)

    @cached_property
    def teacher(self) -> LlamaParams:
        """The teacher's weights."""
        sizes = self.sizes
        method = self._tuning(self.teacher_policy, sizes.teacher_rate, sizes.teacher_steps)
        rows = self._head(self.lessons, sizes.teacher_rows)
        state = self._fit(
            "teacher", _tune, method.init(self.beginning.params), rows, method, method.steps, _TEACHER
        )
        return state.params

    @cached_property
    def teacher_policy(self) -> LlamaPolicy:
        """The teacher without its weights."""
        return LlamaPolicy(self.beginning.config, self._decoding)

    @cached_property
    def student_policy(self) -> LlamaPolicy:
        """A student without its weights."""
        weights = weights_named(self.sizes.student)
        # The teacher's weights may have room for more tokens than the tokenizer knows.
        config = sizes_for(weights, self.beginning.config.vocabulary, self._context)
        return LlamaPolicy(config, self._decoding)

    @cached_property
    def lessons(self) -> Examples:
        """Rows to learn from, as tokens."""
        return self._tokens(self.train)

    @cached_property
    def exams(self) -> Examples:
        """The first so many rows to be judged on, as tokens."""
        return self._head(self._tokens(self.test), self.config.judged)

    def score(self, policy: LlamaPolicy, params: LlamaParams) -> TextScore:
        """Marks on the rows to be judged on."""
        wanted = self.wanted
        greedy, sampled = (
            self.texts(write(policy, params, self.exams, temperature, self.config.seed))
            for temperature in (0.0, 1.0)
        )
        measure = self.task.measure
        return TextScore(measure(greedy, wanted), measure(sampled, wanted), tuple(greedy[:SHOWN]))

    @property
    def wanted(self) -> list[str]:
        """What people wrote for the rows to be judged on."""
        texts = {record.line: (record.completion or "").strip() for record in self.test.good}
        return [texts[int(line)] for line in self.exams.lines]

    def texts(self, tokens: np.ndarray) -> list[str]:
        """Completions as people read them."""
        stop, pad = self.beginning.tokenizer.stop, self.beginning.tokenizer.pad
        ended = [[int(token) for token in row if token not in (*stop, pad)] for row in tokens]
        return [self.beginning.tokenizer.decode(row).strip() for row in ended]

    def start(self, number: int) -> LlamaParams:
        """A student fine-tuned on its rows: where every distillation begins."""
        if number not in self.begun:
            sizes = self.sizes
            method = self._tuning(self.student_policy, sizes.start_rate, sizes.start_steps)
            key = jax.random.key(1000 * self.config.seed + 1 + number)
            state = method.init(self.student_policy.config.init(key))
            rows = self._head(self.lessons, sizes.rows)
            name, seed = f"start-{number}", _START + number
            self.begun[number] = self._fit(name, _tune, state, rows, method, method.steps, seed).params
        return self.begun[number]

    def arm(self, arm: Arm, number: int) -> TextScore:
        """The score of one arm from one start."""
        name = f"{arm.name}-{number}"
        score = self.scored(
            f"{number}/{slug(arm.name)}", self.student_policy, lambda: self._trained(arm, number, name)
        )
        # The score is what is kept; weights and moments of every student would fill a disk.
        shutil.rmtree(self.run.checkpoints / self._place(name), ignore_errors=True)
        return score

    def scored(self, name: str, policy: LlamaPolicy, params: Callable[[], LlamaParams]) -> TextScore:
        """The score of a network, which is made and judged once."""

        def make() -> dict[str, np.ndarray]:
            score = self.score(policy, params())
            return {part: np.asarray(value) for part, value in score._asdict().items()}

        kept = done_once(self.run, f"{self.task.name}/{name}", make)
        return TextScore(float(kept["greedy"]), float(kept["sampled"]), tuple(map(str, kept["shown"])))

    def _trained(self, arm: Arm, number: int, name: str) -> LlamaParams:
        sizes, rows = self.sizes, self._head(self.lessons, self.sizes.rows)
        steps, begin = round(sizes.steps * arm.stretch), self.start(number)
        if arm.written == "teacher":
            rows = self._answered_by_teacher(rows)
        if arm.kind is None:
            tuning = self._tuning(self.student_policy, sizes.rate, steps)
            return self._fit(name, _tune, tuning.init(begin), rows, tuning, steps, _STUDENT + number).params
        method = GKD(
            self.student_policy, self.teacher_policy, on_policy=arm.on_policy,
            divergence=TokenDivergence(arm.kind, arm.beta), chosen=self.student_policy.chosen,
            learning_rate=sizes.rate, steps=steps, warmup=min(100, steps // 4), weight_decay=_DECAY,
        )  # fmt: skip
        fixed = (method, self.teacher)
        return self._fit(name, _distil, method.init(begin, ()), rows, fixed, steps, _STUDENT + number).params

    def _answered_by_teacher(self, rows: Examples) -> Examples:
        """The same prompts with what the teacher draws for them at temperature 1."""

        def make() -> dict[str, np.ndarray]:
            return {"tokens": write(self.teacher_policy, self.teacher, rows, 1.0, self.config.seed)}

        tokens = done_once(self.run, f"{self.task.name}/teacher-writes", make)["tokens"].astype(np.int32)
        mask = self.student_policy.chosen(rows.prompts, jnp.asarray(tokens))
        return replace(rows, answers=Answers(tokens, np.asarray(mask, np.float32)))

    def _fit(
        self,
        name: str,
        step: Callable[..., Any],
        state: Any,
        rows: Examples,
        fixed: Any,
        steps: int,
        seed: int,
    ) -> Any:
        """A training, on batches of rows; one that is finished is read back."""
        which = rows_of_step(len(rows), self.sizes.batch, seed + 1000 * self.config.seed)
        answers = rows.answers
        assert answers is not None

        def batches(number: int) -> SFTBatch:
            at = which(number)
            prompts = Prompts(*(np.asarray(leaf)[at] for leaf in rows.prompts))  # pyright: ignore[reportArgumentType]
            return SFTBatch(answers.tokens[at], prompts, answers.mask[at])  # pyright: ignore[reportArgumentType]

        key = jax.random.fold_in(jax.random.key(self.config.seed), seed)
        # Of the others only the last step is written down: dozens of curves in one chart tell nothing.
        log_every = 10 if seed in (_TEACHER, _START, _STUDENT) else steps
        return fit(
            step, state, steps=steps, key=key, batches=batches, fixed=fixed, chunk=20, run=self.run,
            name=self._place(name), checkpoint_every=10, log_every=log_every, keep=1,
        )  # fmt: skip

    def _place(self, name: str) -> str:
        return f"{self.task.name}-{slug(name)}"

    def _tuning(self, policy: LlamaPolicy, rate: float, steps: int) -> SFT:
        return SFT(
            policy, learning_rate=rate, steps=steps, warmup=min(100, steps // 4), final=0.05,
            weight_decay=_DECAY,
        )  # fmt: skip

    @property
    def _decoding(self) -> Decoding:
        tokenizer = self.beginning.tokenizer
        return Decoding(self.sizes.new_tokens, tokenizer.stop, tokenizer.pad)

    @property
    def _context(self) -> int:
        return self.sizes.prompt_tokens + self.sizes.new_tokens

    def _tokens(self, records: Records) -> Examples:
        sizes = self.sizes
        found = tokenise(
            records, self.beginning.tokenizer, self._context, answers=True, new_tokens=sizes.new_tokens,
            prompt_tokens=sizes.prompt_tokens, plain=True, sampled=True,
        )  # fmt: skip
        if found.bad:
            say(f"{records.path}: {len(found.bad)} of {len(records.good)} rows are too long and left out")
        return found

    @staticmethod
    def _head(rows: Examples, count: int) -> Examples:
        """The first so many rows, all for 0."""
        if not count or count >= len(rows):
            return rows
        prompts = Prompts(*(leaf[:count] for leaf in rows.prompts))
        assert rows.answers is not None
        answers = Answers(rows.answers.tokens[:count], rows.answers.mask[:count])
        return replace(rows, prompts=prompts, answers=answers, lines=rows.lines[:count])


def _tune(state: SFTState, batch: SFTBatch, key: PRNGKeyArray, method: SFT) -> tuple[SFTState, Any]:
    """The method is an argument, so that trainings that differ in a number share a compiled program."""
    return method.step(state, batch, key)


def _distil(
    state: GKDState, batch: SFTBatch, key: PRNGKeyArray, fixed: tuple[GKD, LlamaParams]
) -> tuple[GKDState, dict[str, Array]]:
    """The teacher is an argument too, so that no checkpoint holds it."""
    method, teacher = fixed
    state, metrics = method.step(state._replace(teacher=teacher), batch, key)
    return state._replace(teacher=()), metrics

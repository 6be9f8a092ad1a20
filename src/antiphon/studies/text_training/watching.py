"""What is seen of a training: a line of figures, and now and then what the model writes."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from antiphon.nets.llama_decoding import Prompts
from antiphon.studies.text_training.job import Fixed, Job
from antiphon.train.hooks import FitInfo, Stop
from antiphon.train.progress import say

_LINE_INTERVAL = 5.0  # seconds between lines where no terminal shows a moving one


@dataclass(frozen=True)
class Pace:
    """How far and how fast.

    Attributes:
        steps: done since the compilation.
        seconds: they took.
        tokens: they read or wrote, padding left out.
    """

    steps: int = 0
    seconds: float = 0.0
    tokens: float = 0.0

    @property
    def tokens_per_second(self) -> float:
        """0 while nothing is known."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    def matmul_share(self, work: float, rate: float) -> float | None:
        """Share of the machine's rate.

        Args:
            work: operations of a step; 0 where nobody counted.
            rate: operations a second that the machine does.
        """
        return work * self.steps / self.seconds / rate if work and self.seconds > 0 else None


class Watch:
    """A hook that keeps the pace and shows a line: moving on a terminal, every few seconds elsewhere."""

    def __init__(
        self, name: str, show: Sequence[str], tokens: Callable[[FitInfo], float], work: float, rate: float
    ) -> None:
        """Start watching.

        Args:
            name: of the method.
            show: metrics of the line.
            tokens: of a chunk.
            work: operations of a step.
            rate: operations a second that the machine does.
        """
        self._name, self._show, self._tokens, self._work, self._rate = name, show, tokens, work, rate
        self._live = sys.stderr.isatty()
        self._quiet = os.environ.get("ANTIPHON_PROGRESS") == "quiet"
        self._last = -math.inf
        self._before: float | None = None
        self.pace = Pace()
        self.metrics: dict[str, float] = {}

    def __call__(self, info: FitInfo) -> Stop | None:
        """A chunk is over."""
        now = time.monotonic()
        # The first chunk holds the compilation.
        if self._before is not None:
            done = info.step - info.previous_step
            self.pace = Pace(
                self.pace.steps + done,
                self.pace.seconds + now - self._before,
                self.pace.tokens + self._tokens(info),
            )
        self._before = now
        self.metrics = {name: float(np.mean(values)) for name, values in info.metrics.items()}
        due = self._live or now - self._last >= _LINE_INTERVAL or info.step >= info.steps
        if due and not self._quiet:
            self._last = now
            self._write(self._line(info))
        return None

    def pause(self, seconds: float) -> None:
        """Time that went elsewhere, such as into samples."""
        if self._before is not None:
            self._before += seconds

    def tell(self, text: str) -> None:
        """Lines beside the moving one."""
        if not self._quiet:
            sys.stderr.write("\r\x1b[2K" if self._live else "")
            say(text)

    def close(self) -> None:
        """Leaves the last line as it is."""
        if self._live and not self._quiet and self._before is not None:
            sys.stderr.write("\n")

    def _write(self, line: str) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()
        else:
            say(line)

    def _line(self, info: FitInfo) -> str:
        words = [f"{self._name}: {info.step}/{info.steps}"]
        words += [f"{name} {self.metrics[name]:.4g}" for name in self._show if name in self.metrics]
        pace = self.pace
        if pace.seconds > 0:
            if pace.tokens:
                words.append(f"{pace.tokens_per_second:,.0f} tokens/s")
            share = pace.matmul_share(self._work, self._rate)
            if share is not None:
                words.append(f"{share:.0%} of the matmul rate")
            left = (info.steps - info.step) * pace.seconds / pace.steps
            words.append(f"{left:.0f} s left" if left < 600 else f"{left / 60:.0f} min left")
        return " · ".join(words)


class Samples:
    """Writes what the model says to the first prompts, for the reader and into ``media/samples.jsonl``."""

    def __init__(self, job: Job, watch: Watch, path: Path, count: int = 2) -> None:
        """Choose the prompts.

        Args:
            job: the model and the rows.
            watch: shows them, and does not count their time.
            path: of the file.
            count: prompts.
        """
        self._job, self._watch, self._path = job, watch, path
        room = job.model.config.context - job.decoder.decoding.new_tokens
        length = np.asarray(job.examples.prompts.length)
        self._rows = np.flatnonzero(length <= room)[:count]
        self._width = int(min(job.examples.prompts.tokens.shape[1], room))

        def draw(fixed: Fixed, params: PyTree, prompts: Prompts) -> Array:
            return job.policy(fixed).sample(params, jax.random.key(0), prompts, temperature=0.0)

        self._draw = jax.jit(draw)

    def __call__(self, info: FitInfo) -> Stop | None:
        """Greedy completions of the prompts."""
        if not self._rows.size:
            return None
        began = time.monotonic()
        prompts = self._job.prompts(self._rows)
        shown = Prompts(jnp.asarray(prompts.tokens[:, : self._width]), jnp.asarray(prompts.length))
        tokens = np.asarray(self._draw(self._job.fixed, info.state.params, shown))
        stop, decode = self._job.model.tokenizer.stop, self._job.model.tokenizer.decode
        with open(self._path, "a", encoding="utf-8") as file:
            for row, made in zip(self._rows, tokens, strict=True):
                ids = prompts_ids(self._job, int(row))
                end = next((i for i, token in enumerate(made) if int(token) in stop), len(made))
                asked, text = self._job.examples.asked[ids], decode(made[:end])
                entry = {"step": info.step, "prompt": asked, "completion": text}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                self._watch.tell(f"  {_one_line(asked)} → {_one_line(text)}")
        self._watch.pause(time.monotonic() - began)
        return None


def prompts_ids(job: Job, row: int) -> tuple[int, ...]:
    """Token ids of a row's prompt."""
    tokens, length = job.examples.prompts
    return tuple(int(token) for token in tokens[row, : int(length[row])])


def _one_line(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"

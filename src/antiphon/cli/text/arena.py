"""``antiphon text arena``: models against each other on the same prompts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from antiphon.cli.compilation import keep_compilations
from antiphon.cli.output import emit, say, show_table
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


@dataclass(frozen=True)
class ArenaArguments:
    """Let models answer the same prompts, and have a judge compare every pair."""

    models: tyro.conf.Positional[tuple[str, ...]]
    """Two or more: smollm2, GGUF files, Hugging Face or PEFT folders."""

    judge: str = ""
    """Who compares: raters.py:function, or a folder of preference-model or reward-model."""

    data: Path | None = None
    """JSONL or Parquet with prompts."""

    pairs: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 200
    """Prompts at most, the first of the file."""

    tokens: int = 64
    """New tokens at most."""

    temperature: float = 1.0
    """Of sampling; 0 takes the likeliest token every time."""

    batch: int = 32
    """Prompts at once."""

    plain: bool = False
    """Continue prompts as plain text even if a model has a chat template."""

    show: int = 0
    """Print so many prompts with what every model says."""

    seed: int = 0
    """Same seed, same machine, same completions."""

    json: bool = False
    """Make the last line of output one JSON object."""


def main(argv: Sequence[str]) -> int:
    """Prints the table: rows win against columns."""
    arguments = parse(ArenaArguments, argv, "antiphon text arena")
    if len(arguments.models) < 2:
        raise UserError("usage", f"{len(arguments.models)} model in the arena", "name two or more")
    if arguments.data is None:
        raise UserError("usage", "no --data is given", "add a JSONL file with prompts")
    if not arguments.judge:
        raise UserError("usage", "no --judge is given", "add one, such as --judge raters.py:judge")
    for name in ("pairs", "tokens", "batch"):
        if getattr(arguments, name) < 1:
            raise UserError("usage", f"--{name} is {getattr(arguments, name)}", "give at least 1")
    keep_compilations()
    from antiphon.studies.text_training.judges import text_judge
    from antiphon.worlds.text.arena import play
    from antiphon.worlds.text.contest import answers_to
    from antiphon.worlds.text.records import read_records

    records = read_records(arguments.data, "prompt")
    for row in records.bad[:5]:
        say(f"{records.path}: {row}")
    if records.bad:
        say(f"{records.path}: {len(records.bad)} of {len(records.bad) + len(records.good)} rows are left out")
    judge = text_judge(arguments.judge)
    asked = records.good[: arguments.pairs]
    said = []
    for place, name in enumerate(arguments.models):
        began = time.perf_counter()
        said.append(
            answers_to(
                name, asked, tokens=arguments.tokens, temperature=arguments.temperature,
                batch=arguments.batch, plain=arguments.plain, 
                # Each model draws on its own: a win is over independent completions.
                seed=arguments.seed * 1009 + place,
            )
        )  # fmt: skip
        say(f"{name}: {len(asked)} completions in {time.perf_counter() - began:.1f} s")
    table = play(arguments.models, [record.asked for record in asked], said, judge)
    for place, record in enumerate(asked[: arguments.show]):
        say(f"\n{record.asked}")
        for name, texts in zip(arguments.models, said, strict=True):
            say(f"  {name}: {' '.join(texts[place].split())}")
    if arguments.json:
        emit(
            {
                "models": table.models,
                "wins": table.wins,
                "low": table.low,
                "high": table.high,
                "pairs": table.pairs,
                "judge": arguments.judge,
            }
        )
    else:
        rows = [
            [
                name,
                *(
                    _cell(table.wins[i, j], table.low[i, j], table.high[i, j], i == j)
                    for j in range(len(said))
                ),
            ]
            for i, name in enumerate(table.models)
        ]
        show_table(["wins against", *table.models], rows)
    return 0


def _cell(wins: float, low: float, high: float, own: bool) -> str:
    return "–" if own else f"{wins:.3f} [{low:.3f}, {high:.3f}]"

"""What a model says to many prompts, in batches of one shape."""

from collections.abc import Sequence

import numpy as np

from antiphon.core.errors import UserError
from antiphon.nets.llama_sampling import Decoding
from antiphon.worlds.text.completion import complete
from antiphon.worlds.text.examples import prompt_ids
from antiphon.worlds.text.model import TextModel
from antiphon.worlds.text.records import Record


def answers_to(
    name: str,
    records: Sequence[Record],
    *,
    tokens: int = 64,
    temperature: float = 1.0,
    batch: int = 32,
    plain: bool = False,
    seed: int = 0,
) -> list[str]:
    """A completion of every prompt.

    Args:
        name: of the model, as :meth:`~antiphon.worlds.text.model.TextModel.load` takes it.
        records: rows with prompts.
        tokens: new ones at most.
        temperature: 0 takes the likeliest token.
        batch: prompts at once.
        plain: continue texts even if there is a chat template.
        seed: of the draws.

    Raises:
        UserError: a prompt is too long for the model, which is named with its line.
    """
    model = TextModel.load(name)
    rows = [prompt_ids(record, model.tokenizer, plain) for record in records]
    room = model.config.context - tokens
    for record, row in zip(records, rows, strict=True):
        if len(row) > room:
            raise UserError(
                "prompt",
                f"line {record.line} has a prompt of {len(row)} tokens, and {name} has room for {room}",
                "shorten it, or ask for fewer new tokens",
            )
    decoding = Decoding(new_tokens=tokens)
    # Rows of like length together, and the last batch filled up, so that few shapes are compiled.
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    said = [""] * len(rows)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        filled = [rows[place] for place in places] + [rows[places[-1]]] * (batch - len(places))
        own = int(np.random.SeedSequence((seed, start)).generate_state(1)[0])
        texts, _ = complete(model, filled, decoding=decoding, temperature=temperature, seed=own)
        for place, text in zip(places, texts, strict=False):
            said[place] = text
    return said

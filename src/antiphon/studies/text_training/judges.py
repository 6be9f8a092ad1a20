"""Judges by name: a Python function of the user, or a model that was trained to judge."""

from antiphon.core.errors import UserError
from antiphon.worlds.text.arena import Compare
from antiphon.worlds.text.judging import TextJudge


def text_judge(name: str) -> Compare:
    """A function ``(prompt, first, second)`` to the probability that the first is preferred.

    Raises:
        UserError: there is no such judge.
    """
    if ".py:" not in name:
        raise UserError("judge", f"{name} is no judge", "give raters.py:function")
    return TextJudge.load(name).compare

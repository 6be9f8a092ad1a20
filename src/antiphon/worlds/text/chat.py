"""Chat templates: messages to one prompt, by the Jinja program that a model brings along."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from antiphon.core.errors import UserError

Message: TypeAlias = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


def render(template: str, messages: Sequence[Message], names: Mapping[str, str], answer: bool) -> str:
    """The prompt of a conversation.

    The template comes from a file that somebody downloaded, so it runs in Jinja's sandbox, with the functions
    that transformers gives it.

    Args:
        template: Jinja source.
        messages: the conversation.
        names: special tokens, such as ``bos_token``.
        answer: end with the beginning of the assistant's turn.

    Raises:
        UserError: a message without role and content, or a template that fails.
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    for i, message in enumerate(messages):
        if not isinstance(message.get("role"), str) or "content" not in message:
            raise UserError("messages", f"message {i} has no role or no content", "give both")

    def refuse(reason: str) -> None:
        raise jinja2.TemplateError(reason)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": datetime.now().strftime}
    try:
        program = environment.from_string(template)
        return program.render(messages=messages, add_generation_prompt=answer, **names)
    except (jinja2.TemplateError, TypeError) as error:
        raise UserError(
            "chat-template", f"the chat template refuses these messages ({error})", "change roles or order"
        ) from error


def _to_json(value: Any, indent: int | None = None) -> str:
    # Jinja's own filter would escape for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent)

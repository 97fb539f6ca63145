"""The chat text of a pair, and the query/response files, in the published ReFusion format."""

from __future__ import annotations

import json

PAD, START, END, BEGIN, MASK = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|beginoftext|>", "<|mask|>",
)  # fmt: skip
SPECIAL = (PAD, START, END, BEGIN, MASK)

# ChatML, as the published checkpoint renders it for messages without tools.
TEMPLATE = (
    "{%- for message in messages -%}\n"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "{{- '<|im_start|>assistant\\n' -}}\n"
    "{%- endif -%}\n"
)


def prompt(query: str) -> str:
    """The text before the response: one user message, then the assistant's header."""
    return f"{START}user\n{query}{END}\n{START}assistant\n"


def load_pairs(path: str) -> list[tuple[str, str]]:
    """(query, response) of a JSON array, or of one object a line; question/answer names too."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [
        (row.get("query", row.get("question")), row.get("response", row.get("answer")))
        for row in rows
    ]

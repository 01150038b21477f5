"""Makes untrusted text safe for widgets that interpret Markdown."""

from __future__ import annotations

import re

from engine.errors import UserError, rename_options
from engine.runs.fit_options import FIT_OPTIONS

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~^$:<>&=\"'/@])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# What Streamlit turns into a link even when escaped; a character without width divides it.
_ADDRESS = re.compile(r"https?:(?=//)|www(?=\.)|(?<=[\w.+-])@(?=[-\w]+\.[-\w])", re.IGNORECASE)
_NO_BREAK = "\u2060"


def one_line(text: str) -> str:
    """Replace line breaks and other control characters, which could hide or reorder text."""
    return _CONTROL.sub("␤", text)


def literal(text: str) -> str:
    """Return Markdown that shows ``text`` as it is: no link, no image, no tag, no directive."""
    apart = _ADDRESS.sub(lambda match: f"{match[0]}{_NO_BREAK}", one_line(text))
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[1])};", apart)


def error_text(error: UserError) -> str:
    """Return Markdown of an error's sentence, with its arguments by their labels on the page."""
    return literal(error.on_form(_label))


def form_text(text: str) -> str:
    """Return Markdown of a sentence, with options of the command line by their labels."""
    return literal(form_words(text))


def form_words(text: str) -> str:
    """Return plain text of a sentence, with options of the command line by their labels."""
    return rename_options(text, lambda name, _: f"“{_label(name)}”")


def _label(name: str) -> str:
    labels = {option.name: option.label for option in FIT_OPTIONS}
    return labels.get(name, name.replace("_", " ").capitalize())

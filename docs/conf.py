"""How Sphinx builds these pages. Nothing is fetched: no fonts, no scripts, no other projects' inventories."""

import re

import antiphon

project = "antiphon"
author = "the antiphon authors"
copyright = "the antiphon authors, Apache-2.0"
version = release = antiphon.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"antiphon {release}"
html_show_sourcelink = False
html_copy_source = False

# The docstrings are Google's form with single backticks around names; formulas are plain characters.
default_role = "code"
napoleon_numpy_docstring = False
# As fields of the class, so that a dataclass does not describe its attributes a second time.
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the constructor's signature has them already
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90

_QUOTED = re.compile(r"(``.+?``|:[a-z]+:`.+?`|`.+?`)")
_MARKUP = re.compile(r"([*|\\])|(?<=\w)_(?!\w)")


def formulas_as_they_stand(app, what, name, obj, options, lines):
    """Keep formulas as they stand: their characters are no markup, and an indented one is a block.

    ``|x|`` would be a substitution, ``[T, *B]`` an emphasis without end, ``v_`` a hyperlink.
    """
    block = False
    for at, line in enumerate(lines):
        before = lines[at - 1] if at else ""
        if line.startswith("    ") and not before.strip() and at and _opens_a_block(lines, at):
            block = True
        elif line.strip() and not line.startswith("    "):
            block = False
        if not block:
            parts = _QUOTED.split(line)
            parts[::2] = [_MARKUP.sub(lambda found: "\\" + found.group(0), part) for part in parts[::2]]
            lines[at] = "".join(parts)
        if before.strip() in ("Returns:", "Yields:") and line.strip():
            # Napoleon takes words before a colon for a type; here the signature has the type.
            lines[at] = "    : " + lines[at].strip()
    opened = [at for at in range(1, len(lines)) if lines[at].startswith("    ") and _opens_a_block(lines, at)]
    for at in reversed(opened):
        lines[at:at] = ["::", ""]


def _opens_a_block(lines, at):
    """Whether an indented line follows an empty line and a paragraph that is not indented: a formula."""
    above = [line for line in lines[: at - 1] if line.strip()]
    return not lines[at - 1].strip() and bool(above) and not above[-1].startswith(" ")


def short_arrays(app, what, name, obj, options, signature, returned):
    """`Float[Array, "T"]` as it is written, and not with the array's private home."""
    return tuple(text and text.replace("jaxlib._jax.Array", "Array") for text in (signature, returned))


def setup(app):
    """The first comes before napoleon, which listens at 500."""
    app.connect("autodoc-process-docstring", formulas_as_they_stand, priority=400)
    app.connect("autodoc-process-signature", short_arrays)

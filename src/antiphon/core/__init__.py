"""Mathematics with no opinion.

The modules are the vocabulary: ``from antiphon.core import divergences, simplex, trees``. Only the error type
is re-exported here, because the command line imports this package and must not wait for jax.
"""

from antiphon.core.errors import UserError

__all__ = ["UserError"]

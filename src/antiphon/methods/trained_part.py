"""Optimisers that keep nothing for weights that stay as they are, such as those under an adapter."""

import jax
import optax

from antiphon.nets.sequence_model import PartlyTrained


def for_trained_part(model: object, optimiser: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimiser of a model's parameters: moments, norm and decay of what learns, nothing of the rest.

    Adam keeps two numbers for every weight it is shown. Under an adapter of rank 16 that would be the whole
    frozen network twice over.

    Args:
        model: says what learns if it is :class:`~antiphon.nets.sequence_model.PartlyTrained`; of any other
            model everything does.
        optimiser: for what learns.
    """
    if not isinstance(model, PartlyTrained):
        return optimiser
    trained = model.trainable
    frozen = optax.masked(optax.set_to_zero(), lambda params: jax.tree.map(lambda t: not t, trained(params)))
    return optax.chain(optax.masked(optimiser, trained), frozen)

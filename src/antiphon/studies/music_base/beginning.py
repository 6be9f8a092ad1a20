"""A run that begins with the networks of a bundle instead of random ones."""

from antiphon.core.errors import UserError
from antiphon.studies.music_base.config import Config, sizes_of
from antiphon.studies.music_base.weights import keep_weights
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import NETWORKS, Bundle

BEGINNING = "policy-beginning"
"""Weights from which stage policy starts where they are there."""


def begin_from(bundle: Bundle, config: Config, run: RunDirectory, stages: tuple[str, ...]) -> None:
    """Leave a bundle's networks in a new run as finished stages, all but those that are to be trained.

    The codec is always taken, so that tokens mean what they meant. A policy that is to be trained starts from
    the bundle's, with a schedule of its own.

    Args:
      bundle: where the networks come from.
      config: the run's.
      run: has no stage finished yet.
      stages: what will be trained.

    Raises:
      UserError: the bundle's networks have other sizes than the configuration.
      RunError: the disk refused.
    """
    if sizes_of(config) != bundle.sizes:
        raise UserError(
            "config",
            f"the run is for {sizes_of(config)}, and {bundle.folder} holds {bundle.sizes}",
            "choose the size and the data that the bundle was made with",
        )
    for name in NETWORKS:
        if name == "codec" or name not in stages:
            keep_weights(run, name, bundle.network(name))
    if "policy" in stages:
        keep_weights(run, BEGINNING, bundle.policy)

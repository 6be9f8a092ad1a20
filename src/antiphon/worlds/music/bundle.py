"""The music models as files: packed small, read with their checksums, fine-tuned policies as differences.

A folder holds ``manifest.json`` (sizes, one checksum per file, how they were made) and one safetensors file
per network. The codec is kept in float16; everything else in 8-bit integers with one scale per output unit,
which is about the precision of the bfloat16 products they feed.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from antiphon.core.errors import UserError
from antiphon.nets.difference import load_difference, save_difference
from antiphon.nets.frame_model import FrameModel
from antiphon.nets.weights import load_tree, save_tree
from antiphon.train.errors import RunError
from antiphon.train.files import disk_errors, read_json, write_json
from antiphon.worlds.music.codec import Codec, CodecConfig, CodecNets
from antiphon.worlds.music.embedding import Embedding
from antiphon.worlds.music.fine import FineModel
from antiphon.worlds.music.planner import ENCODER
from antiphon.worlds.music.policy import Judges, music_model
from antiphon.worlds.music.quality import QualityModel

NETWORKS = ("codec", "policy", "fine", "planner", "reward", "judge", "quality")
DEFAULT = Path(__file__).parents[2] / "assets" / "music"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Sizes:
    """What it takes to rebuild the networks' shapes.

    Attributes:
      codec_width: channels of the codec.
      levels: of the codec that the policy speaks.
      width: of the policy.
      layers: of the policy.
      frames: length of the clips the policy was trained on.
    """

    codec_width: int = 256
    levels: int = 3
    width: int = 256
    layers: int = 5
    frames: int = 128

    @property
    def policy(self) -> FrameModel:
        """The policy's model."""
        return music_model(self.width, self.layers, self.levels)

    @property
    def fine(self) -> FineModel:
        """The model of the fine levels."""
        return FineModel(coarse=self.levels)

    def init(self, key: PRNGKeyArray) -> dict[str, PyTree]:
        """Random weights of all networks, by the names of :data:`NETWORKS`."""
        config = CodecConfig(width=self.codec_width)

        def codec(key: PRNGKeyArray) -> Codec:
            key_nets, key_codes = jax.random.split(key)
            codes = jax.random.normal(key_codes, (config.levels, config.codes, config.latent))
            return Codec(CodecNets.init(key_nets, config), codes)

        makers = {
            "codec": codec, "policy": self.policy.init, "fine": self.fine.init, "planner": ENCODER.init,
            "reward": Embedding().init, "judge": Embedding().init, "quality": QualityModel().init,
        }  # fmt: skip
        keys = jax.random.split(key, len(makers))
        return {name: make(one) for (name, make), one in zip(makers.items(), keys, strict=True)}

    def shapes(self) -> dict[str, PyTree]:
        """``jax.ShapeDtypeStruct`` trees of all networks."""
        return jax.eval_shape(self.init, jax.random.key(0))


def pack(folder: Path | str, sizes: Sizes, networks: dict[str, PyTree], made: dict[str, Any]) -> None:
    """Write a bundle.

    Args:
      folder: destination, made if need be.
      sizes: of the networks.
      networks: weights by the names of :data:`NETWORKS`, all of them.
      made: how they were made (command, versions) and, under "figures", how good they are; kept in the
        manifest.

    Raises:
      UserError: a network is missing.
      RunError: the disk refused.
    """
    lacking = [name for name in NETWORKS if name not in networks]
    if lacking:
        raise UserError("weights", f"a bundle needs the network {lacking[0]!r}", "train it first")
    folder = Path(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in NETWORKS:
        path = folder / f"{name}.safetensors"
        with disk_errors(path):
            if name == "codec":
                files[name] = save_tree(path, networks[name], storage_dtype="float16")
            else:
                nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), networks[name])
                files[name] = save_difference(path, networks[name], nothing, bits=8).sha256
    manifest = {"sizes": asdict(sizes), "sha256": files, "made": made, "policies": {}}
    write_json(folder / _MANIFEST, manifest)


def add_policy(
    folder: Path | str, name: str, params: PyTree, made: dict[str, Any], bits: Literal[4, 8] = 4
) -> float:
    """Add a fine-tuned policy as a difference to the bundled base.

    Args:
      folder: a bundle.
      name: what it will be called; an earlier one of this name is replaced.
      params: weights.
      made: how it was made, as in :func:`pack`.
      bits: of each stored weight.

    Returns:
      ``‖stored − given‖ / ‖given‖`` of the difference.

    Raises:
      UserError: the folder is no bundle, or the name cannot be used.
      RunError: the disk refused.
    """
    if name == "base" or not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(
            "model",
            f"a policy cannot be called {name!r}",
            "choose letters, digits and dashes, but not 'base'",
        )
    bundle = Bundle.load(folder)
    path = bundle.folder / f"policy-{name}.safetensors"
    with disk_errors(path):
        error = save_difference(path, params, bundle.policy, bits=bits)
    policies = {**bundle.manifest["policies"], name: {"sha256": error.sha256, "made": made}}
    write_json(bundle.folder / _MANIFEST, {**bundle.manifest, "policies": policies})
    return error.relative


@dataclass(frozen=True)
class Bundle:
    """Loaded lazily: a network is read, and its checksum compared, when it is first used."""

    folder: Path
    manifest: dict[str, Any]

    @staticmethod
    def load(folder: Path | str = DEFAULT) -> "Bundle":
        """Open a bundle.

        Raises:
          UserError: the folder holds none, or its manifest is damaged.
        """
        path = Path(folder) / _MANIFEST
        if not path.is_file():
            raise UserError(
                "weights",
                f"{folder} holds no music models (no {_MANIFEST})",
                "give a folder made by `antiphon music train`, or reinstall antiphon",
            )
        try:
            manifest = read_json(path)
            Sizes(**manifest["sizes"])
            lacking = [name for name in NETWORKS if name not in manifest["sha256"]]
            lacking += [name for name in ("made", "policies") if name not in manifest]
            if lacking:
                raise KeyError(lacking[0])
        except (RunError, KeyError, TypeError, OSError) as error:
            said = f"lacks {error}" if isinstance(error, KeyError) else f"is damaged ({_first_line(error)})"
            raise UserError(
                "weights", f"{path} {said}", "fetch the models again, or pack them anew"
            ) from None
        return Bundle(Path(folder), manifest)

    @property
    def sizes(self) -> Sizes:
        """Sizes of the networks."""
        return Sizes(**self.manifest["sizes"])

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies: "base" and those added."""
        return ("base", *self.manifest["policies"])

    @property
    def files(self) -> dict[str, str]:
        """Checksums by file name, as the manifest has them."""
        networks = {f"{name}.safetensors": sha256 for name, sha256 in self.manifest["sha256"].items()}
        added = self.manifest["policies"].items()
        return networks | {f"policy-{name}.safetensors": entry["sha256"] for name, entry in added}

    def made(self, name: str) -> dict[str, Any]:
        """How a policy was made, and under "figures" how good it is."""
        return self.manifest["made"] if name == "base" else self.manifest["policies"][name]["made"]

    @cached_property
    def _shapes(self) -> dict[str, PyTree]:
        return self.sizes.shapes()

    def network(self, name: str) -> PyTree:
        """A network by its name in :data:`NETWORKS`, read anew.

        Raises:
          UserError: its file is damaged.
        """
        path, sha256 = self.folder / f"{name}.safetensors", self.manifest["sha256"][name]
        if name == "codec":
            return load_tree(path, self._shapes[name], sha256=sha256)
        # Made by NumPy: jax would compile a program for every shape.
        nothing = jax.tree.map(lambda leaf: jnp.asarray(np.zeros(leaf.shape, leaf.dtype)), self._shapes[name])
        return load_difference(path, nothing, sha256=sha256)

    @cached_property
    def codec(self) -> Codec:
        """The codec."""
        return self.network("codec")

    @cached_property
    def policy(self) -> PyTree:
        """The base policy."""
        return self.network("policy")

    @cached_property
    def fine(self) -> PyTree:
        """The model of the fine levels."""
        return self.network("fine")

    @cached_property
    def planner(self) -> PyTree:
        """The caption-to-grid classifier."""
        return self.network("planner")

    @cached_property
    def judges(self) -> Judges:
        """Codec, reward embedding, judge embedding, quality regressor."""
        return Judges(self.codec, self.network("reward"), self.network("judge"), self.network("quality"))

    def named_policy(self, name: str) -> PyTree:
        """A policy by name ("base", "r", …) or by the path of a safetensors file saved with ``save_tree``.

        Raises:
          UserError: there is none of this name, or its file is damaged.
        """
        if name == "base":
            return self.policy
        if name in self.manifest["policies"]:
            path = self.folder / f"policy-{name}.safetensors"
            return load_difference(path, self.policy, sha256=self.manifest["policies"][name]["sha256"])
        if Path(name).suffix == ".safetensors":
            return load_tree(name, self._shapes["policy"])
        raise UserError(
            "model",
            f"there is no model {name!r}",
            f"choose {', '.join(self.policies)}, or a .safetensors file",
        )


def _first_line(error: Exception) -> str:
    message = error.message if isinstance(error, RunError) else str(error)
    return message.splitlines()[0] if message else type(error).__name__

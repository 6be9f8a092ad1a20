"""The music models as files: packed small, loaded with their checksums, the fine-tuned policy as a difference to the base.

A folder holds ``manifest.json`` (sizes, one checksum per file, how they were made) and one safetensors file per network. The codec is kept in float16; everything else in 8-bit integers with one
scale per output unit, which is about the precision of the bfloat16 products they feed.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from antiphon.core.errors import UserError
from antiphon.nets.frame_model import FrameModel
from antiphon.nets.weights import load_difference, load_tree, save_difference, save_tree
from antiphon.train.files import read_json, write_json
from antiphon.worlds.music.codec import Codec, CodecConfig, CodecNets
from antiphon.worlds.music.embedding import Embedding
from antiphon.worlds.music.fine import FineModel
from antiphon.worlds.music.planner import _ENCODER as PLANNER
from antiphon.worlds.music.policy import Judges, music_model
from antiphon.worlds.music.quality import QualityModel

NETWORKS = ("codec", "policy", "fine", "planner", "reward", "judge", "quality")
DEFAULT = Path(__file__).parents[2] / "assets" / "music"


@dataclass(frozen=True)
class Sizes:
    """What it takes to rebuild the networks' shapes. ``frames`` is the length of the clips the policy was trained on."""

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

    def shapes(self) -> dict[str, PyTree]:
        """``jax.ShapeDtypeStruct`` trees of all networks."""
        config = CodecConfig(width=self.codec_width)

        def codec(key):
            codes = jnp.zeros((config.levels, config.codes, config.latent))
            return Codec(CodecNets.init(key, config), codes)

        makers = {
            "codec": codec, "policy": self.policy.init, "fine": self.fine.init, "planner": PLANNER.init,
            "reward": Embedding().init, "judge": Embedding().init, "quality": QualityModel().init,
        }  # fmt: skip
        return {name: jax.eval_shape(make, jax.random.key(0)) for name, make in makers.items()}


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def pack(folder: Path | str, sizes: Sizes, networks: dict[str, PyTree], made: dict[str, Any]) -> None:
    """Write a bundle.

    Args:
      folder: destination, made if need be.
      sizes: of the networks.
      networks: weights by the names of :data:`NETWORKS`, all of them.
      made: how they were made (command, versions, figures); kept in the manifest.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in NETWORKS:
        path = folder / f"{name}.safetensors"
        if name == "codec":
            files[name] = save_tree(path, networks[name], storage_dtype="float16")
        else:
            save_difference(path, networks[name], jax.tree.map(jnp.zeros_like, networks[name]), bits=8)
            files[name] = _sha256(path)
    write_json(folder / "manifest.json", {"sizes": asdict(sizes), "sha256": files, "made": made, "policies": {}})


def add_policy(folder: Path | str, name: str, params: PyTree, made: dict[str, Any], bits: int = 4) -> float:
    """Add a fine-tuned policy as a difference to the bundled base.

    Returns:
      The largest deviation of the stored from the given difference, as a share of its norm.
    """
    bundle = Bundle.load(folder)
    path = Path(folder) / f"policy-{name}.safetensors"
    error = save_difference(path, params, bundle.policy, bits=bits)
    manifest = read_json(Path(folder) / "manifest.json")
    manifest["policies"][name] = {"sha256": _sha256(path), "made": made}
    write_json(Path(folder) / "manifest.json", manifest)
    return error.relative


def _sha256(path: Path) -> str:
    from antiphon.nets.weights import file_sha256

    return file_sha256(path)


@dataclass(frozen=True)
class Bundle:
    """Loaded lazily: a network is read, and its checksum compared, when it is first used."""

    folder: Path
    manifest: dict[str, Any]

    @staticmethod
    def load(folder: Path | str = DEFAULT) -> "Bundle":
        """Open a bundle.

        Raises:
          UserError: the folder holds none.
        """
        folder = Path(folder)
        if not (folder / "manifest.json").exists():
            raise UserError(
                "weights",
                f"{folder} holds no music models (no manifest.json)",
                "give a folder made by `antiphon music train`, or reinstall antiphon",
            )
        return Bundle(folder, read_json(folder / "manifest.json"))

    @property
    def sizes(self) -> Sizes:
        """Sizes of the networks."""
        return Sizes(**self.manifest["sizes"])

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies: "base" and those added."""
        return ("base", *self.manifest["policies"])

    @cached_property
    def _shapes(self) -> dict[str, PyTree]:
        return self.sizes.shapes()

    def _network(self, name: str) -> PyTree:
        path, sha256 = self.folder / f"{name}.safetensors", self.manifest["sha256"][name]
        if name == "codec":
            return load_tree(path, self._shapes[name], sha256=sha256)
        return load_difference(path, _zeros(self._shapes[name]), sha256=sha256)

    @cached_property
    def codec(self) -> Codec:
        """The codec."""
        return self._network("codec")

    @cached_property
    def policy(self) -> PyTree:
        """The base policy."""
        return self._network("policy")

    @cached_property
    def fine(self) -> PyTree:
        """The model of the fine levels."""
        return self._network("fine")

    @cached_property
    def planner(self) -> PyTree:
        """The caption-to-grid classifier."""
        return self._network("planner")

    @cached_property
    def judges(self) -> Judges:
        """Codec, reward embedding, judge embedding, quality regressor."""
        return Judges(self.codec, self._network("reward"), self._network("judge"), self._network("quality"))

    def named_policy(self, name: str) -> PyTree:
        """A policy by name ("base", "r", …) or by the path of a safetensors file saved with ``save_tree``.

        Raises:
          UserError: there is none of this name.
        """
        if name == "base":
            return self.policy
        if name in self.manifest["policies"]:
            path = self.folder / f"policy-{name}.safetensors"
            return load_difference(path, self.policy, sha256=self.manifest["policies"][name]["sha256"])
        if Path(name).suffix == ".safetensors":
            return load_tree(name, self._shapes["policy"])
        raise UserError(
            "model", f"there is no model {name!r}", f"choose {', '.join(self.policies)}, or a .safetensors file"
        )

"""How a decoder's weights lie on a mesh of the axes ``data``, ``fsdp`` and ``tensor``."""

from jax.sharding import PartitionSpec

LLAMA_RULES: tuple[tuple[str, PartitionSpec], ...] = (
    (r"\blayers\.(q|k|v|gate|up)$", PartitionSpec(None, "fsdp", "tensor")),
    (r"\blayers\.(o|down)$", PartitionSpec(None, "tensor", "fsdp")),
    (r"\blayers\.[qkv]_bias$", PartitionSpec(None, "tensor")),
    (r"\bembedding$", PartitionSpec("tensor", "fsdp")),
    (r"\bhead$", PartitionSpec("fsdp", "tensor")),
)
"""Rules for ``antiphon.train.sharding.place``.

Columns of the matrices that read the residual stream and rows of those that write it are split in ``tensor``
parts, the other axis in ``fsdp`` parts; gains and adapters are small and copied. Sizes have to divide; heads
and kv_heads should too, or a head is torn apart, which is correct but slow.
"""

"""musicnn: an externally trained music tagger, used as a judge that no policy of ours was trained on.

Architecture: Pons et al., "End-to-end learning for music audio tagging at scale" (arXiv 1711.02520) and Pons
and Serra, "musicnn" (arXiv 1909.06654). The weights (MagnaTagATune, 50 tags, ISC licence) are read from the
installed ``musicnn`` wheel; the package itself is never imported, because that would pull in TensorFlow.

Differs from the package: the mel spectrogram stays in float32 (there float16), and clips shorter than one
patch are padded with silence instead of refused.
"""

import dataclasses
import functools
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from antiphon.core.errors import UserError
from antiphon.worlds.music.tensor_bundle import read_tensor_bundle

SAMPLE_RATE = 16_000
N_FFT, HOP, BANDS = 512, 256, 96
PATCH_FRAMES = 187  # 3 s, the length the network was trained on
_NORM_EPSILON = 1e-3

TAGS: tuple[str, ...] = (
    *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano"),
    *("ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing"),
    *(
        "vocals",
        "no vocals",
        "harpsichord",
        "loud",
        "quiet",
        "flute",
        "woman",
        "male vocal",
        "no vocal",
        "pop",
    ),
    *("soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice"),
    *(
        "female vocal",
        "beats",
        "harp",
        "cello",
        "no voice",
        "weird",
        "country",
        "metal",
        "female voice",
        "choral",
    ),
)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=("kernel", "bias", "scale", "shift"), meta_fields=()
)
@dataclasses.dataclass(frozen=True)
class Layer:
    """``scale * relu(x * kernel + bias) + shift``: a linear map, ReLU, then batch normalisation made affine.

    Attributes:
        kernel: ``[time, bands, 1, out]`` (front end), ``[time, in, out]`` (middle) or ``[in, out]`` (dense).
        bias: ``[out]``.
        scale: ``[out]``.
        shift: ``[out]``.
    """

    kernel: Array
    bias: Array
    scale: Array
    shift: Array


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("input_affine", "timbral", "temporal", "middle", "pool_affine", "dense", "head"),
    meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Musicnn:
    """Weights of the tagger.

    Attributes:
        input_affine: scale and shift of the log-mel input, each ``[1]``.
        timbral: two layers that see 7 frames by 38 and 67 bands.
        temporal: three layers that see 128, 64 and 32 frames of one band.
        middle: three layers of 7 frames by all channels, the last two residual.
        pool_affine: scale and shift of the pooled vector, each ``[1506]``.
        dense: the penultimate layer, ``[1506, 200]``.
        head: kernel ``[200, 50]`` and bias ``[50]`` of the tag logits.
    """

    input_affine: tuple[Array, Array]
    timbral: tuple[Layer, ...]
    temporal: tuple[Layer, ...]
    middle: tuple[Layer, ...]
    pool_affine: tuple[Array, Array]
    dense: Layer
    head: tuple[Array, Array]


def load_musicnn() -> Musicnn:
    """The MTT_musicnn weights of the installed ``musicnn`` wheel.

    Raises:
        UserError: the package is not installed, or its checkpoint is damaged.
    """
    spec = importlib.util.find_spec("musicnn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "missing-extra",
            "The music tagger's weights come with the package musicnn, which is not installed",
            "run `pip install --no-deps musicnn` (without --no-deps it pulls in TensorFlow)",
        )
    variables = read_tensor_bundle(Path(spec.submodule_search_locations[0]) / "MTT_musicnn")

    def affine(index: int) -> tuple[Array, Array]:
        prefix = "batch_normalization" + (f"_{index}" if index else "")
        gamma, beta, mean, variance = (
            variables[f"{prefix}/{name}"].astype(np.float64)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + _NORM_EPSILON)
        return jnp.asarray(scale, jnp.float32), jnp.asarray(beta - mean * scale, jnp.float32)

    def layer(name: str, norm: int) -> Layer:
        return Layer(
            jnp.asarray(variables[f"{name}/kernel"]), jnp.asarray(variables[f"{name}/bias"]), *affine(norm)
        )

    def squeezed(name: str, norm: int) -> Layer:
        return dataclasses.replace(found := layer(name, norm), kernel=found.kernel[:, :, 0])

    return Musicnn(
        input_affine=affine(0),
        timbral=(layer("conv2d", 1), layer("conv2d_1", 2)),
        temporal=(layer("conv2d_2", 3), layer("conv2d_3", 4), layer("conv2d_4", 5)),
        middle=(squeezed("conv2d_5", 6), squeezed("conv2d_6", 7), squeezed("conv2d_7", 8)),
        pool_affine=affine(9),
        dense=layer("dense", 10),
        head=(jnp.asarray(variables["dense_1/kernel"]), jnp.asarray(variables["dense_1/bias"])),
    )


def slaney_mel_filters(sample_rate: int, n_fft: int, bands: int) -> Float[np.ndarray, "K bands"]:
    """Triangular mel filters of unit area over 0 .. Nyquist, on the scale of Slaney's Auditory Toolbox.

    Linear below 1 kHz (200/3 Hz per mel), logarithmic above (27 mels per factor 6.4); each triangle is
    divided by half its width in Hz. It is the definition librosa calls ``htk=False, norm="slaney"``; ``K =
    n_fft / 2 + 1``.
    """
    knee, per_mel, log_step = 1000.0, 200.0 / 3.0, np.log(6.4) / 27.0
    top = sample_rate / 2
    top_mel = top / per_mel if top < knee else knee / per_mel + np.log(top / knee) / log_step
    mels = np.linspace(0.0, top_mel, bands + 2)
    above = knee * np.exp(log_step * (mels - knee / per_mel))
    edges = np.where(mels < knee / per_mel, mels * per_mel, above)
    bins = np.arange(n_fft // 2 + 1)[:, None] * (sample_rate / n_fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))


def log_mel(wave: Float[Array, "B N"]) -> Float[Array, "B T 96"]:
    """``log10(1 + 10000 mel)`` every 16 ms, what the network reads.

    ``mel`` is the power spectrum (window 512, hop 256, reflected at the ends) in 96 Slaney bands.
    """
    padded = jnp.pad(wave, ((0, 0), (N_FFT // 2, N_FFT // 2)), mode="reflect")
    count = 1 + (padded.shape[1] - N_FFT) // HOP
    # A frame is two hops: join neighbouring blocks instead of gathering overlapping windows.
    blocks = padded[:, : (count + 1) * HOP].reshape(padded.shape[0], count + 1, HOP)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    frames = jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=-1) * window.astype(np.float32)
    spectrum = jnp.fft.rfft(frames, axis=-1)
    power = jnp.real(spectrum) ** 2 + jnp.imag(spectrum) ** 2
    mel = power @ slaney_mel_filters(SAMPLE_RATE, N_FFT, BANDS).astype(np.float32)
    return jnp.log10(1.0 + 10_000.0 * mel)


def log_mel_patches(wave: Float[Array, "B N"], hop_seconds: float = 1.0) -> Float[Array, "B P 187 96"]:
    """3 s patches of :func:`log_mel`, evenly spaced from start to end, about ``hop_seconds`` apart."""
    short = (PATCH_FRAMES - 1) * HOP - wave.shape[1]
    frames = log_mel(jnp.pad(wave, ((0, 0), (0, max(short, 0)))))
    last = frames.shape[1] - PATCH_FRAMES
    steps = round(last * HOP / (hop_seconds * SAMPLE_RATE))
    steps = max(steps, 1) if last > 0 else 0
    starts = np.round(np.linspace(0, last, steps + 1)).astype(int)
    return jnp.stack([frames[:, s : s + PATCH_FRAMES] for s in starts], axis=1)


def _activate(layer: Layer, x: Array) -> Array:
    return jax.nn.relu(x + layer.bias) * layer.scale + layer.shift


def _front(
    layer: Layer, x: Float[Array, "B T F 1"], padding: str | list[tuple[int, int]]
) -> Float[Array, "B T C"]:
    """Convolution over time and bands, then the maximum over the bands."""
    y = jax.lax.conv_general_dilated(
        x, layer.kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jnp.max(_activate(layer, y), axis=2)


def _middle(layer: Layer, x: Float[Array, "B T I"]) -> Float[Array, "B T C"]:
    y = jax.lax.conv_general_dilated(x, layer.kernel, (1,), [(3, 3)], dimension_numbers=("NWC", "WIO", "NWC"))
    return _activate(layer, y)


def _over_time(params: Musicnn, frames: Float[Array, "B T 96"]) -> list[Float[Array, "B T C"]]:
    """What the front end and the three middle layers hold at every frame."""
    x = (frames * params.input_affine[0] + params.input_affine[1])[..., None]
    front = [_front(layer, x, [(3, 3), (0, 0)]) for layer in params.timbral]
    front += [_front(layer, x, "SAME") for layer in params.temporal]
    features = jnp.concatenate(front, axis=-1)
    first = _middle(params.middle[0], features)
    second = first + _middle(params.middle[1], first)
    third = second + _middle(params.middle[2], second)
    return [features, first, second, third]


def frame_features(params: Musicnn, wave: Float[Array, "B N"]) -> Float[Array, "B T 64"]:
    """What the last layer that still has a time axis holds, every 16 ms."""
    return _over_time(params, log_mel(wave))[-1]


def forward_patches(
    params: Musicnn, patches: Float[Array, "B 187 96"]
) -> tuple[Float[Array, "B 50"], Float[Array, "B 200"]]:
    """Tag probabilities and penultimate features of 3 s log-mel patches."""
    every = jnp.concatenate(_over_time(params, patches), axis=-1)
    # Maximum and mean of a channel stand side by side in the flattened vector.
    pooled = jnp.stack([jnp.max(every, axis=1), jnp.mean(every, axis=1)], axis=-1).reshape(every.shape[0], -1)
    pooled = pooled * params.pool_affine[0] + params.pool_affine[1]
    penultimate = _activate(params.dense, pooled @ params.dense.kernel)
    return jax.nn.sigmoid(penultimate @ params.head[0] + params.head[1]), penultimate


@functools.partial(jax.jit, static_argnames="hop_seconds")
def tag_clips(
    params: Musicnn, wave: Float[Array, "B N"], hop_seconds: float = 1.0
) -> tuple[Float[Array, "B 50"], Float[Array, "B 200"]]:
    """Tags and features of clips: the mean over their 3 s patches.

    Args:
        params: from :func:`load_musicnn`.
        wave: 16 kHz mono, at least 3 s to fill a patch (shorter ones are followed by silence).
        hop_seconds: approximate distance of patch starts in seconds; 3.0, the package's own, is the cheapest
            that still hears everything.

    Returns:
        Probabilities of :data:`TAGS`, and the penultimate activations.
    """
    patches = log_mel_patches(wave, hop_seconds)
    batch, count = patches.shape[:2]
    tags, features = forward_patches(params, patches.reshape(batch * count, PATCH_FRAMES, BANDS))
    return tags.reshape(batch, count, -1).mean(axis=1), features.reshape(batch, count, -1).mean(axis=1)

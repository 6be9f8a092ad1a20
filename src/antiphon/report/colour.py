"""Colours that mean amounts: a ramp whose steps look equal, made in the Oklab colour space.

Source: B. Ottosson, "A perceptual color space for image processing" (2020), the Oklab matrices.
"""

import numpy as np
from jaxtyping import Float, UInt8

_OKLAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def oklab_to_srgb(lab: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Oklab to gamma-encoded sRGB in [0, 1]; colours outside the gamut are clipped."""
    linear = np.clip((lab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def amount_ramp() -> UInt8[np.ndarray, "256 3"]:
    """256 colours from near-black violet to pale gold, lightness rising in equal steps.

    Chroma is an arch, so that no colour leaves the gamut of sRGB; the hue turns from violet (285°) through
    red to gold (90°). The darkest step stays clear of black, where Oklab and CIE Lab disagree about how
    large a step looks.
    """
    t = np.linspace(0.0, 1.0, 256)
    lightness = 0.16 + 0.79 * t
    chroma = 0.015 + 0.14 * np.sin(np.pi * t)
    hue = np.deg2rad(285.0 + 165.0 * t)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    return np.round(255 * oklab_to_srgb(lab)).astype(np.uint8)

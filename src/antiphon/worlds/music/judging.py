"""What judges that nobody here trained say of clips, and what is measured from the sound itself.

The tagger hears instruments and gives the feature space of Fréchet distance and diversity; the transcriber
hears notes, hence scale, mode and polyphony; rhythm comes from the onsets. Every figure means something only
beside the same figure of real clips and of the codec's reconstructions.
"""

import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.train.files import disk_errors
from antiphon.worlds.music import families, frechet, measures, musicnn, probe, rhythm, transcription
from antiphon.worlds.music.attributes import MODES, TEMPI, Attributes
from antiphon.worlds.music.spectrum import SAMPLE_RATE

REFERENCE = "reference.npz"
"""File name of the reference inside a bundle."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Real training clips as outside judges hear them.

    Tags are standardised by it, the linear probe is fitted on it, Fréchet distance and diversity are relative
    to it.

    Attributes:
      tags: of the tagger, ``[N, 50]``.
      features: of the tagger, ``[N, 200]``.
      instruments: names, ``[N]``.
      textures: names, ``[N]``.
      polyphony: mean notes at a time, ``[N]``; NaN where nothing sounds.
    """

    tags: np.ndarray
    features: np.ndarray
    instruments: np.ndarray
    textures: np.ndarray
    polyphony: np.ndarray

    def polyphony_of(self, attributes: list[Attributes]) -> np.ndarray:
        """Mean polyphony of real clips with each one's texture, ``[B]``."""
        sounding = np.isfinite(self.polyphony)
        overall = float(self.polyphony[sounding].mean())
        by = {
            str(texture): float(self.polyphony[sounding & (self.textures == texture)].mean())
            for texture in np.unique(self.textures[sounding])
        }
        return np.array([by.get(a.texture, overall) for a in attributes])

    @staticmethod
    def load(path: Path | str) -> "Reference":
        """Read what :meth:`save` wrote.

        Raises:
          UserError: the file is missing or damaged.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(
                "file", f"there are no reference clips at {path}", "reinstall antiphon, or pack a bundle"
            )
        try:
            with open(path, "rb") as file, np.load(file) as stored:
                return Reference(*(np.asarray(stored[f.name]) for f in fields(Reference)))
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise UserError(
                "file",
                f"{path} is no whole file of reference clips ({type(error).__name__})",
                "fetch the models again, or pack them anew",
            ) from None

    def save(self, path: Path | str) -> None:
        """Write as npz, tags and features in float16.

        Raises:
          RunError: the disk refused; the destination is then untouched.
        """
        path = Path(path)
        with disk_errors(path), whole_file(path) as file:
            np.savez_compressed(
                file, tags=self.tags.astype(np.float16), features=self.features.astype(np.float16),
                instruments=self.instruments.astype(str), textures=self.textures.astype(str),
                polyphony=self.polyphony.astype(np.float32),
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Heard:
    """Figures of each clip, ``[B]`` unless said otherwise; NaN where transcription was not asked for.

    Attributes:
      hit: the tagger names the instrument's family.
      probe: the linear probe names the instrument.
      tempo: the measured tempo is the captioned one of four.
      regularity: height of the best grid line.
      in_key: share of note activity inside the best scale; NaN too where no note sounds.
      mode: major or minor as captioned.
      polyphony: mean notes at a time; NaN too where no note sounds.
      silence: share of the clip.
      tags: of the tagger, ``[B, 50]``.
      features: of the tagger, ``[B, 200]``.
    """

    hit: np.ndarray
    probe: np.ndarray
    tempo: np.ndarray
    regularity: np.ndarray
    in_key: np.ndarray
    mode: np.ndarray
    polyphony: np.ndarray
    silence: np.ndarray
    tags: np.ndarray
    features: np.ndarray

    def first(self, count: int) -> "Heard":
        """The figures of the first ``count`` clips."""
        return Heard(*(getattr(self, f.name)[:count] for f in fields(Heard)))


def need_judges(*, notes: bool) -> None:
    """Find out whether the judges are installed, before hours are spent on what they will judge.

    Raises:
      UserError: one is not; the mend says how to install it.
    """
    musicnn.load_musicnn()
    if notes:
        transcription.load_transcriber(2)


def tag(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tagger's ``(tags [B, 50], features [B, 200])``, a few clips at a time."""
    params = musicnn.load_musicnn()
    tags, features = [], []
    for start in range(0, len(wave), 16):
        block = np.zeros((16, wave.shape[1]), np.float32)
        part = wave[start : start + 16]
        block[: len(part)] = part
        t, f = _tag(params, block)
        tags.append(np.asarray(t)[: len(part)])
        features.append(np.asarray(f)[: len(part)])
    return np.concatenate(tags), np.concatenate(features)


@jax.jit
def _tag(params, wave):
    return musicnn.tag_clips(params, jnp.asarray(wave), hop_seconds=2.0)


def make_reference(wave: np.ndarray, attributes: list[Attributes]) -> Reference:
    """A reference from real clips ``[N, samples]``."""
    tags, features = tag(wave)
    notes = transcription.transcribe(transcription.load_transcriber(2), wave, SAMPLE_RATE).notes
    return Reference(
        tags,
        features,
        np.array([a.instrument for a in attributes]),
        np.array([a.texture for a in attributes]),
        measures.mean_polyphony(notes),
    )


def hear(
    wave: np.ndarray, attributes: list[Attributes], reference: Reference, *, notes: bool = True
) -> Heard:
    """Judge clips ``[B, samples]`` at 16 kHz against what they were meant to be.

    Args:
      wave: clips.
      attributes: what each was meant to be.
      reference: real clips.
      notes: also transcribe (the slowest part, some forty times real time).
    """
    tags, features = tag(wave)
    instruments = [a.instrument for a in attributes]
    fitted = probe.fit_probe(reference.features.astype(np.float32), [str(i) for i in reference.instruments])
    tag_reference = families.fit_tag_reference(reference.tags.astype(np.float32))
    strength = rhythm.onset_strength(wave, SAMPLE_RATE)
    nothing = np.full(len(wave), np.nan)
    in_key = mode = polyphony = nothing
    if notes:
        posteriors = transcription.transcribe(transcription.load_transcriber(2), wave, SAMPLE_RATE).notes
        in_key = measures.in_key_ratio(posteriors)
        minor = measures.estimate_key(posteriors).minor
        mode = minor == np.array([MODES.index(a.mode) == 1 for a in attributes])
        polyphony = measures.mean_polyphony(posteriors)
    return Heard(
        hit=families.standardised_hit(tags, instruments, tag_reference).astype(float),
        probe=probe.probe_hits(fitted, features, instruments).astype(float),
        tempo=(rhythm.tempo_index(strength) == [TEMPI.index(a.tempo) for a in attributes]).astype(float),
        regularity=rhythm.onset_regularity(strength),
        in_key=in_key,
        mode=np.asarray(mode, float),
        polyphony=polyphony,
        silence=measures.silence_share(wave, SAMPLE_RATE),
        tags=tags,
        features=features,
    )


def distances(heard: Heard, reference: Reference) -> dict[str, float]:
    """Distances of a set of clips to real ones.

    ``frechet``: in 32 principal dimensions, biased upwards where clips are few, so compare equal numbers
    only. ``diversity``: mean pairwise distance relative to that of real clips.
    """
    real = reference.features.astype(np.float32)
    projection = frechet.fit_projection(real)
    return {
        "frechet": frechet.frechet_distance(
            frechet.project(projection, real), frechet.project(projection, heard.features)
        ),
        "diversity": frechet.diversity(real, heard.features),
    }

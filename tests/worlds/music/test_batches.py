"""Training excerpts: a function of their number, cut from the clips they claim to come from."""

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.music.batches import audio_batches, decoder_batches
from antiphon.worlds.music.codec import FRAME
from antiphon.worlds.music.dataset import Dataset, DatasetConfig, to_float


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Two shards whose samples count up, so that an excerpt tells where it was cut."""
    folder = tmp_path_factory.mktemp("ramp")
    (folder / "train").mkdir()
    for shard, clips in enumerate((3, 2)):
        ramp = np.arange(clips * 5 * FRAME, dtype=np.int16).reshape(clips, 5 * FRAME) + 1 + 10_000 * shard
        np.save(folder / "train" / f"{shard:05d}.npy", ramp)
        (folder / "train" / f"{shard:05d}.jsonl").write_text("{}\n" * clips)
    return Dataset(folder, DatasetConfig(train=5, valid=0, test=0, seconds=0.2))


def test_excerpts_begin_on_a_frame_and_keep_a_level_between_minus_eight_and_zero_db(dataset):
    batches = audio_batches(dataset, "train", batch=64, frames=2, seed=0)
    batch = batches(0)
    assert batch.shape == (64, 2 * FRAME)
    assert batch.dtype == np.float32
    gain = np.diff(batch.astype(np.float64), axis=1).mean(axis=1) * 32768  # the ramp rises by one a sample
    assert (gain > 10 ** (-8 / 20) - 1e-3).all()
    assert (gain <= 1 + 1e-3).all()
    assert gain.std() > 0.1
    shard, place = np.divmod(np.round(batch[:, 0] * 32768 / gain - 1), 10_000)
    assert set(shard) == {0.0, 1.0}
    assert (place % FRAME == 0).all()
    assert set(place // FRAME % 5) == {0.0, 1.0, 2.0, 3.0}  # never past the end of a clip


def test_the_same_number_gives_the_same_batch(dataset):
    batches, again = (audio_batches(dataset, "train", batch=4, frames=1, seed=1) for _ in range(2))
    np.testing.assert_array_equal(batches(5), again(5))
    assert not np.array_equal(batches(5), batches(6))
    other = audio_batches(dataset, "train", batch=4, frames=1, seed=2)
    assert not np.array_equal(batches(5), other(5))


def test_what_cannot_be_cut_is_refused(dataset):
    with pytest.raises(UserError, match="excerpts of 6 frames are longer than the clips"):
        audio_batches(dataset, "train", batch=1, frames=6, seed=0)
    with pytest.raises(UserError, match="no clips in split valid"):
        audio_batches(dataset, "valid", batch=1, frames=1, seed=0)


def test_excerpts_for_a_decoder_carry_the_tokens_of_their_frames(dataset):
    audio = np.concatenate([np.asarray(shard) for shard in dataset.audio("train")])
    frames = dataset.config.frames
    tokens = np.arange(len(audio) * frames * 2, dtype=np.int16).reshape(len(audio), frames, 2)
    make = decoder_batches(dataset, "train", tokens, batch=16, frames=3, seed=1)
    batch = make(5)
    for seen, wave in zip(batch.tokens, batch.wave, strict=True):
        clip, start = divmod(int(seen[0, 0]) // 2, frames)
        np.testing.assert_array_equal(seen, tokens[clip, start : start + 3])
        np.testing.assert_array_equal(wave, to_float(audio[clip, start * FRAME : (start + 3) * FRAME]))
    np.testing.assert_array_equal(make(5).tokens, batch.tokens)
    assert (make(6).tokens != batch.tokens).any()
    with pytest.raises(UserError, match="longer than the clips"):
        decoder_batches(dataset, "train", tokens, batch=1, frames=frames + 1, seed=0)

"""Speed of the renderer: seconds of music per second of one core, with a cold and a warm note cache.

Run: antiphon bench music
"""

from __future__ import annotations

import json
import time

import numpy as np

from antiphon.worlds.music.notes import DRUM_PROGRAM, NoteList
from antiphon.worlds.music.renderer import Renderer
from antiphon.worlds.music.room import Room
from antiphon.worlds.music.soundfont import load_font

SECONDS = 5.0


def clip(rng: np.random.Generator, n: int) -> NoteList:
    """Lead, bass, strings and drums, notes of 0.1 to 0.9 s."""
    lead = int(rng.choice([0, 6, 11, 24, 40, 56, 71, 73, 80, 104]))
    program = rng.choice([lead, lead, 32, 48, DRUM_PROGRAM], n)
    pitch = np.where(program == DRUM_PROGRAM, rng.choice([36, 38, 42, 46, 49], n), rng.integers(43, 80, n))
    start = np.sort(rng.uniform(0, SECONDS - 0.2, n))
    return NoteList(start, rng.uniform(0.1, 0.9, n), pitch, rng.integers(40, 128, n), program)


def main() -> None:
    began = time.process_time()
    font = load_font()
    found = {"load_font_seconds": time.process_time() - began}
    for n in (30, 80):
        rng = np.random.default_rng(n)
        clips = [clip(rng, n) for _ in range(100)]
        for name, renderer in (("dry", Renderer(font)), ("with room", Renderer(font, room=Room()))):
            for state in ("cold", "warm"):
                # process_time counts all cores, so this is per core whatever the libraries do.
                began = time.process_time()
                for notes in clips:
                    renderer.render(notes, SECONDS)
                speed = len(clips) * SECONDS / (time.process_time() - began)
                found[f"{n} notes, {name}, {state} cache, times real time per core"] = speed
    print(json.dumps(found))


if __name__ == "__main__":
    main()

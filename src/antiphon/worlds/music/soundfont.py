"""SoundFont 2 files: read the chunks, and answer which samples sound for a key, a velocity and a program.

The default font, TimGM6mb (GPL-2 according to Debian), is *loaded from the pretty-midi package the user has
installed*. It is never copied into this repository or its wheels, and a trained model contains none of it.

Source: SoundFont Technical Specification 2.04 (Creative/E-mu, 2006): sections 5-7 for the chunks, 8.1 for the
generators, 9.4 for how preset and instrument zones combine.
"""

from __future__ import annotations

import importlib.util
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from antiphon.core.errors import UserError
from antiphon.worlds.music.notes import DRUM_PROGRAM
from antiphon.worlds.music.soundfont_zones import Region, preset_regions

_RECORDS: dict[bytes, np.dtype] = {
    b"phdr": np.dtype([("name", "S20"), ("preset", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("", "V12")]),
    b"pbag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    b"pmod": np.dtype(
        [("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("as", "<u2")]
    ),
    b"pgen": np.dtype([("oper", "<u2"), ("amount", "<i2")]),
    b"inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    b"ibag": np.dtype([("gen", "<u2"), ("mod", "<u2")]),
    b"imod": np.dtype(
        [("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("as", "<u2")]
    ),
    b"igen": np.dtype([("oper", "<u2"), ("amount", "<i2")]),
    b"shdr": np.dtype(
        [
            ("name", "S20"),
            ("start", "<u4"),
            ("end", "<u4"),
            ("loop_start", "<u4"),
            ("loop_end", "<u4"),
            ("rate", "<u4"),
            ("pitch", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("type", "<u2"),
        ]
    ),
}
_MEND = "use an intact .sf2 file, or leave the path out to use the one inside the pretty-midi package"


@dataclass(frozen=True, eq=False)
class SoundFont:
    """A loaded font.

    Attributes:
        name: the file's name, for messages.
        samples: the sample pool, 16 bit.
        presets: (bank, preset) -> preset name.
        regions_of: (bank, preset) -> every region of the preset, zones already combined.
    """

    name: str
    samples: Int16[np.ndarray, " S"]
    presets: dict[tuple[int, int], str]
    regions_of: dict[tuple[int, int], tuple[Region, ...]]

    def regions(self, program: int, pitch: int, velocity: int) -> tuple[Region, ...]:
        """Regions that sound when a key is struck; empty where the font leaves the key silent.

        Args:
            program: General MIDI program 0..127 (bank 0), or 128 for the drum kit (bank 128, preset 0).
            pitch: MIDI key 0..127.
            velocity: 1..127.

        Raises:
            UserError: the font has no such program.
        """
        where = (128, 0) if program == DRUM_PROGRAM else (0, program)
        if where not in self.regions_of:
            raise UserError(
                "field",
                f"the sound font {self.name} has no preset {where[1]} in bank {where[0]} (program {program})",
                "choose another program or a full General MIDI font",
            )
        return tuple(r for r in self.regions_of[where] if r.answers(pitch, velocity))


def find_font(path: str | os.PathLike[str] | None = None) -> Path:
    """Where the sound font is: the given path, else ``$ANTIPHON_SOUNDFONT``, else inside pretty-midi.

    pretty_midi is located, not imported: importing it takes a second and pulls in its dependencies.

    Raises:
        UserError: no font at the place asked for, or nowhere at all.
    """
    asked, place = path, "the given path"
    if asked is None and os.environ.get("ANTIPHON_SOUNDFONT"):
        asked, place = os.environ["ANTIPHON_SOUNDFONT"], "ANTIPHON_SOUNDFONT"
    if asked is not None:
        if not Path(asked).is_file():
            raise UserError("file", f"no sound font at {asked} ({place})", "give the path of an .sf2 file")
        return Path(asked)
    spec = importlib.util.find_spec("pretty_midi")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "TimGM6mb.sf2").is_file():
            return Path(folder) / "TimGM6mb.sf2"
    raise UserError(
        "missing-extra",
        "no sound font is installed",
        "run `pip install pretty-midi` (it brings TimGM6mb.sf2), or give the path of an .sf2 file",
    )


def load_font(path: str | os.PathLike[str] | None = None) -> SoundFont:
    """Read a SoundFont 2 file; without a path, the one `find_font` finds.

    Raises:
        UserError: the file is missing, is not a SoundFont 2 file, is cut short, or contradicts itself. The
            sentence names the file, the chunk and the mend.

    Differs from the specification: modulator records are read but not applied (velocity acts on the volume by
    the default curve; see `synthesis`), 24-bit sample extensions are ignored, ROM samples are silent.
    """
    file = find_font(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError("file", f"cannot read {file} ({error.strerror})", "check its permissions") from None
    chunks = _chunks(file.name, data)
    major = struct.unpack_from("<H", chunks[b"ifil"])[0]
    if major != 2:
        what = "compressed samples (an .sf3 file)" if major == 3 else f"format version {major}"
        raise UserError("file", f"{file.name} has {what} in chunk ifil", "convert it to SoundFont 2 (.sf2)")
    samples = np.frombuffer(chunks[b"smpl"], dtype="<i2")
    tables = {name: np.frombuffer(chunks[name], dtype=dtype) for name, dtype in _RECORDS.items()}
    _check_tables(file.name, tables, len(samples))
    regions, names = {}, {}
    for index, header in enumerate(tables[b"phdr"][:-1]):
        where = (int(header["bank"]), int(header["preset"]))
        names[where] = header["name"].decode("latin-1").strip("\0 ")
        regions[where] = preset_regions(index, tables)
    for header in {region.sample for preset in regions.values() for region in preset}:
        if not 0 <= header.start < header.end <= len(samples):
            raise _broken(file.name, "shdr", f"sample '{header.name}' reaches beyond the sample pool")
        if not 100 <= header.rate <= 400_000:
            raise _broken(file.name, "shdr", f"sample '{header.name}' has a rate of {header.rate} Hz")
    return SoundFont(file.name, samples, names, regions)


def _broken(name: str, chunk: str, what: str) -> UserError:
    return UserError("file", f"{name} is damaged in chunk {chunk}: {what}", _MEND)


def _chunks(name: str, data: bytes) -> dict[bytes, bytes]:
    """The leaf chunks by name, with every declared length checked against the bytes that are there."""
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise UserError("file", f"{name} is not a SoundFont 2 file (no RIFF sfbk header)", _MEND)
    found: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        tag, size = data[position : position + 4], struct.unpack_from("<I", data, position + 4)[0]
        if tag == b"LIST":
            position += 12  # step into the list: its members stand one after another
            continue
        label = tag.decode("ascii", "replace")
        if position + 8 + size > len(data):
            there = len(data) - position - 8
            raise _broken(name, label, f"it declares {size} bytes and the file ends after {there}")
        found.setdefault(tag, data[position + 8 : position + 8 + size])
        position += 8 + size + (size & 1)
    for tag in (b"ifil", b"smpl", *_RECORDS):
        if tag not in found:
            raise _broken(name, tag.decode(), "it is missing, the file is probably cut short")
    if len(found[b"ifil"]) < 4:
        raise _broken(name, "ifil", "it is shorter than four bytes")
    for tag, dtype in (*_RECORDS.items(), (b"smpl", np.dtype("<i2"))):
        if len(found[tag]) % dtype.itemsize:
            raise _broken(name, tag.decode(), f"{len(found[tag])} bytes are no multiple of {dtype.itemsize}")
    return found


def _check_tables(name: str, tables: dict[bytes, np.ndarray], pool: int) -> None:
    """Every index must point into the table it is an index of, and run upwards."""
    points = [(b"phdr", "bag", b"pbag"), (b"pbag", "gen", b"pgen"), (b"pbag", "mod", b"pmod")]
    points += [(b"inst", "bag", b"ibag"), (b"ibag", "gen", b"igen"), (b"ibag", "mod", b"imod")]
    for source, field, target in points:
        index = tables[source][field].astype(np.int64)
        if not len(index):
            raise _broken(name, source.decode(), "it holds no records")
        # Bags are read up to the next one, so the last must exist; some writers omit the closing generator.
        limit = len(tables[target]) - (1 if target in (b"pbag", b"ibag") else 0)
        if (np.diff(index) < 0).any() or index[-1] > limit:
            raise _broken(
                name, source.decode(), f"its indices into {target.decode()} run out of order or range"
            )
    for source, operator, target in ((b"pgen", 41, b"inst"), (b"igen", 53, b"shdr")):
        rows = tables[source]["oper"] == operator
        index = tables[source]["amount"][rows].astype(np.uint16)
        # The last record of either table only marks its end.
        if (index >= len(tables[target]) - 1).any() and tables[source][rows].size:
            raise _broken(name, source.decode(), f"it names a record that {target.decode()} does not have")
    if len(tables[b"phdr"]) < 2 or pool == 0:
        raise _broken(name, "phdr" if pool else "smpl", "the font is empty")

"""A small study of its own, put into the registry for the length of one test."""

import dataclasses
import math
import sys
import types
import wave

import pytest

from antiphon.core.errors import UserError
from antiphon.studies import registry
from antiphon.train.findings import Claim
from antiphon.train.media import Clip, Figure, Media, Pair, Series, write_media
from antiphon.train.metrics import MetricsFile, Record


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 4
    """Width."""


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 5
    """Steps."""
    rate: float = 0.5
    """Rate."""
    layers: tuple[int, ...] = (2, 3)
    """Layers."""
    centred: bool = False
    """Whether the values are centred."""
    inner: Inner = Inner()
    """Something nested."""
    trouble: str = ""
    """What goes wrong."""
    seed: int = 0
    """Seed."""


CLAIMS = (
    Claim("rises", "The value rises.", "arXiv 2402.04229, Table 1", 0.5),
    Claim("falls", "The value falls.", "arXiv 2402.04229, Fig. 2", "always"),
    Claim("heard", "People like it.", "arXiv 2402.04229, section 5", None),
)


def run(config, run):
    _trouble(config.trouble)
    values = [config.rate * step + config.seed for step in range(1, config.steps + 1)]
    metrics = MetricsFile(run.metrics)
    metrics.append([Record("main", i, 0.1 * i, {"value": value}) for i, value in enumerate(values, start=1)])
    metrics.close()
    with wave.open(str(run.media / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        tone = [int(9000 * math.sin(2 * math.pi * 440 * i / 16000)) for i in range(4000)]
        file.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in tone))
    figure = Figure("Values", "step", "value", (Series("main", range(len(values)), values),))
    clips = (
        Clip("before", "media/tone.wav", {"text": 0.3125}),
        Clip("after", "media/tone.wav", {"text": 0.6875}),
    )
    write_media(run.path, Media("A story.", (figure,), (Pair("a tone", clips),)))
    rise = values[-1] - values[0]
    if config.trouble == "quiet":
        return [claim.untested("not asked") for claim in CLAIMS]
    return [
        CLAIMS[0].measured(rise, holds=rise > 0, interval=(rise - 0.125, rise + 0.125)),
        CLAIMS[1].measured(rise, holds=rise < 0),
        CLAIMS[2].untested("nobody listened"),
    ]


def _trouble(kind):
    if kind == "user":
        raise UserError("file", "the file notes.csv has no column 'pitch'", "add the column")
    if kind == "extra":
        raise ModuleNotFoundError("No module named 'soundfile'", name="soundfile")
    if kind == "crash":
        raise ZeroDivisionError("division by zero")
    if kind == "stop":
        raise KeyboardInterrupt


@pytest.fixture
def study(monkeypatch, tmp_path):
    """The name of a study that runs in no time; its claim 'falls' does not hold."""
    module = types.ModuleType("antiphon_test_study")
    module.Config, module.CLAIMS, module.run = Config, CLAIMS, run
    module.PRESETS = {"smoke": Config(), "laptop": Config(steps=9), "gpu": Config(steps=99)}
    monkeypatch.setitem(sys.modules, "antiphon_test_study", module)
    entry = registry.StudyEntry("tones", "arXiv 2402.04229", "Tones & <values>", "antiphon_test_study")
    monkeypatch.setattr(registry, "STUDIES", (entry,))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return "tones"

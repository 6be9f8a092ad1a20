"""What there is to run: an explicit tuple of studies, and the names of the methods and worlds.

A study is a module with ``Config`` (a frozen dataclass), ``PRESETS`` (``smoke``, ``laptop`` and ``gpu``),
``CLAIMS`` and ``run(config, run) -> list[Finding]``. Modules are imported when they are run, so that
listing them costs nothing.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from antiphon.train.findings import Claim, Finding
    from antiphon.train.run_directory import RunDirectory


class Study(Protocol):
    """What a study module offers."""

    Config: type
    """Frozen dataclass of every setting of the study."""

    PRESETS: Mapping[str, Any]
    """A ``Config`` for each size: ``smoke``, ``laptop``, ``gpu``."""

    CLAIMS: Sequence["Claim"]
    """What the paper claims and this study measures."""

    def run(self, config: Any, run: "RunDirectory") -> "list[Finding]":
        """Measures the claims; everything worth keeping goes into the run directory."""
        ...


@dataclass(frozen=True)
class StudyEntry:
    """A study by name.

    Attributes:
        name: what the command line calls it.
        paper: where the claims come from, as ``arXiv 2402.04229``.
        title: one line on what is measured.
        module: the module to import.
    """

    name: str
    paper: str
    title: str
    module: str

    def load(self) -> Study:
        """Imports the study."""
        return cast(Study, importlib.import_module(self.module))


STUDIES: tuple[StudyEntry, ...] = (
    StudyEntry(
        name="musicrl",
        paper="arXiv 2402.04229",
        title="MusicRL: a music model finetuned on text adherence, quality and preferences",
        module="antiphon.studies.musicrl",
    ),
    StudyEntry(
        name="m3fg",
        paper="arXiv 2312.10787",
        title="Major–minor mean field games: fictitious play on a partition of the simplex",
        module="antiphon.studies.m3fg",
    ),
    StudyEntry(
        name="mfg-imitation",
        paper="arXiv 2306.14799",
        title="Imitation in mean field games: what an imitator's error says about its Nash gap",
        module="antiphon.studies.mfg_imitation",
    ),
    StudyEntry(
        name="platform",
        paper="arXiv 2310.04266",
        title="Floating platforms: precise, robust, carried over to another simulator, and to the robot",
        module="antiphon.studies.platform",
    ),
    StudyEntry(
        name="nlhf",
        paper="arXiv 2312.00886",
        title="Nash learning on tables of preferences: the theorem and the examples, exactly",
        module="antiphon.studies.nlhf",
    ),
    StudyEntry(
        name="nlhf-tokens",
        paper="arXiv 2312.00886",
        title="Nash learning with networks in worlds where every completion can be listed",
        module="antiphon.studies.nlhf_tokens",
    ),
    StudyEntry(
        name="gkd",
        paper="arXiv 2306.13649",
        title="Distillation on the student's own completions: sums modulo 97, every step written out",
        module="antiphon.studies.gkd",
    ),
    StudyEntry(
        name="gkd-text",
        paper="arXiv 2306.13649",
        title="Distillation on the student's own texts: notices, summaries and translations",
        module="antiphon.studies.gkd_text",
    ),
    StudyEntry(
        name="nlhf-text",
        paper="arXiv 2312.00886",
        title="Nash learning on text: notices judged by raters who may prefer in circles",
        module="antiphon.studies.nlhf_text",
    ),
)

METHODS: tuple[str, ...] = (
    "sft",
    "reinforce_kl",
    "nash_md",
    "nash_md_tabular",
    "reward_model",
    "preference_model",
    "dpo",
    "online_ipo",
    "gkd",
    "ppo",
    "fictitious_play",
    "line_search_play",
    "mirror_descent",
    "optimistic_mirror_descent",
    "fixed_point",
    "prior_descent",
    "newton_cooling",
    "mf_omo",
    "mean_field_control",
    "major_minor_stackelberg",
    "imitation_cloning",
    "imitation_adversarial",
)

WORLDS: tuple[str, ...] = ("music", "text", "platform", "meanfield", "diagnostics")

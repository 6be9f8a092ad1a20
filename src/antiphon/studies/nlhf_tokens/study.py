"""The run: worlds, claims, pictures."""

from antiphon.studies.nlhf_tokens.cell import measure_world
from antiphon.studies.nlhf_tokens.config import Config
from antiphon.studies.nlhf_tokens.findings import beats, closed, exploited, half, settled, tie
from antiphon.studies.nlhf_tokens.pictures import by_world, figure, table
from antiphon.train.findings import Finding
from antiphon.train.media import Media, write_media
from antiphon.train.run_directory import RunDirectory

_STORY = (
    "Every policy is a small transformer that writes four of eight tokens. RLHF climbs the scores that "
    "explain the preferences best; Nash-MD climbs the preferences themselves, against a mixture of itself "
    "and the reference. 'Exploited' is the win rate of the best response that is no further from the "
    "reference than the policy is itself: 0.5 for an equilibrium. 'Settled' is that of the law the method "
    "comes to by enumeration, without a network."
)


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims."""
    with run.held():
        cells = {
            dial: [measure_world(config, run, seed, dial) for seed in _seeds(config)] for dial in config.dials
        }
    findings = [measure(config, cells) for measure in (tie, exploited, half, beats, closed, settled)]
    tables = tuple(show(dial, row) for dial, row in cells.items() for show in (table, by_world))
    write_media(run.path, Media(_STORY, (figure(cells),), tables=tables))
    return findings


def _seeds(config: Config) -> range:
    return range(config.seed, config.seed + config.worlds)

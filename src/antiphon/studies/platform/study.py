"""The run: train, judge, disturb, carry elsewhere."""

from antiphon.studies.platform import claims, elsewhere, matrix, trainings
from antiphon.studies.platform.config import Config
from antiphon.studies.platform.precision import precision
from antiphon.train.findings import Finding
from antiphon.train.media import Media, write_media
from antiphon.train.run_directory import RunDirectory

_STORY = (
    "A platform floats without friction, and eight valves that are open or shut push it. Policies learn in "
    "simulation to fly it to a pose. Here they are trained anew and judged as their authors judged theirs, "
    "beside controllers that were not learned and know the plant exactly; they are disturbed in every way, "
    "and carried to another simulator, to curves and to the controller of the robot."
)


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims; trainings and rows of the matrix are kept, so a resumed run goes on after them."""
    learned = trainings.trainings(config, run)
    first = trainings.chosen(config, learned)
    findings, judged = precision(config, learned)
    findings += trainings.speed(learned)
    rows = matrix.matrix(config, run, learned)
    findings += matrix.robustness(rows)
    findings += elsewhere.mujoco(config, first)
    findings.append(elsewhere.scale(config, first))
    followed, curves, paths = elsewhere.tracks(config)
    findings += followed
    findings += [elsewhere.space(config), elsewhere.visible(run, first), elsewhere.robot(config, first)]
    figures = (*trainings.curves(learned), curves)
    images = matrix.images(run, rows)
    write_media(run.path, Media(_STORY, figures, tables=(judged, *matrix.tables(rows), paths), images=images))
    order = [claim.id for claim in claims.CLAIMS]
    return sorted(findings, key=lambda one: order.index(one.id))

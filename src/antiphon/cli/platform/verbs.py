"""The verbs of ``antiphon platform``, each a module that is imported only when it is asked for."""

import importlib
from collections.abc import Sequence

from antiphon.cli.nearest import nearest
from antiphon.core.errors import UserError

VERBS = {
    "train": "learn a task in simulation",
    "evaluate": "judge a policy or a controller over hundreds of episodes",
    "robustness": "every disturbance against every pilot, as tables and pictures",
    "identify": "mass, inertia, thrust, centre of mass and drag from a recorded flight",
    "export": "a policy as ONNX and as a NumPy file, for the robot",
    "view": "policies and recordings as one page for the browser",
    "bench": "speed of the simulator and of learning, with --peers beside other libraries",
    "ros2": "fly a platform over ROS 2, or be the platform",
}


def main(argv: Sequence[str]) -> int:
    """Runs one verb.

    Raises:
        UserError: there is no such verb, or it cannot use its arguments.
    """
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<12}{about}" for name, about in VERBS.items()]
        print("\n".join(["usage: antiphon platform VERB …", "", *lines]))
        return 0
    if argv[0] not in VERBS:
        raise UserError("usage", f"antiphon platform has no verb {argv[0]!r}", nearest(argv[0], VERBS))
    return importlib.import_module(f"antiphon.cli.platform.{argv[0]}").main(argv[1:])

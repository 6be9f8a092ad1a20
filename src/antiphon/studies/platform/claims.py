"""What the paper claims, what its authors published, and what we set ourselves; written before measuring."""

from antiphon.train.findings import Claim

PAPER = "arXiv 2310.04266"
PUBLISHED = f"{PAPER}, the authors' published evaluation notebook"
OWN = "our own gate, on the authors' protocol"

AUTHORS = {
    "PT5": 0.603,
    "PT2": 0.351,
    "PT1": 0.106,
    "OT5": 0.967,
    "OT2": 0.920,
    "OT1": 0.805,
    "air_use": 0.427,
    "ever_1cm": 0.879,
}
"""Of the authors' best policy for going to a pose, after 131 million steps; nominal simulator."""
GATE = {"PT5": 0.78, "PT2": 0.77, "PT1": 0.75, "OT5": 0.955, "OT1": 0.87, "ever_1cm": 1.0}

POSITION = Claim(
    "position",
    "Policies learnt in simulation manoeuvre precisely: time within 1 cm of the goal",
    PUBLISHED,
    0.106,
)
HEADING = Claim("heading", "… and time within 5° of the heading that is asked for", PUBLISHED, 0.967)
GATES = Claim(
    "gates",
    "Every seed meets the gate in position, heading and coming within 1 cm in every episode",
    OWN,
    "PT5 .78, PT2 .77, PT1 .75, OT5 .955, OT1 .87, ever 1 cm 1",
)
AIR = Claim(
    "air",
    "… with less air than the authors' policies: PT5 ≥ .75 and PT2 ≥ .70 at air use",
    OWN,
    "at most 0.30",
)
LQR = Claim(
    "beats-lqr",
    "On the undisturbed plant learning beats a look-ahead that was not learned, in time within 5 cm",
    OWN,
    "our policy − lqr-saving > 0",
)
FLOOR = Claim(
    "floor", "An uneven floor of 0.25 N costs little: share of the undisturbed PT5", OWN, "at least .95"
)
ONE_DEAD = Claim(
    "one-dead",
    "With one dead valve that nobody told of, episodes still come within 2 cm",
    OWN,
    "at least .97",
)
TWO_DEAD = Claim(
    "two-dead",
    "With two dead valves that leave full control, episodes still come within 2 cm",
    OWN,
    "at least .95",
)
RANDOMISED = Claim(
    "randomised",
    "Training under disturbances makes policies robust: what it adds to PT5 under all at once",
    PAPER,
    "more than 0",
)
RIVALS = Claim(
    "rivals",
    "Under disturbances learning beats controllers that were not learned, in time within 5 cm",
    PAPER,
    "in every condition",
)
MUJOCO = Claim(
    "mujoco",
    "A policy moves to another simulator unchanged: largest difference of PT and OT in MuJoCo",
    PAPER,
    "at most 2 points",
)
OPEN_LOOP = Claim(
    "open-loop", "Both simulators agree for 20 s of given valves, in m and rad", OWN, "at most 1e-5"
)
FAST = Claim(
    "fast",
    "Training is fast: steps until PT5 passes the authors' .603, slowest seed",
    PUBLISHED,
    "131 million steps",
)
THROUGHPUT = Claim("throughput", "Training is fast: control steps a second on this machine", PAPER, None)
SCALE = Claim(
    "scale",
    "Tests run at large scale: thousands of platforms in one program give what few give",
    PAPER,
    "within the interval of few",
)
PLACES = Claim(
    "way-points",
    "Curves are followed by way-points: mean distance from the worst of four, m",
    PAPER,
    "all completed, at most 0.01",
)
SPEEDS = Claim(
    "velocities",
    "Curves are followed by velocities at 0.25 m/s: mean distance from the worst of four, m",
    PAPER,
    "all completed, at most 0.05",
)
SPACE = Claim("space", "In six degrees of freedom episodes end within 5 cm and 5°", OWN, "at least .95")
VISIBLE = Claim(
    "visible", "Flights can be looked at: a page that needs no network flies the policy", PAPER, "it does"
)
ROBOT = Claim(
    "robot",
    "The controller of the robot flies the policy at 5 Hz: distance from the goal at the end, m",
    PAPER,
    "at most 0.02",
)

CLAIMS = (
    POSITION,
    HEADING,
    GATES,
    AIR,
    LQR,
    FLOOR,
    ONE_DEAD,
    TWO_DEAD,
    RANDOMISED,
    RIVALS,
    MUJOCO,
    OPEN_LOOP,
    FAST,
    THROUGHPUT,
    SCALE,
    PLACES,
    SPEEDS,
    SPACE,
    VISIBLE,
    ROBOT,
)

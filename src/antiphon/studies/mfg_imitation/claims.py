"""What is claimed of imitation in mean field games: by the abstract of the paper, and by us."""

from antiphon.train.findings import Claim

_PAPER = "arXiv 2306.14799, abstract"
_OURS = "ours; the full text of arXiv 2306.14799 was out of reach"

UNCOUPLED = Claim(
    "uncoupled",
    "Where the crowd does not change the dynamics, the gap per error of cloning grows at most like the "
    "horizon squared, as for a single agent",
    _PAPER,
    "gap / (ε H² / 2) ≤ 1 in the amplifier at coupling 0",
)
CLONING = Claim(
    "cloning-doubles",
    "Where it does, the gap per error of behavioural cloning grows exponentially: in the amplifier it "
    "doubles at every step",
    f"{_PAPER}; the amplifier is ours",
    "(2^H − 1 − H) / 2 at coupling 1",
)
VANILLA = Claim(
    "vanilla-doubles",
    "So does that of adversarial imitation in a frozen population",
    f"{_PAPER}; the amplifier is ours",
    "2.6e4 at coupling 1 and H = 20",
)
CONTROL = Claim(
    "control-does-not",
    "That of adversarial imitation by mean field control does not: it stays below 1.05",
    f"{_PAPER} (quadratic in the horizon); the amplifier is ours",
    "≤ 1.05 at coupling 1",
)
ATTRACTOR = Claim(
    "attractor",
    "In the attractor the loss of value is exponential, and the gap is at most α H² / 2",
    _OURS,
    "gap / (α H² / 2) ≤ 1",
)
EXPERTS = Claim(
    "experts",
    "Every expert that is imitated is an equilibrium",
    _OURS,
    "exploitability < 1e-6",
)
BOUNDS = Claim(
    "bounds",
    "All three proved bounds hold in every random game, with constants computed from the game",
    f"{_PAPER} (the orders); constants are {_OURS}",
    "largest gap / bound ≤ 1",
)
RANKING = Claim(
    "control-learns-best",
    "From the same demonstrations in the amplifier, imitators by mean field control have a smaller gap than "
    "clones",
    _PAPER,
    "gap of mfc / gap of cloning < 1",
)
RATE = Claim(
    "crowd-rate",
    "In a crowd that is in its own way, the gap of clones falls like one over the root of the demonstrations",
    _OURS,
    "slope in [−0.7, −0.3]",
)
CROWD = Claim(
    "control-wins-in-the-crowd",
    "In that crowd too, imitators by mean field control have a smaller gap than clones",
    f"{_PAPER} (what it suggests for dynamics that see the crowd)",
    "gap of mfc / gap of cloning < 1",
)

CLAIMS = (UNCOUPLED, CLONING, VANILLA, CONTROL, ATTRACTOR, EXPERTS, BOUNDS, RANKING, RATE, CROWD)

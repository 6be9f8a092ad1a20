"""What the paper says, and what was expected of this study before it was run."""

from antiphon.train.findings import Claim

_PAPER = "arXiv 2312.00886"
CLAIMS = (
    Claim("circles", "The raters' ring makes at least a tenth of all triples of notices go in a circle",
          "ours: the gate of the claims about circles", "≥ 0.10 of triples at dial 0.5"),
    Claim("matched", "Every method is brought to the same divergence from the reference",
          "ours", "within 5 % of the divergence asked for"),
    Claim("judges", "The preference model is right at least as often as the reward model on unseen pairs",
          f"{_PAPER}, section 8 (0.78 against 0.76)", "difference ≥ 0 at dial 0.5"),
    Claim("shift", "On notices of trained policies the reward model loses more than the preference model",
          f"{_PAPER}, theorem 2: the best reward depends on the policy that wrote the pairs",
          "rise of cross-entropy beyond the votes' own, reward less preference model, > 0 at dial 0.5"),
    Claim("tie", "Where scores explain the raters, Nash learning and RLHF are equally good",
          f"{_PAPER}, section 3", "self-play and Nash-MD against RLHF within 0.03 of 0.5 at dial 0"),
    Claim("beats", "Where preferences go in circles, unseen raters prefer Nash-MD (β = 0.25) to RLHF",
          f"{_PAPER}, table 1 (0.519)", "> 0.5 at dial 0.5"),
    Claim("exploited", "Where preferences go in circles, an equally divergent answer beats RLHF by more than "
          "it beats self-play, Nash-MD 0.25 and Nash-MD 0.5", f"{_PAPER}, section 3; the measure is ours",
          "RLHF's less the largest of theirs > 0 at dial 0.5"),
    Claim("response", "The best response to the reference loses to Nash-MD (β = 0.125)",
          f"{_PAPER}, table 1 (0.163)", "< 0.5 at dial 0.5"),
    Claim("average", "Nash-MD (β = 0.125) is preferred to both of Nash-EMA",
          f"{_PAPER}, table 1", "> 0.5 at dial 0.5, the smaller of the two"),
    Claim("start", "Every method is preferred to the reference",
          f"{_PAPER}, table 1 (0.943 to 0.990)", "> 0.5 at every dial, the smallest"),
)  # fmt: skip

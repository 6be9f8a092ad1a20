"""What is claimed of generalised distillation, before anything is measured."""

from antiphon.train.findings import Claim

_PAPER = "arXiv 2306.13649"

GAIN = Claim(
    "gain",
    "On-policy distillation gains at least one and a half times what supervised distillation does, at each N",
    f"{_PAPER}, figure 1",
    "1.7 to 2.1 times; 1.9 on arithmetic",
)
GAP = Claim(
    "gap",
    "After on-policy distillation at least 8 answers in a hundred more are right than after supervised "
    "distillation, from every start",
    "ours",
    "≥ 0.08",
)
TWICE = Claim(
    "twice",
    "On-policy distillation is still ahead when supervised distillation has twice the steps, more than "
    "equal time",
    f"{_PAPER}, section 3 (sampling costs 1.8 to 2.2 times)",
    "ahead",
)
LAMBDA = Claim(
    "lambda",
    "The larger the student's own share, the larger the gain: λ 1 above ½ above 0",
    f"{_PAPER}, figures 7 and 8",
    "8.8, 6.8, 4.7 points with the forward KL",
)
TUNING = Claim(
    "baselines",
    "Supervised distillation gains more than training goes on to gain without a teacher",
    f"{_PAPER}, figure 1",
    "more",
)
NAMED = Claim(
    "named-baselines",
    "On-policy distillation gains more than sequence-level distillation, ImitKD and f-distill",
    f"{_PAPER}, figures 1 and 6",
    "more than each",
)
NARROWING = Claim(
    "narrowing",
    "The more mode-seeking the divergence, the less is lost by drawing at temperature 1 instead of taking "
    "the likeliest: forward KL, JSD .1, .5, .9, reverse KL in this order",
    f"{_PAPER}, section 4.1, stated as the gap",
    "falls from each to the next",
)
SEEKING = Claim(
    "mode-seeking",
    "At temperature 1 the best of JSD .9 and reverse KL is better than the forward KL",
    f"{_PAPER}, figure 4",
    "better",
)
DATA = Claim(
    "data",
    "On-policy distillation with 5 % of the prompts and none of their answers gains more than supervised "
    "distillation with all of both",
    f"{_PAPER}, figure 3",
    "more",
)
SELF = Claim(
    "self",
    "A student taught by another of its own size, which saw no more than it did, becomes better than that "
    "teacher",
    f"{_PAPER}, appendix A.1",
    "better",
)
REWARD = Claim(
    "reward",
    "A reward beside distillation (reverse KL) makes more of the drawn answers right than distillation alone",
    f"{_PAPER}, figure 5",
    "more",
)
EASY = Claim(
    "vanishes",
    "With many examples and few steps nothing is gained: on-policy distillation is at most a quarter ahead",
    "ours: the regime in which a prototype saw no effect",
    "ratio of gains < 1.25",
)
ENDS = Claim(
    "ends",
    "JSD(β) / β(1 − β) is within 0.001 of the forward KL as β → 0 and of the reverse KL as β → 1, on the "
    "distributions of this teacher and this student",
    f"{_PAPER}, section 3",
    "< 0.001 nats",
)

CLAIMS = (
    GAIN, GAP, TWICE, LAMBDA, TUNING, NAMED, NARROWING, SEEKING, DATA, SELF, REWARD, EASY, ENDS,
)  # fmt: skip

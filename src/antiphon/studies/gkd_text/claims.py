"""What is claimed of distillation on texts, before anything is measured."""

from antiphon.train.findings import Claim

_PAPER = "arXiv 2306.13649"
_GAINS = {
    "notices": ("ours: generated texts", "more"),
    "summaries": (f"{_PAPER}, figure 1: XSum", "2.1 times as much"),
    "translations": (f"{_PAPER}, figure 1: WMT", "1.7 times as much"),
}

GAINS = {
    task: Claim(
        f"gain-{task}",
        f"On {task}, distillation on the student's own texts gains more than supervised distillation",
        source,
        expected,
    )
    for task, (source, expected) in _GAINS.items()
}
LAMBDAS = {
    task: Claim(
        f"lambda-{task}",
        f"On {task}, the larger the student's own share, the larger the gain: λ 1 above ½ above 0",
        f"{_PAPER}, figures 6 to 8",
        "each above the one before",
    )
    for task in _GAINS
}
BASELINES = {
    task: Claim(
        f"baselines-{task}",
        f"On {task}, distillation on the student's own texts gains more than sequence-level distillation and "
        "than training on without a teacher",
        f"{_PAPER}, figure 1",
        "more than each",
    )
    for task in _GAINS
}
SEEKING = {
    task: Claim(
        f"mode-seeking-{task}",
        f"On {task}, drawn at temperature 1, the best of JSD .9 and reverse KL is better than the forward KL",
        f"{_PAPER}, figure 4",
        "better",
    )
    for task in _GAINS
}

CLAIMS = tuple(claims[task] for task in _GAINS for claims in (GAINS, LAMBDAS, BASELINES, SEEKING))

"""What the paper says, and what its authors' program prints."""

from antiphon.train.findings import Claim

CLAIMS = (
    Claim(
        "authors",
        "On SIS with M = 120 the first three iterations are those of the authors' program",
        "github.com/tudkcui/M3FG-learning, its printed output",
        "difference ≤ 1e-5",
    ),
    Claim(
        "falls",
        "Fictitious play lowers the exploitability of both players tenfold in all three problems",
        "arXiv 2312.10787, Fig. 1b",
        "last / first ≤ 0.1",
    ),
    Claim(
        "beats",
        "Fictitious play ends with a lower exploitability than fixed point iteration in all three problems",
        "arXiv 2312.10787, Fig. 1",
        "FP / FPI < 1",
    ),
    Claim(
        "refines",
        "The value on the paper's partition comes nearer to the true value as M grows",
        "arXiv 2312.10787, Fig. 4",
        "error at the largest M / at the smallest < 1",
    ),
    Claim(
        "barycentric",
        "Barycentric M = 20 is within 1 % of the true value where nearest is off by more than 10 %",
        "ours; the paper projects to the nearest point",
        "≤ 0.01",
    ),
    Claim(
        "finite",
        "What players of the N-player game earn comes to the mean field value like a power of N",
        "arXiv 2312.10787, Theorem 1 and Fig. 2",
        "slope in [−1.3, −0.4]",
    ),
    Claim(
        "finite-large",
        "The same among crowds of 50 players and more",
        "ours; the range was chosen after the claim before it had failed",
        "slope in [−1.3, −0.4]",
    ),
)


AUTHORS = ((76.56163795, 33.32357530, 17.70951879), (55.57940343, 9.75233904, 5.59835137))
"""Exploitability of the major and of the minor player at iterations 0, 1 and 2: SIS, M = 120."""

"""What MusicRL claims, and what of it a run of this size can check."""

from antiphon.train.findings import Claim

_PAPER = "arXiv 2402.04229"

CLAIMS = (
    Claim(
        "reward-rises",
        "Fine-tuning with both rewards raises the combined reward (slope per step)",
        f"{_PAPER}, figure 4",
        "rises",
    ),
    Claim(
        "kl-bounded",
        "The policy stays near the pretrained model (nats per clip at the end of the live run)",
        f"{_PAPER}, figure 4",
        "0 to 60 over 10,000 steps",
    ),
    Claim(
        "r-beats-base",
        "R wins against the base under the embedding that never trained it, win / (win + loss)",
        f"{_PAPER}, figure 1 (people)",
        0.83,
    ),
    Claim(
        "text-rises",
        "R raises text adherence (difference of cosines on held-out captions)",
        f"{_PAPER}, figure 4",
        "0.58 to 0.71",
    ),
    Claim(
        "quality-rises",
        "R raises acoustic quality (difference on the 0 to 1 scale, held-out captions)",
        f"{_PAPER}, figure 4",
        "3.5 to 4.4 of 5",
    ),
    Claim(
        "tempo-kept",
        "The tempo measured from the audio follows the caption no worse than the base's"
        " (difference of shares)",
        "ours",
        "not worse",
    ),
    Claim(
        "scale-kept",
        "Notes stay inside a scale no worse than the base's (difference of in-key shares)",
        "ours",
        "not worse",
    ),
    Claim(
        "texture-kept",
        "Polyphony is no further from what the texture asks for (difference of distances to real clips)",
        "ours",
        "not worse",
    ),
    Claim(
        "tagger-kept",
        "An external tagger names the instrument no worse than for the base (difference of hit shares)",
        "ours",
        "not worse",
    ),
    Claim(
        "diversity-kept",
        "Diversity does not collapse (share of the base's)",
        "arXiv 2504.16839",
        0.8,
    ),
    Claim(
        "best-of-n",
        "How many samples of the base R is worth: judge's cosine of R minus best of N of the base",
        f"{_PAPER} (not reported)",
        None,
    ),
    Claim(
        "text-only",
        "Text reward alone raises text adherence and leaves quality from falling",
        f"{_PAPER}, figure 4",
        "0.58 to 0.71, 3.5 to 4.1",
    ),
    Claim(
        "quality-only",
        "Quality reward alone raises quality and leaves text adherence from falling",
        f"{_PAPER}, figure 4",
        "3.5 to 4.6, 0.58 to 0.61",
    ),
)

BY_ID = {claim.id: claim for claim in CLAIMS}

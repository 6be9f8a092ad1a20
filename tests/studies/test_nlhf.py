"""The tabular study of Nash learning: every claim is tested at the smallest size, and all of them hold."""

from dataclasses import replace

from antiphon.studies import nlhf
from antiphon.train.run_directory import RunDirectory


def test_every_claim_is_measured_and_holds(tmp_path):
    config = replace(nlhf.PRESETS["smoke"], answers=5, tables=2, taus=(0.1,), steps=200)
    run = RunDirectory.create("nlhf", config, seed=0, root=tmp_path)
    findings = nlhf.run(config, run)
    assert [finding.id for finding in findings] == [claim.id for claim in nlhf.CLAIMS]
    assert all(finding.holds for finding in findings), [f.id for f in findings if not f.holds]
    assert (run.media / "media.json").exists()

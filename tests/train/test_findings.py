import json
import subprocess
import sys

import numpy as np
import pytest

from antiphon.train.errors import RunError
from antiphon.train.findings import Claim, Finding, read_findings, write_findings


def test_findings_round_trip_as_plain_json(tmp_path):
    claim = Claim("kl", "The gap shrinks", "2312.00886 table 2", np.float32(0.5))
    findings = [
        claim.measured(
            np.float32(0.25), holds=np.bool_(True), interval=np.asarray([0.125, 0.5]), note="5 seeds"
        ),
        Finding("b", "c", "s", "grows", float("nan"), (float("-inf"), 1.0), False),
        Claim("c", "c", "s", None).untested("too small"),
    ]
    write_findings(tmp_path / "findings.json", findings)
    read = read_findings(tmp_path / "findings.json")
    assert read[0] == findings[0]
    assert (read[0].measured, read[0].interval, read[0].holds) == (0.25, (0.125, 0.5), True)
    assert np.isnan(read[1].measured)
    assert read[1].interval == (float("-inf"), 1.0)
    assert read[2].holds is None
    stored = json.loads(
        (tmp_path / "findings.json").read_text(),
        parse_constant=lambda name: pytest.fail(f"{name} is not JSON"),
    )
    assert list(stored[0]) == ["id", "claim", "source", "expected", "measured", "interval", "holds", "note"]


def test_wrong_findings_are_refused(tmp_path):
    with pytest.raises(RunError, match="holds=1; use True, False or None"):
        Finding("a", "c", "s", 1, 1, holds=1)
    with pytest.raises(RunError, match="low ≤ high"):
        Finding("a", "c", "s", 1, 1, (2.0, 1.0), True)
    with pytest.raises(RunError, match="Two findings have the id 'a'"):
        write_findings(tmp_path / "f", [Finding("a", "c", "s", 1, 1), Finding("a", "d", "s", 1, 1)])
    (tmp_path / "f").write_text('[{"id": "a"}]')
    with pytest.raises(RunError, match="unknown field 'claim'"):
        read_findings(tmp_path / "f")


def test_what_the_command_line_needs_does_not_load_jax():
    code = (
        "import sys; from antiphon.train.findings import Finding; "
        "from antiphon.train import RunDirectory, RunError, Interrupted, read_metrics; "
        "assert not {'jax', 'numpy', 'rich'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

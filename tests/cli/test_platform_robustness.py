"""robustness writes its tables and says what it does not know."""

import json

import pytest

from antiphon.cli.platform import robustness
from antiphon.core.errors import UserError

QUICK = ["--envs", "2", "--pattern-envs", "1", "--protocol", "training"]


def test_tables_and_json_agree(tmp_path, capsys):
    words = ["lqr-saving", "--conditions", "nominal", "failure-1", "--tell-dead-valves", *QUICK]
    assert robustness.main([*words, "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["told"] for row in found["rows"]] == [False, True]
    assert found["rows"][0]["conditions"]["nominal"]["PT5"]["n"] == 2
    assert json.loads((tmp_path / "robustness.json").read_text()) == found["rows"]
    assert "## Dead valves: lqr-saving" in (tmp_path / "robustness.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lqr-savin"], "did you mean 'lqr-saving'"),
        (["lqr", "--conditions", "flor-0.25"], "did you mean 'floor-0.25'"),
        (["lqr", "--task", "go-through-gate"], "no matrix"),
        (["lqr", "--pattern-envs", "-1"], "-1 episodes"),
        (["lqr", "--envs", "0"], "0 envs"),
    ],
)
def test_what_is_not_known_is_said(words, message):
    with pytest.raises(UserError) as caught:
        robustness.main(words)
    assert message in f"{caught.value.message}; {caught.value.mend}"

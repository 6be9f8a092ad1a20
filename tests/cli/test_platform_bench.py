"""platform bench runs the benches of its own world."""

from antiphon.cli import bench as benches
from antiphon.cli.platform import bench


def test_only_the_platforms_benches_are_run(monkeypatch):
    asked = []
    monkeypatch.setattr(benches, "main", lambda argv: asked.append(list(argv)) or 0)
    assert bench.main(["--peers", "--json"]) == 0
    assert asked == [["platform", "--peers", "--json"]]
    names = [path.name for path in benches.benches_of(benches.benches_folder(), "platform")]
    assert names == ["platform_environment.py", "platform_ppo.py"]

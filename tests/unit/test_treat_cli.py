"""``rtloop treat`` as typed: what is refused, in words and as JSON, with its exit code; nothing is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtloop.app.cli import main


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no treatment plan is named"),
        (["treat-10hz-4s"], 2, "nothing for --participant, --threshold, --by"),
        (["treat-10hz-4s", "--simulate", "--participant", "Anna Berg"], 2, "never a name"),
        (["treat-10hz-4s", "--simulate", "--target", "V5"], 2, "does not treat V5"),
        (["treat-10hz-trial", "--simulate", "--target", "M1"], 3, "train_longest_tested"),
        (["no-such-plan", "--simulate"], 3, "no-such-plan"),
        (["--simulate", "--resume", "--participant", "P017"], 3, "there is nothing to resume"),
        (["--simulate", "--threshold", "nowhere.json"], 7, "cannot be trusted"),
        (["--simulate", "--study", "nowhere"], 2, "whose visit it is"),
    ],
)
def test_what_is_refused_is_said_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int,
    words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RTLOOP_STUDY", raising=False)
    with pytest.raises(SystemExit) as end:
        main(["treat", *arguments, "--data-dir", str(tmp_path / "data"), "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == code, err
    assert words in err
    assert json.loads(out)["exit_code"] == code
    assert not (tmp_path / "data").exists()


def test_its_help_says_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["treat", "--help"])
    assert end.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in (
        "resume",
        "abort WHY",
        "halt",
        "sensation WORDS",
        "adverse WORDS",
        "--participant",
        "--threshold",
    ):
        assert word in said

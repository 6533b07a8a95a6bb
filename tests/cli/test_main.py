"""The command itself."""

from __future__ import annotations

import pytest

from actorgrid.cli import main


@pytest.mark.parametrize("command", ["memory", "list", "summary", "timeline", "logs", "job", "kill-actor"])
def test_command_that_there_is_not_is_refused_with_those_that_there_are(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err

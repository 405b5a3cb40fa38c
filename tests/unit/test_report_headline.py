"""The sentence that tells which accounts stand beside the rates of retention by activation."""

import pytest

from milestones_dagster.report.headline import Apart


@pytest.mark.parametrize(
    ("apart", "sentence"),
    [
        (Apart(accounts=10, left_before=0, locked=0, open_accounts=0), None),
        (Apart(accounts=0, left_before=0, locked=0, open_accounts=0), None),
        # 41 / (759 + 41) = 5.125 %
        (
            Apart(accounts=759, left_before=41, locked=12, open_accounts=1080),
            (
                "Accounts in no rate: 41 left before the landmark (5.1%), 12 could not leave within the horizon, "
                "1,080 with an outcome still open."
            ),
        ),
        (Apart(accounts=0, left_before=1, locked=0, open_accounts=0), "Accounts in no rate: 1 left before the landmark (100.0%)."),
        (Apart(accounts=5, left_before=0, locked=3, open_accounts=0), "Accounts in no rate: 3 could not leave within the horizon."),
    ],
)
def test_the_sentence_tells_only_what_there_is(apart: Apart, sentence: str | None) -> None:
    assert apart.sentence == sentence

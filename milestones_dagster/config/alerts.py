"""The grammar of `alerts.yaml`: who hears of a failure, and how often.

Put here addresses and their rhythm. Keep out what is delivered and when: that is operations.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from milestones_dagster.config.base import Model, expects, refusal
from milestones_dagster.config.duration import Duration

_ADDRESS = "`log`, or an apprise address, such as mailto://… or slack://…"
_WEB = "a web address, such as http://localhost:3000"


def _address(value: str) -> str:
    if value == "log" or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S", value):
        return value
    # an address holds tokens, so the message never repeats it
    raise refusal(_ADDRESS, found="something else")


class Alerts(Model):
    """All of `alerts.yaml`."""

    addresses: tuple[Annotated[str, AfterValidator(_address), Field(json_schema_extra=expects(_ADDRESS))], ...] = Field(
        default=("log",), min_length=1, repr=False, description="Where alerts go: apprise addresses, or `log`."
    )
    dagster_url: Annotated[str, Field(pattern=r"^https?://\S+$", json_schema_extra=expects(_WEB))] | None = Field(
        default=None, description="Address of the Dagster UI, for the link in an alert."
    )
    repeat_after: Duration = Field(
        default=Duration(seconds=86_400, text="24 h"),
        description="Time after which a failure that lasts is told again.",
    )

"""The grammar of `tracking_plan.yaml`: the events that the product sends and where each of them is consumed.

Put here what may be said about an event. Keep out which events a milestone uses (`framework.py`).
"""

from pydantic import Field

from milestones_dagster.config.base import Model, Text


class TrackedEvent(Model):
    """One event that the product sends."""

    name: Text = Field(description="The event as the data write it.")
    description: Text = Field(description="What a person did when it is sent.")
    consumers: tuple[Text, ...] = Field(default=(), description="Where the event is consumed: written before it is sent.")
    properties: dict[Text, Text] = Field(default_factory=dict, description="Each property and its meaning.")


class TrackingPlan(Model):
    """All of `tracking_plan.yaml`; without events there is no plan, and nothing is checked against it."""

    events: tuple[TrackedEvent, ...] = Field(default=(), description="The events that the product sends.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the events, in the order of the plan."""
        return tuple(event.name for event in self.events)

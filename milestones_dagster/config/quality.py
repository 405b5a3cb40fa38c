"""The grammar of `quality/<table>.yaml`: a company's own bounds, severities, expectations and quarantine rules.

Put here what a company may add to the product's rules or change in them. Keep out the product's rules themselves
(they stand beside each table's `.sql`) and their evaluation.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from milestones_dagster.config.base import Model, Name, Number, Text, expects

Severity = Literal["warning", "critical"]
Share = Annotated[Number, Field(ge=0, le=1, json_schema_extra={"x-unit": "share"})]


class CompanyExpectation(Model):
    """An expectation that the company adds, in great-expectations' own form."""

    name: Name = Field(description="Stable name of the rule.")
    type: Annotated[
        str,
        Field(
            pattern=r"^(expect_[a-z0-9_]+|unexpected_rows_expectation)$",
            json_schema_extra=expects("the snake_case name of an expectation, such as expect_column_values_to_be_between"),
        ),
    ] = Field(description="The expectation.")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Its arguments.")
    severity: Severity = Field(default="critical", description="critical blocks the table, warning does not.")
    recovery: str = Field(default="", description="What to do when it fails.")


class QuarantineRule(Model):
    """Rows that are set aside with a reason instead of being published."""

    name: Name = Field(description="Stable name: the reason on the refused row.")
    where: Text = Field(description="SQL condition over the columns of raw_events that is true for a refused row.")
    title: Text = Field(description="The reason in words.")


class TableQuality(Model):
    """All of one `quality/<table>.yaml`."""

    bounds: dict[Name, Share] = Field(default_factory=dict, description="Per rule, the allowed share of unexpected rows.")
    severity: dict[Name, Severity] = Field(default_factory=dict, description="Per rule, its severity.")
    expectations: tuple[CompanyExpectation, ...] = Field(default=(), description="Rules that the company adds.")
    quarantine: tuple[QuarantineRule, ...] = Field(default=(), description="Rows to set aside; raw_events only.")

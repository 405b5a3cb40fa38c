"""The expectation types that a suite may name: what great-expectations registers, split by what DuckDB can run.

Put here a type that a new version of great-expectations brings (a test compares these names with the installed
version, and runs each of them on DuckDB). Keep out rules and their evaluation. The names are kept here, and not asked
of the library, because importing it costs seconds and a misspelt type must be refused when the definitions are
loaded: great-expectations itself only logs such a type, drops it, and lets the suite pass.
"""

from types import MappingProxyType

SQL_TYPE = "unexpected_rows_expectation"

# each row is counted as expected or unexpected, so the allowed share of unexpected rows (`bound`) has a meaning
ROW_TYPES = frozenset(
    {
        SQL_TYPE,
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)

# one answer for the whole table: counted as 0 or 1 of 1
TABLE_TYPES = frozenset(
    {
        "expect_column_distinct_values_to_be_in_set",
        "expect_column_distinct_values_to_contain_set",
        "expect_column_distinct_values_to_equal_set",
        "expect_column_kl_divergence_to_be_less_than",
        "expect_column_max_to_be_between",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_most_common_value_to_be_in_set",
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_quantile_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_to_exist",
        "expect_column_type_to_be",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_be_of_type",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_row_count_to_equal_other_table",
    }
)

SUPPORTED_TYPES = ROW_TYPES | TABLE_TYPES

_LIKE = "LIKE"
_REGEX = "regexp_matches(column, pattern)"
_ORDER = "lag(column) OVER (ORDER BY …)"

# registered, but great-expectations has no DuckDB implementation: what to write in an `unexpected_rows_expectation`
# instead
UNSUPPORTED_TYPES = MappingProxyType(
    {
        "expect_column_values_to_be_dateutil_parseable": "TRY_CAST(column AS TIMESTAMP)",
        "expect_column_values_to_be_decreasing": _ORDER,
        "expect_column_values_to_be_increasing": _ORDER,
        "expect_column_values_to_be_json_parseable": "json_valid(column)",
        "expect_column_values_to_match_json_schema": "json_extract(column, path)",
        "expect_column_values_to_match_like_pattern": _LIKE,
        "expect_column_values_to_match_like_pattern_list": _LIKE,
        "expect_column_values_to_match_regex": _REGEX,
        "expect_column_values_to_match_regex_list": _REGEX,
        "expect_column_values_to_match_strftime_format": "try_strptime(column, format)",
        "expect_column_values_to_not_be_outliers": "quantile_cont(column, share)",
        "expect_column_values_to_not_match_like_pattern": _LIKE,
        "expect_column_values_to_not_match_like_pattern_list": _LIKE,
        "expect_column_values_to_not_match_regex": _REGEX,
        "expect_column_values_to_not_match_regex_list": _REGEX,
        "expect_query_results_to_match_comparison": "a query that names both tables",
    }
)

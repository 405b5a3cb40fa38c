"""The house dialect in Spark's words: what sqlglot would translate to something that parses and means another thing.

Put here one rewrite per difference, each with its reason and an edge in `tests/warehouse/test_dialect.py`, which both engines are
asked. Keep out sessions and tables: expression in, text out. Spark runs in ANSI mode with the session zone UTC and TIMESTAMP
meaning TIMESTAMP_NTZ; a word that is not rewritten here is the same in both or is refused by the house dialect.
"""

from collections.abc import Callable, Mapping

from sqlglot import exp

from milestones_dagster.warehouse.dialect import JOINED_TEXT, DialectError, is_joined_text

DIALECT = "spark"
SETTINGS: Mapping[str, str] = {
    # a cast or a sum that does not fit is an error, as on DuckDB, and not a NULL or another number
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.caseSensitive": "false",
}
"""What a session must have for a translated SELECT to mean what it says."""

_HEXADECIMAL = "0x"


def spark_sql(query: exp.Query) -> str:
    """The query in Spark's SQL, meaning what it means on DuckDB.

    Raises:
        DialectError: a use of an allowed word that has no counterpart, such as a zone change alone.
    """
    # from the leaves up: a rewritten node holds rewritten parts
    rewritten: exp.Expr = query.copy()
    for node in list(rewritten.dfs())[::-1]:
        rewrite = _REWRITES.get(type(node))
        made = rewrite(node) if rewrite is not None else node
        if made is not node:
            node.replace(made)
    return rewritten.sql(dialect=DIALECT)


def spark_type(kind: str) -> str:
    """Spark's name of a DuckDB type."""
    named: str = exp.DataType.build(kind, dialect="duckdb").sql(dialect=DIALECT)
    return named


def _division(node: exp.Expr) -> exp.Expr:
    # a division of decimals is a decimal of few digits there, a DOUBLE here
    node.set("this", _double(node.this))
    return node


def _literal(node: exp.Expr) -> exp.Expr:
    # 0.05 is a DECIMAL to both, but sums and products of decimals have other scales
    if node.is_string or not any(sign in node.name for sign in ".eE"):
        return node
    return _double(node.copy())


def _floor(node: exp.Expr) -> exp.Expr:
    # the floor of a DOUBLE is a BIGINT there
    return _double(node.copy())


def _cast(node: exp.Expr) -> exp.Expr:
    inner = node.this.unnest()
    is_hexadecimal = isinstance(inner, exp.DPipe) and inner.this.is_string and inner.this.name == _HEXADECIMAL
    if is_hexadecimal:
        number = exp.Anonymous(this="CONV", expressions=[inner.expression.copy(), exp.Literal.number(16), exp.Literal.number(10)])
        return exp.cast(number, node.args["to"])
    return node


def _interval(node: exp.Expr) -> exp.Expr:
    """TO_MONTHS and TO_SECONDS: intervals of months and of seconds, which are two types there."""
    argument = node.expressions[0].copy() if node.expressions else node.this
    if node.name.upper() == "TO_MONTHS":
        return exp.Anonymous(this="MAKE_YM_INTERVAL", expressions=[exp.Literal.number(0), exp.cast(argument, "INT")])
    if node.name.upper() == "TO_SECONDS":
        zeros = [exp.Literal.number(0) for _ in range(3)]
        return exp.Anonymous(this="MAKE_DT_INTERVAL", expressions=[*zeros, exp.cast(argument, "DECIMAL(18, 6)")])
    return node


def _difference(node: exp.Expr) -> exp.Expr:
    """DATE_DIFF: months count the firsts passed, where Spark counts whole months; BIGINT, where Spark's is INT."""
    if node.text("unit").upper() == "MONTH":
        later, earlier = (_months(part) for part in (node.this, node.expression))
        return exp.cast(exp.paren(exp.Sub(this=later, expression=earlier)), "BIGINT")
    return exp.cast(node.copy(), "BIGINT")


def _months(moment: exp.Expr) -> exp.Expr:
    years = exp.Mul(this=exp.Anonymous(this="YEAR", expressions=[moment.copy()]), expression=exp.Literal.number(12))
    return exp.paren(exp.Add(this=years, expression=exp.Anonymous(this="MONTH", expressions=[moment.copy()])))


def _epoch(node: exp.Expr) -> exp.Expr:
    # UNIX_TIMESTAMP drops the fraction
    instant = exp.Anonymous(this="TO_TIMESTAMP_LTZ", expressions=[node.this.copy()])
    micros = exp.Anonymous(this="UNIX_MICROS", expressions=[instant])
    return exp.paren(exp.Div(this=_double(micros), expression=_double(exp.Literal.number(1_000_000))))


def _zone(node: exp.Expr) -> exp.Expr:
    """`x AT TIME ZONE a AT TIME ZONE b`: the wall clock of zone a as the wall clock of zone b."""
    inner = node.this.unnest()
    around = node.parent.parent if isinstance(node.parent, exp.Paren) else node.parent
    if isinstance(around, exp.AtTimeZone):
        return node  # the inner one of a pair: the outer takes both
    if not isinstance(inner, exp.AtTimeZone):
        raise DialectError(f"`{node.sql(dialect='duckdb')}`: write a zone change as a pair, `… AT TIME ZONE a AT TIME ZONE b`")
    wall, source, target = inner.this, inner.args["zone"], node.args["zone"]
    earlier = _converted(source, target, wall)
    if source.is_string and source.name == "UTC":
        return earlier
    # a wall time that comes twice is the second of them here, the first there. By the offset of a day later it is `later`, and
    # that is right where it is this wall time again; a wall time that is left out is neither and reads alike in both
    day = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY"))
    as_utc = _converted(source, exp.Literal.string("UTC"), wall)
    after = exp.Add(this=as_utc, expression=day)
    offset = exp.paren(exp.Sub(this=exp.paren(wall.copy()), expression=_converted(exp.Literal.string("UTC"), source, after)))
    later = exp.paren(exp.Add(this=after.copy(), expression=offset))
    is_again = exp.EQ(this=_converted(exp.Literal.string("UTC"), source, later), expression=exp.paren(wall.copy()))
    second = _converted(exp.Literal.string("UTC"), target, later)
    return exp.Case().when(is_again, second).else_(earlier)


def _converted(source: exp.Expr, target: exp.Expr, moment: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="CONVERT_TIMEZONE", expressions=[source.copy(), target.copy(), moment.copy()])


def _property(node: exp.Expr) -> exp.Expr:
    """`json ->> name`: the name is a name and no path, and it may come from a column; text that is no JSON is an error."""
    name = node.expression
    if isinstance(name, exp.JSONPath):
        name = exp.Literal.string(".".join(str(part.this) for part in name.expressions if isinstance(part, exp.JSONPathKey)))
    options = exp.Anonymous(this="MAP", expressions=[exp.Literal.string("mode"), exp.Literal.string("FAILFAST")])
    schema = exp.Literal.string("MAP<STRING, STRING>")
    values = exp.Anonymous(this="FROM_JSON", expressions=[node.this.copy(), schema, options])
    return exp.Anonymous(this="TRY_ELEMENT_AT", expressions=[values, name.copy()])


def _logarithm(node: exp.Expr) -> exp.Expr:
    return _refusing(node, exp.LTE, "logarithm of zero or below")


def _root(node: exp.Expr) -> exp.Expr:
    return _refusing(node, exp.LT, "square root of a negative number")


def _refusing(node: exp.Expr, outside: Callable[..., exp.Expr], words: str) -> exp.Expr:
    # NULL or NaN there, an error here
    is_outside = outside(this=node.this.copy(), expression=exp.Literal.number(0))
    error = exp.Anonymous(this="RAISE_ERROR", expressions=[exp.Literal.string(words)])
    return exp.Case().when(is_outside, exp.cast(error, "DOUBLE")).else_(node.copy())


def _condition(node: exp.Expr) -> exp.Expr:
    # a bare NULL is of no type there
    if isinstance(node.this, exp.Null) and not (isinstance(node.parent, exp.Case) and node.parent.this is not None):
        node.set("this", exp.cast(exp.null(), "BOOLEAN"))
    return node


def _ordered_list(node: exp.Expr) -> exp.Expr:
    # a list there is in no order: its values are sorted by the key beside them
    order = node.this
    if not isinstance(order, exp.Order):
        return node
    key, element = order.expressions[0].this, order.this
    pair = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier("k"), expression=key.copy()),
            exp.PropertyEQ(this=exp.to_identifier("v"), expression=element.copy()),
        ]
    )
    listed = exp.Anonymous(this="ARRAY_SORT", expressions=[exp.Anonymous(this="COLLECT_LIST", expressions=[pair])])
    value = exp.Lambda(this=exp.column("v", table="e"), expressions=[exp.to_identifier("e")])
    return exp.Anonymous(this="TRANSFORM", expressions=[listed, value])


def _joined_text(node: exp.Expr) -> exp.Expr:
    """STRING_AGG(DISTINCT a, ', ' ORDER BY a): Spark 4.1's own LISTAGG fails to plan beside another DISTINCT."""
    if not isinstance(node, exp.GroupConcat) or not is_joined_text(node):
        raise DialectError(f"`{node.sql(dialect='duckdb')}`: write {JOINED_TEXT}")
    distinct, separator = node.this.this, node.args.get("separator") or exp.Literal.string(",")
    texts = exp.Anonymous(this="COLLECT_SET", expressions=[distinct.expressions[0].copy()])
    joined = exp.Anonymous(this="ARRAY_JOIN", expressions=[exp.Anonymous(this="ARRAY_SORT", expressions=[texts]), separator.copy()])
    # of no text at all it is the empty text there, NULL here
    is_empty = exp.EQ(this=exp.Anonymous(this="SIZE", expressions=[texts.copy()]), expression=exp.Literal.number(0))
    return exp.Case().when(is_empty, exp.cast(exp.null(), "TEXT")).else_(joined)


def _named_query(node: exp.Expr) -> exp.Expr:
    # whether a common table expression is kept is Spark's own choice
    node.set("materialized", None)
    return node


def _double(expression: exp.Expr) -> exp.Expr:
    return exp.cast(expression, "DOUBLE")


_REWRITES: Mapping[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Anonymous: _interval,
    exp.ArrayAgg: _ordered_list,
    exp.AtTimeZone: _zone,
    exp.CTE: _named_query,
    exp.Cast: _cast,
    exp.DateDiff: _difference,
    exp.Div: _division,
    exp.Floor: _floor,
    exp.GroupConcat: _joined_text,
    exp.If: _condition,
    exp.JSONExtractScalar: _property,
    exp.Literal: _literal,
    exp.Ln: _logarithm,
    exp.Sqrt: _root,
    exp.TimeToUnix: _epoch,
}

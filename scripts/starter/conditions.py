"""Conditions on columns: a piece of SQL and words that say it."""

import dataclasses

NUMBER_WORDS = {
    ">": ["above {v}", "over {v}", "greater than {v}", "more than {v}", "higher than {v}", "larger than {v}",
          "that exceeds {v}", "exceeding {v}", "bigger than {v}", "> {v}", "of more than {v}", "beyond {v}"],
    "<": ["below {v}", "under {v}", "less than {v}", "lower than {v}", "smaller than {v}", "fewer than {v}",
          "< {v}", "of less than {v}", "beneath {v}"],
    ">=": ["of at least {v}", "at least {v}", "no less than {v}", "of {v} or more", "greater than or equal to {v}",
           ">= {v}", "not below {v}", "of a minimum of {v}", "of {v} or higher"],
    "<=": ["of at most {v}", "at most {v}", "no more than {v}", "up to {v}", "of {v} or less", "<= {v}",
           "less than or equal to {v}", "not above {v}", "of {v} or lower"],
    "=": ["equal to {v}", "of {v}", "of exactly {v}", "= {v}", "exactly {v}"],
}
DATE_WORDS = {
    ">": ["after {v}", "later than {v}", "past {v}", "> {v}"],
    "<": ["before {v}", "earlier than {v}", "prior to {v}", "< {v}"],
    ">=": ["on or after {v}", "since {v}", "from {v} on", "no earlier than {v}", ">= {v}", "starting {v}"],
    "<=": ["on or before {v}", "until {v}", "up to {v}", "no later than {v}", "<= {v}", "by {v}"],
    "=": ["on {v}", "equal to {v}", "of {v}", "exactly {v}"],
}
FRAMES = ["with {c} {w}", "whose {c} is {w}", "where the {c} is {w}", "where {c} is {w}", "having {c} {w}",
          "with a {c} {w}", "that have a {c} {w}", "which have {c} {w}"]
EQUAL_TEXT = ["whose {c} is {v}", "with {c} {v}", "where {c} is {v}", "where the {c} is {v}", "with {v} as {c}",
              "that have {c} {v}", "having {c} {v}", "with the {c} {v}", "whose {c} equals {v}", "with a {c} of {v}",
              "that have {v} as their {c}", "where the {c} equals {v}", "for {c} {v}", "of {c} {v}",
              "with {c} = {v}", "where {c} = {v}", "belonging to {c} {v}", "in {c} {v}"]
OTHER_TEXT = ["whose {c} is not {v}", "with a {c} other than {v}", "where the {c} is not {v}",
              "with any {c} but {v}", "where {c} differs from {v}", "that do not have {c} {v}",
              "with {c} different from {v}", "except those with {c} {v}", "where {c} is anything but {v}"]
IN_TEXT = ["whose {c} is {v}", "with {c} {v}", "where the {c} is {v}", "where {c} is one of {v}",
           "whose {c} is either {v}", "with {c} in {v}", "having {c} {v}", "that have {c} {v}",
           "with any of the {c} {v}", "whose {c} is among {v}"]
BETWEEN = ["with {c} between {a} and {b}", "whose {c} is between {a} and {b}", "where the {c} lies between {a} and {b}",
           "with {c} from {a} to {b}", "whose {c} is in the range {a} to {b}", "with a {c} between {a} and {b}",
           "where {c} is from {a} to {b}", "with {c} ranging from {a} to {b}", "having a {c} from {a} to {b}"]
NULL = ["without a {c}", "with no {c}", "whose {c} is missing", "whose {c} is not known", "whose {c} is null",
        "that have no {c}", "where the {c} is unknown", "where {c} is empty", "with a missing {c}",
        "lacking a {c}", "where the {c} is not set", "whose {c} is not given"]
NOT_NULL = ["with a known {c}", "whose {c} is known", "whose {c} is not null", "that have a {c}",
            "where the {c} is set", "whose {c} is given", "where {c} is not empty", "with some {c}",
            "whose {c} is not missing", "that do have a {c}"]


@dataclasses.dataclass
class Condition:
    """`sql` without the table's name, `text` what the question says, `read` what an explanation says."""

    column: object
    sql: str
    text: str
    read: str

    def qualified(self, table):
        return f"{table.name}.{self.sql}"


def literal(value):
    """A value as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def spoken(rng, value):
    """A value as a question has it; texts sometimes in double quotes."""
    return f'"{value}"' if isinstance(value, str) and rng.random() < 0.15 else str(value)


def compare(rng, column, words, operators):
    operator = rng.choice(operators)
    value = rng.choice(column.pool)
    phrase = rng.choice(words[operator]).format(v=value)
    text = rng.choice(FRAMES).format(c=named(rng, column), w=phrase)
    said = {">": "greater than", "<": "less than", ">=": "at least", "<=": "at most", "=": "equal to"}[operator]
    if column.kind == "date":
        said = {">": "after", "<": "before", ">=": "on or after", "<=": "on or before", "=": "on"}[operator]
    return Condition(
        column, f"{column.name} {operator} {literal(value)}", text, f"{column.name} is {said} {value}"
    )


def named(rng, column):
    """How a question names the column: with spaces, sometimes as it stands in the schema."""
    return column.name if rng.random() < 0.1 else column.phrase


def between(rng, column):
    low, high = sorted(rng.sample(column.pool, 2))
    text = rng.choice(BETWEEN).format(c=named(rng, column), a=low, b=high)
    sql = f"{column.name} BETWEEN {literal(low)} AND {literal(high)}"
    return Condition(column, sql, text, f"{column.name} is between {low} and {high}")


def one_of(rng, column):
    values = rng.sample(column.pool, rng.choice((2, 2, 3)))
    shown = [spoken(rng, v) for v in values]
    if rng.random() < 0.7:
        listed = ", ".join(shown[:-1]) + rng.choice((" or ", " or ", " and ")) + shown[-1]
    else:
        listed = rng.choice((", ", " or ")).join(shown)
    text = rng.choice(IN_TEXT).format(c=named(rng, column), v=listed)
    sql = f"{column.name} IN ({', '.join(literal(v) for v in values)})"
    return Condition(column, sql, text, f"{column.name} is one of {', '.join(str(v) for v in values)}")


def equal(rng, column):
    value = rng.choice(column.pool)
    text = rng.choice(EQUAL_TEXT).format(c=named(rng, column), v=spoken(rng, value))
    return Condition(column, f"{column.name} = {literal(value)}", text, f"{column.name} is {value}")


def other(rng, column):
    value = rng.choice(column.pool)
    text = rng.choice(OTHER_TEXT).format(c=named(rng, column), v=spoken(rng, value))
    return Condition(column, f"{column.name} <> {literal(value)}", text, f"{column.name} is not {value}")


def null(rng, column):
    if rng.random() < 0.6:
        text = rng.choice(NULL).format(c=named(rng, column))
        return Condition(column, f"{column.name} IS NULL", text, f"{column.name} is missing")
    text = rng.choice(NOT_NULL).format(c=named(rng, column))
    return Condition(column, f"{column.name} IS NOT NULL", text, f"{column.name} is not missing")


def condition(rng, column):
    """A random condition that suits the column."""
    draw = rng.random()
    if draw < 0.08 and column.nullable:
        return null(rng, column)
    if column.kind == "text":
        if draw < 0.66:
            return equal(rng, column)
        return other(rng, column) if draw < 0.8 else one_of(rng, column)
    if len(column.pool) > 3 and draw > 0.82:
        return between(rng, column)
    if column.kind == "date":
        return compare(rng, column, DATE_WORDS, (">", "<", ">", "<", ">=", "<=", "="))
    operators = (">", "<", ">", "<", ">=", "<=", "=")
    return compare(rng, column, NUMBER_WORDS, operators if column.kind == "integer" else operators[:-1])

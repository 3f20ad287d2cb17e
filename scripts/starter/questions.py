"""Questions over a schema with their SQL, one function per construct."""

import dataclasses

from conditions import condition, named

AGGREGATES = {
    "AVG": ["average", "mean", "average", "typical"],
    "SUM": ["total", "sum of the", "combined", "summed", "overall"],
    "MAX": ["highest", "maximum", "largest", "greatest", "biggest", "top"],
    "MIN": ["lowest", "minimum", "smallest", "least"],
}
DATE_AGGREGATES = {"MAX": ["latest", "most recent", "last", "newest"], "MIN": ["earliest", "first", "oldest"]}
LISTING = ["List {x}", "Show {x}", "Give me {x}", "Find {x}", "What are {x}", "Return {x}", "Get {x}", "Display {x}",
           "I need {x}", "Can you list {x}", "Tell me {x}", "Please show {x}", "Print {x}", "Fetch {x}",
           "Look up {x}", "I would like to see {x}", "Let me see {x}", "Could you give me {x}", "Retrieve {x}",
           "I want {x}", "Select {x}", "Output {x}", "Show me {x}", "Which are {x}", "Please return {x}"]
COUNTING = ["How many {t} are there{f}", "Count the {t}{f}", "What is the number of {t}{f}", "How many {t}{f} exist",
            "Give the number of {t}{f}", "How many {t} do we have{f}", "Tell me how many {t}{f} there are",
            "Number of {t}{f}", "Find the count of {t}{f}", "Return the number of {t}{f}", "How many {t}{f}",
            "Show the total number of {t}{f}", "I need a count of the {t}{f}", "What is the count of {t}{f}"]
AGGREGATING = ["What is the {a} {c} of {t}{f}", "Find the {a} {c} of the {t}{f}", "Show the {a} {c} for {t}{f}",
               "Calculate the {a} {c} of all {t}{f}", "Give me the {a} {c} among {t}{f}", "{a} {c} of {t}{f}",
               "Tell me the {a} {c} across {t}{f}", "Return the {a} {c} of {t}{f}", "What is the {a} {c} for the {t}{f}",
               "I need the {a} {c} of {t}{f}", "Compute the {a} {c} over {t}{f}", "What {a} {c} do the {t}{f} have"]
EACH = ["for each {g}", "per {g}", "by {g}", "grouped by {g}", "for every {g}", "in each {g}", "broken down by {g}"]
UP = ["in ascending order of {c}", "sorted by {c}", "ordered by {c}", "from lowest to highest {c}",
      "sorted by {c} ascending", "by increasing {c}", "ordered by {c} from low to high", "smallest {c} first"]
DOWN = ["in descending order of {c}", "sorted by {c} descending", "ordered by {c} from high to low",
        "from highest to lowest {c}", "by decreasing {c}", "largest {c} first", "highest {c} first",
        "ordered by {c} descending"]
UP_DATE = ["earliest {c} first", "oldest {c} first", "sorted by {c}", "ordered by {c}", "by {c} ascending"]
DOWN_DATE = ["latest {c} first", "newest {c} first", "most recent {c} first", "sorted by {c} descending"]
UP_TEXT = ["in alphabetical order of {c}", "sorted by {c}", "ordered by {c}", "alphabetically by {c}", "sorted by {c} ascending"]
DOWN_TEXT = ["in reverse alphabetical order of {c}", "sorted by {c} descending", "ordered by {c} from Z to A"]
MORE_ROWS = {">": ["more than {n}", "over {n}"], ">=": ["at least {n}", "{n} or more"],
             "<": ["fewer than {n}", "less than {n}"]}
EXTREMES = {
    (True, True): ("latest", "most recent", "newest"),
    (True, False): ("highest", "largest", "greatest", "top"),
    (False, True): ("earliest", "oldest"),
    (False, False): ("lowest", "smallest", "least"),
}
LOW_WORDS = ("one two three four five six seven eight nine ten").split()


@dataclasses.dataclass
class Query:
    """One question; `reads` are the sentences of an explanation, `single` says that one table is enough."""

    kind: str
    question: str
    sql: str
    reads: list
    single: bool = True


def choose(rng, table, *kinds, count=1):
    """Distinct random columns of these kinds, or nothing if the table has too few."""
    columns = table.of(*kinds)
    return rng.sample(columns, count) if len(columns) >= count else None


def filters(rng, table, chance=1.0, avoid=()):
    """None to two conditions as (sql, text, read), each with a leading space or empty."""
    usable = [c for c in table.of("text", "integer", "real", "date") if c not in avoid]
    if not usable or rng.random() >= chance:
        return "", "", []
    two = len(usable) > 1 and rng.random() < 0.28
    made = [condition(rng, c) for c in rng.sample(usable, 2 if two else 1)]
    if not two:
        return f" WHERE {made[0].sql}", f" {made[0].text}", [f"It keeps rows where {made[0].read}."]
    word = "OR" if rng.random() < 0.3 else "AND"
    texts = [m.text for m in made]
    joint = " or " if word == "OR" else rng.choice((" and ", " and ", " and also ", " but only ", " as well as "))
    if word == "AND" and joint == " as well as ":
        joint = " and "
    sql = f" WHERE {made[0].sql} {word} {made[1].sql}"
    read = f"It keeps rows where {made[0].read} {word.lower()} {made[1].read}."
    return sql, f" {texts[0]}{joint}{texts[1]}", [read]


def listed(names):
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def columns_phrase(rng, columns):
    return listed([named(rng, c) for c in columns])


def many(rng, column):
    """The plural of a column's phrase, sometimes."""
    phrase = column.phrase
    return phrase if rng.random() < 0.5 or phrase.endswith("s") else phrase + "s"


def opening(rng, subject):
    return rng.choice(LISTING).format(x=subject)


def said_number(rng, number):
    return LOW_WORDS[number - 1] if number <= 10 and rng.random() < 0.5 else str(number)


def returns(columns):
    return f"It returns {listed([c.name for c in columns])}."


def reading(table):
    return f"This query reads the table {table.name}."


def list_rows(rng, table):
    where, text, read = filters(rng, table, 0.9)
    if rng.random() < 0.2:
        subject = rng.choice((f"all {table.phrase}", f"every {table.one}", f"all columns of {table.phrase}",
                              f"the {table.phrase}", f"everything about {table.phrase}", f"all details of the {table.phrase}"))
        sql = f"SELECT * FROM {table.name}{where};"
        return Query("list", opening(rng, subject + text), sql, [reading(table), *read, "It returns all columns."])
    columns = rng.sample(table.of("text", "integer", "real", "date"), rng.choice((1, 1, 1, 2, 2, 3)) if len(table.columns) > 4 else 1)
    phrase = many(rng, columns[0]) if len(columns) == 1 else columns_phrase(rng, columns)
    subject = rng.choice((f"the {phrase} of {table.phrase}", f"the {phrase} of all {table.phrase}", f"the {phrase} of the {table.phrase}",
                          f"the {phrase} for {table.phrase}", f"{phrase} of {table.phrase}", f"{phrase} from {table.phrase}"))
    names = ", ".join(c.name for c in columns)
    return Query("list", opening(rng, subject + text), f"SELECT {names} FROM {table.name}{where};", [reading(table), *read, returns(columns)])


def which_rows(rng, table):
    title = table.title()
    where, text, read = filters(rng, table, avoid=(title,))
    if not title or not where:
        return None
    start = rng.choice(("Which {t}", "What {t}", "Find {t}", "Which {t} are there", "Name the {t}", "List {t} by {n}", "Give the {n} of {t}"))
    question = start.format(t=table.phrase, n=title.phrase) + text
    return Query("list", question, f"SELECT {title.name} FROM {table.name}{where};", [reading(table), *read, returns([title])])


def count_rows(rng, table):
    where, text, read = filters(rng, table, 0.85)
    question = rng.choice(COUNTING).format(t=table.phrase, f=text)
    return Query("count", question, f"SELECT COUNT(*) FROM {table.name}{where};", [reading(table), *read, "It counts the rows."])


def count_distinct(rng, table):
    (column,) = choose(rng, table, "text", "date", "integer") or (None,)
    if not column:
        return None
    where, text, read = filters(rng, table, 0.35, avoid=(column,))
    start = rng.choice(("How many different {c} are there among {t}", "How many distinct {c} do the {t} have", "Count the distinct {c} of {t}",
                        "What is the number of different {c} of {t}", "How many unique {c} do {t} have", "Count the different {c} in {t}",
                        "Give the number of unique {c} of {t}"))
    question = start.format(c=many(rng, column), t=table.phrase) + text
    sql = f"SELECT COUNT(DISTINCT {column.name}) FROM {table.name}{where};"
    return Query("distinct", question, sql, [reading(table), *read, f"It counts the different values of {column.name}."])


def distinct(rng, table):
    (column,) = choose(rng, table, "text", "date", "integer") or (None,)
    if not column:
        return None
    where, text, read = filters(rng, table, 0.4, avoid=(column,))
    word = rng.choice(("different", "distinct", "unique", "distinct"))
    subject = rng.choice(("the {w} {c} of {t}", "all {w} {c} of the {t}", "the {w} {c} of all {t}", "{w} {c} of {t}", "each {w} {c} of the {t}", "the {w} {c} in {t}"))
    question = opening(rng, subject.format(w=word, c=many(rng, column), t=table.phrase) + text)
    sql = f"SELECT DISTINCT {column.name} FROM {table.name}{where};"
    return Query("distinct", question, sql, [reading(table), *read, f"It returns the different values of {column.name}."])


def aggregate_words(rng, column):
    """An aggregate that suits the column, and the word for it."""
    table = DATE_AGGREGATES if column.kind == "date" else AGGREGATES
    function = rng.choice(list(table))
    return function, rng.choice(table[function])


READ = {"AVG": "the average", "SUM": "the sum", "MAX": "the largest value", "MIN": "the smallest value"}


def aggregate(rng, table):
    (column,) = choose(rng, table, "integer", "real", "real", "date") or (None,)
    if not column:
        return None
    where, text, read = filters(rng, table, 0.75, avoid=(column,))
    function, word = aggregate_words(rng, column)
    reads = [reading(table), *read, f"It returns {READ[function]} of {column.name}."]
    names = {"a": word, "c": named(rng, column), "t": table.phrase, "f": text}
    question = rng.choice(AGGREGATING).format(**names)
    if rng.random() < 0.12:
        other_function, other_word = aggregate_words(rng, column)
        if other_function != function:
            names["a"] = f"{word} and {other_word}"
            question = rng.choice(AGGREGATING).format(**names)
            sql = f"SELECT {function}({column.name}), {other_function}({column.name}) FROM {table.name}{where};"
            reads[-1] = f"It returns {READ[function]} and {READ[other_function]} of {column.name}."
            return Query("aggregate", question, sql, reads)
    return Query("aggregate", question, f"SELECT {function}({column.name}) FROM {table.name}{where};", reads)


def order_words(rng, column, down):
    words = {"text": (UP_TEXT, DOWN_TEXT), "date": (UP_DATE, DOWN_DATE)}.get(column.kind, (UP, DOWN))
    return rng.choice(words[down]).format(c=column.phrase)


def order_sql(column, down):
    return f"ORDER BY {column.name}" + (" DESC" if down else "")


def order_read(column, down):
    return f"It sorts by {column.name}" + (" from high to low." if down else " from low to high.")


def ordered(rng, table):
    pair = choose(rng, table, "text", "integer", "real", "date", count=2)
    if not pair:
        return None
    shown, key = pair
    down = rng.random() < 0.5
    where, text, read = filters(rng, table, 0.45, avoid=pair)
    columns = [shown] if rng.random() < 0.6 else [shown, key]
    subject = f"the {columns_phrase(rng, columns)} of {rng.choice(('', 'all ', 'the '))}{table.phrase}{text}"
    names = ", ".join(c.name for c in columns)
    if rng.random() < 0.2:
        subject, names, columns = f"all {table.phrase}{text}", "*", []
    question = opening(rng, subject) + rng.choice((", ", " ")) + order_words(rng, key, down)
    sql = f"SELECT {names} FROM {table.name}{where} {order_sql(key, down)};"
    shows = returns(columns) if columns else "It returns all columns."
    return Query("order", question, sql, [reading(table), *read, order_read(key, down), shows])


def top(rng, table):
    columns = choose(rng, table, "integer", "real", "date")
    shown = table.title() or next(iter(table.of("text")), None)
    if not columns or not shown:
        return None
    (key,) = columns
    down = rng.random() < 0.6
    where, text, read = filters(rng, table, 0.3, avoid=(key, shown))
    word = rng.choice(EXTREMES[down, key.kind == "date"])
    if rng.random() < 0.4:
        count = 1
        start = rng.choice(("What is the {s} of the {o} with the {w} {c}", "Which {s} belongs to the {o} with the {w} {c}", "Give the {s} of the {o} that has the {w} {c}",
                            "Show the {s} of the {o} with the {w} {c}", "Find the {s} of the {o} having the {w} {c}"))
        if shown.name in ("name", "title") and rng.random() < 0.5:
            start = rng.choice(("Which {o} has the {w} {c}", "What {o} has the {w} {c}", "Find the {o} with the {w} {c}", "Name the {o} with the {w} {c}"))
        if text:
            start += " among {t}" + text
    else:
        count = rng.choice((2, 3, 3, 4, 5, 5, 6, 7, 8, 10))
        start = rng.choice(("List the {s} of the {n} {t} with the {w} {c}", "Show the {s} of the {n} {t} with the {w} {c}", "What are the {s} of the {n} {t} with the {w} {c}",
                            "Give me the {s} of the top {n} {t} with the {w} {c}", "Which {n} {t} have the {w} {c}? Show the {s}", "Return the {s} for the {n} {t} having the {w} {c}"))
        if text:
            start = start.replace("? Show the {s}", "; show the {s}") + ", only {t}" + text
    question = start.format(s=shown.phrase, o=table.one, t=table.phrase, w=word, c=key.phrase, n=said_number(rng, count))
    sql = f"SELECT {shown.name} FROM {table.name}{where} {order_sql(key, down)} LIMIT {count};"
    rows = "the first row" if count == 1 else f"the first {count} rows"
    return Query("limit", question, sql, [reading(table), *read, order_read(key, down), f"It returns {shown.name} of {rows}."])


def group_count(rng, table):
    columns = choose(rng, table, "text", "text", "date", "integer")
    if not columns:
        return None
    (key,) = columns
    where, text, read = filters(rng, table, 0.3, avoid=(key,))
    each = rng.choice(EACH).format(g=named(rng, key))
    having, having_text, having_read = "", "", []
    kind = "group"
    reads = [reading(table), *read, f"It groups the rows by {key.name}."]
    if rng.random() < 0.35:
        kind, (operator, words), number = "having", rng.choice(list(MORE_ROWS.items())), rng.randint(2, 9)
        amount = rng.choice(words).format(n=said_number(rng, number))
        having, having_read = f" HAVING COUNT(*) {operator} {number}", f"It keeps groups with COUNT(*) {operator} {number}."
        start = rng.choice(("Which {k} have {m} {t}", "List each {k} with {m} {t}", "Show the {k} that have {m} {t}", "Find every {k} that has {m} {t}", "What {k} have {m} {t}"))
        question = start.format(k=many(rng, key) if "have" in start else key.phrase, m=amount, t=table.phrase) + text
        sql = f"SELECT {key.name} FROM {table.name}{where} GROUP BY {key.name}{having};"
        return Query(kind, question, sql, [*reads, having_read, f"It returns {key.name}."])
    start = rng.choice(("How many {t}{f} are there {e}", "Count the {t}{f} {e}", "Show the number of {t}{f} {e}", "What is the number of {t}{f} {e}",
                        "Give the count of {t}{f} {e}", "Number of {t}{f} {e}", "For each {k}, how many {t}{f} are there", "List every {k} with the number of its {t}{f}", "How many {t}{f} {e}"))
    question = start.format(t=table.phrase, f=text, e=each, k=key.phrase)
    tail = ""
    if rng.random() < 0.18:
        tail, question = " ORDER BY COUNT(*) DESC", question + rng.choice((", most first", ", largest count first", ", starting with the most", ", highest count first"))
        having_read = ["It sorts by the count from high to low."]
    sql = f"SELECT {key.name}, COUNT(*) FROM {table.name}{where} GROUP BY {key.name}{tail};"
    return Query(kind, question, sql, [*reads, *having_read, f"It returns {key.name} and the number of rows."])


def group_aggregate(rng, table):
    keys, values = choose(rng, table, "text", "text", "date"), choose(rng, table, "integer", "real")
    if not keys or not values or keys == values:
        return None
    (key,), (value,) = keys, values
    function, word = aggregate_words(rng, value)
    where, text, read = filters(rng, table, 0.25, avoid=(key, value))
    reads = [reading(table), *read, f"It groups the rows by {key.name}."]
    if rng.random() < 0.3:
        operator = rng.choice((">", "<", ">"))
        number = rng.choice(value.pool)
        words = {">": ("above", "over", "greater than", "more than", "higher than"), "<": ("below", "under", "less than", "lower than")}[operator]
        start = rng.choice(("Which {k} have {a} {w} {c} {o} {n} among {t}", "List the {k} of {t} whose {w} {c} is {o} {n}", "Show each {k} of {t} with {a} {w} {c} {o} {n}",
                            "Find every {k} where the {w} {c} of {t} is {o} {n}"))
        question = start.format(k=key.phrase, a="an" if word[0] in "aeio" else "a", w=word, c=value.phrase, o=rng.choice(words), n=number, t=table.phrase) + text
        sql = f"SELECT {key.name} FROM {table.name}{where} GROUP BY {key.name} HAVING {function}({value.name}) {operator} {number};"
        return Query("having", question, sql, [*reads, f"It keeps groups with {function}({value.name}) {operator} {number}.", f"It returns {key.name}."])
    each = rng.choice(EACH).format(g=named(rng, key))
    start = rng.choice(("What is the {w} {c} of {t}{f} {e}", "Show the {w} {c} {e} of {t}{f}", "Find the {w} {c} of {t}{f} {e}", "For each {k}, what is the {w} {c} of {t}{f}",
                        "Give the {w} {c} {e} for {t}{f}", "{w} {c} of {t}{f} {e}", "Compute the {w} {c} of the {t}{f} {e}", "List every {k} of {t}{f} with its {w} {c}"))
    question = start.format(w=word, c=value.phrase, t=table.phrase, f=text, e=each, k=key.phrase)
    sql = f"SELECT {key.name}, {function}({value.name}) FROM {table.name}{where} GROUP BY {key.name};"
    return Query("group", question, sql, [*reads, f"It returns {key.name} and {READ[function]} of {value.name}."])


SINGLE = [(list_rows, 22), (which_rows, 7), (count_rows, 13), (count_distinct, 5), (distinct, 6), (aggregate, 15), (ordered, 10), (top, 11), (group_count, 12), (group_aggregate, 10)]


def finish(rng, question):
    """Ends the question and varies its beginning."""
    question = question.strip()
    asks = question.split()[0].lower() in ("what", "which", "how", "can", "could", "for")
    draw = rng.random()
    end = "" if draw < 0.15 else "?" if asks else "." if draw < 0.8 else ""
    if question[0].islower() and rng.random() < 0.8:
        question = question[0].upper() + question[1:]
    elif rng.random() < 0.08:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.04:
        question = rng.choice(("Please: ", "Hi, ", "Now: ", "Query: ", "I have a question. ")) + question
    return question + end


def single_table(rng, tables):
    """A question over one table of the schema."""
    functions, weights = zip(*SINGLE)
    while True:
        table = rng.choice(tables)
        query = rng.choices(functions, weights)[0](rng, table)
        if query:
            query.question = finish(rng, query.question)
            return query

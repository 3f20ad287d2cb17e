"""Questions that need two tables, joined over a foreign key."""

from conditions import condition, named
from questions import READ, Query, aggregate_words, finish, listed, many, opening, said_number


def pairs(tables):
    """(child, parent, key column) for every reference of the schema."""
    by_name = {t.name: t for t in tables}
    return [(t, by_name[c.parent], c) for t in tables for c in t.columns if c.parent in by_name]


def joined(child, parent, key):
    return f"{child.name} JOIN {parent.name} ON {child.name}.{key.name} = {parent.name}.id"


def reads(child, parent):
    return f"This query joins {child.name} with {parent.name}."


def pick(rng, table, *kinds):
    columns = table.of(*(kinds or ("text", "integer", "real", "date")))
    return rng.choice(columns) if columns else None


def label(rng, table):
    """The column that names a row of the table."""
    return table.title() or pick(rng, table, "text")


def child_by_parent(rng, child, parent, key):
    shown = [c for c in rng.sample(child.columns, len(child.columns)) if c.kind not in ("key", "foreign")][: rng.choice((1, 1, 2))]
    by = condition(rng, pick(rng, parent))
    names = listed([named(rng, c) for c in shown])
    subject = rng.choice(("the {c} of {t} of {p} {f}", "the {c} of {t} that belong to {p} {f}", "the {c} of the {t} for {p} {f}", "the {c} of {t} whose {o} is one {f}",
                          "the {c} of {t} linked to {p} {f}", "the {c} of all {t} from {p} {f}"))
    question = opening(rng, subject.format(c=names, t=child.phrase, p=parent.phrase, o=parent.one, f=by.text))
    columns = ", ".join(f"{child.name}.{c.name}" for c in shown)
    sql = f"SELECT {columns} FROM {joined(child, parent, key)} WHERE {by.qualified(parent)};"
    return Query("join", question, sql, [reads(child, parent), f"It keeps rows where {by.read}.", f"It returns {listed([c.name for c in shown])}."], False)


def parent_by_child(rng, child, parent, key):
    shown, by = label(rng, parent), condition(rng, pick(rng, child))
    if not shown:
        return None
    subject = rng.choice(("the {c} of {p} that have {t} {f}", "the {c} of {p} with {t} {f}", "the {c} of the {p} having {t} {f}", "the distinct {c} of {p} that have {t} {f}",
                          "the {c} of {p} with at least one of the {t} {f}", "the different {c} of {p} that own {t} {f}"))
    question = opening(rng, subject.format(c=many(rng, shown), t=child.phrase, p=parent.phrase, f=by.text))
    if shown.name in ("name", "title") and rng.random() < 0.3:
        question = f"Which {parent.phrase} have {child.phrase} {by.text}"
    sql = f"SELECT DISTINCT {parent.name}.{shown.name} FROM {joined(child, parent, key)} WHERE {by.qualified(child)};"
    return Query("join", question, sql, [reads(child, parent), f"It keeps rows where {by.read}.", f"It returns the different values of {shown.name}."], False)


def both_sides(rng, child, parent, key):
    one, other = pick(rng, child), label(rng, parent)
    if not other:
        return None
    where, text, read = "", "", []
    if rng.random() < 0.4:
        by = condition(rng, pick(rng, child))
        where, text, read = f" WHERE {by.qualified(child)}", f" {by.text}", [f"It keeps rows where {by.read}."]
    subject = rng.choice(("the {c} of each {o} together with the {d} of its {q}{e}", "the {c} of {t} and the {d} of their {q}{e}", "{t} {c} and {q} {d}{e}",
                          "each {o}'s {c} with the {d} of the {q}{e}", "the {c} of all {t} with their {q} {d}{e}"))
    extra = f" for {child.phrase}{text}" if text else ""
    question = opening(rng, subject.format(c=one.phrase, o=child.one, t=child.phrase, d=other.phrase, q=parent.one, e=extra))
    sql = f"SELECT {child.name}.{one.name}, {parent.name}.{other.name} FROM {joined(child, parent, key)}{where};"
    return Query("join", question, sql, [reads(child, parent), *read, f"It returns {one.name} and {other.name}."], False)


def count_children(rng, child, parent, key):
    by = condition(rng, pick(rng, parent))
    start = rng.choice(("How many {t} belong to {p} {f}", "How many {t} do {p} {f} have", "Count the {t} of {p} {f}", "What is the number of {t} of {p} {f}", "Give the number of {t} for {p} {f}", "How many {t} are there for {p} {f}"))
    sql = f"SELECT COUNT(*) FROM {joined(child, parent, key)} WHERE {by.qualified(parent)};"
    return Query("join", start.format(t=child.phrase, p=parent.phrase, f=by.text), sql, [reads(child, parent), f"It keeps rows where {by.read}.", "It counts the rows."], False)


def aggregate_children(rng, child, parent, key):
    value, by = pick(rng, child, "integer", "real"), condition(rng, pick(rng, parent))
    if not value:
        return None
    function, word = aggregate_words(rng, value)
    start = rng.choice(("What is the {w} {c} of {t} of {p} {f}", "Find the {w} {c} of {t} that belong to {p} {f}", "Show the {w} {c} of the {t} for {p} {f}", "Compute the {w} {c} of {t} from {p} {f}", "What {w} {c} do {t} of {p} {f} have"))
    question = start.format(w=word, c=value.phrase, t=child.phrase, p=parent.phrase, f=by.text)
    sql = f"SELECT {function}({child.name}.{value.name}) FROM {joined(child, parent, key)} WHERE {by.qualified(parent)};"
    return Query("join", question, sql, [reads(child, parent), f"It keeps rows where {by.read}.", f"It returns {READ[function]} of {value.name}."], False)


def per_parent(rng, child, parent, key):
    shown, value = label(rng, parent), pick(rng, child, "integer", "real")
    if not shown:
        return None
    name = f"{parent.name}.{shown.name}"
    if value and rng.random() < 0.5:
        function, word = aggregate_words(rng, value)
        what, read = f"{function}({child.name}.{value.name})", f"{READ[function]} of {value.name}"
        start = rng.choice(("What is the {w} {c} of {t} per {q} {d}", "Show the {w} {c} of {t} for each {q} {d}", "For each {q} {d}, find the {w} {c} of its {t}", "List the {d} of every {q} with the {w} {c} of its {t}", "{w} {c} of {t} by {q} {d}"))
        question = start.format(w=word, c=value.phrase, t=child.phrase, q=parent.one, d=shown.phrase)
    else:
        what, read = "COUNT(*)", "the number of rows"
        start = rng.choice(("How many {t} are there per {q} {d}", "Count the {t} for each {q} {d}", "Show the {d} of each {q} and the number of its {t}", "For each {q} {d}, how many {t} are there", "List the {d} of every {q} with the number of its {t}", "Number of {t} by {q} {d}"))
        question = start.format(t=child.phrase, q=parent.one, d=shown.phrase)
    base = f"FROM {joined(child, parent, key)} GROUP BY {name}"
    told = [reads(child, parent), f"It groups the rows by {shown.name}."]
    if rng.random() < 0.25:
        number = rng.randint(1, 6) if what == "COUNT(*)" else rng.choice(value.pool)
        said = said_number(rng, number) if what == "COUNT(*)" else number
        if what == "COUNT(*)":
            question = rng.choice(("Which {q} {d} have more than {n} {t}", "List the {d} of each {q} with more than {n} {t}", "Show the {d} of {p} that have more than {n} {t}"))
        else:
            question = rng.choice(("Which {q} {d} have a {w} {c} of {t} above {n}", "List the {d} of each {q} whose {w} {c} of {t} is more than {n}"))
            question = question.replace("{w}", word).replace("{c}", value.phrase)
        question = question.format(q=parent.one, p=parent.phrase, d=shown.phrase, n=said, t=child.phrase)
        return Query("join", question, f"SELECT {name} {base} HAVING {what} > {number};", [*told, f"It keeps groups with {what.replace(child.name + '.', '')} > {number}.", f"It returns {shown.name}."], False)
    if rng.random() < 0.2 and what == "COUNT(*)":
        question = rng.choice(("Which {q} {d} has the most {t}", "What is the {d} of the {q} with the most {t}", "Find the {d} of the {q} that has the most {t}")).format(q=parent.one, d=shown.phrase, t=child.phrase)
        return Query("join", question, f"SELECT {name} {base} ORDER BY COUNT(*) DESC LIMIT 1;", [*told, "It sorts by the count from high to low.", f"It returns {shown.name} of the first row."], False)
    return Query("join", question, f"SELECT {name}, {what} {base};", [*told, f"It returns {shown.name} and {read}."], False)


def ordered_join(rng, child, parent, key):
    shown, by, value = label(rng, child), condition(rng, pick(rng, parent)), pick(rng, child, "integer", "real")
    if not value or not shown:
        return None
    count = rng.choice((1, 2, 3, 5, 10))
    start = rng.choice(("Show the {s} of the {n} {t} with the highest {c} of {p} {f}", "List the {s} of the top {n} {t} by {c} for {p} {f}", "Give the {s} of the {n} {t} with the largest {c} that belong to {p} {f}"))
    question = start.format(s=shown.phrase, n=said_number(rng, count), t=child.phrase, c=value.phrase, p=parent.phrase, f=by.text)
    sql = f"SELECT {child.name}.{shown.name} FROM {joined(child, parent, key)} WHERE {by.qualified(parent)} ORDER BY {child.name}.{value.name} DESC LIMIT {count};"
    return Query("join", question, sql, [reads(child, parent), f"It keeps rows where {by.read}.", f"It sorts by {value.name} from high to low.", f"It returns {shown.name} of the first {count} rows."], False)


JOINS = [(child_by_parent, 24), (parent_by_child, 16), (both_sides, 14), (count_children, 12), (aggregate_children, 12), (per_parent, 16), (ordered_join, 6)]


def two_tables(rng, tables):
    """A question over a child and its parent, or nothing if no table refers to another."""
    found = pairs(tables)
    if not found:
        return None
    functions, weights = zip(*JOINS)
    while True:
        query = rng.choices(functions, weights)[0](rng, *rng.choice(found))
        if query:
            query.question = finish(rng, query.question)
            return query

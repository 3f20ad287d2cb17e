"""Writes the cases that `wick eval` asks: held-out names, values and passages, new mixtures of phrasings."""

import argparse
import json
import pathlib
import random

import joins
import passages
import questions
import schema
import snippets
import tasks
from words import Words


# Values that a column's rows take.
POOL = 8


def column_entry(rng, column, sql):
    """What the evaluation needs to fill a column with random rows; values of the statement are among them."""
    entry = {"name": column.name, "kind": column.kind}
    if column.pool:
        told = [value for value in column.pool if str(value) in sql]
        others = [value for value in column.pool if value not in told]
        entry["pool"] = sorted(told + rng.sample(others, min(len(others), max(0, POOL - len(told)))))
    if column.nullable:
        entry["nullable"] = True
    return entry


def sql_case(words, single):
    """A question with its schema; `single` asks about one table."""
    rng = words.rng
    while True:
        tables = schema.usable_schema(words, rng.choices((1, 2, 3), (60, 30, 10) if single else (0, 75, 25))[0])
        ask = questions.single_table if single else joins.two_tables
        query = ask(rng, tables)
        if query and tasks.works(words, tables, query) and query.single == single:
            break
    prompt = tasks.sql_user(rng, schema.ddl(rng, tables), query.question)
    listed = [{"name": t.name, "columns": [column_entry(rng, c, query.sql) for c in t.columns]} for t in tables]
    return {"kind": query.kind, "single": single, "prompt": prompt, "sql": query.sql, "tables": listed}


def answer_case(words):
    """Passages and a question; `source` is the passage that answers it, if one does."""
    ((user, answer, source),) = passages.dialogue(words, 1)
    return {"prompt": user, "answer": answer, "source": source}


def middle_case(words):
    language, before, inside, after = snippets.example(words)
    return {"language": language, "prefix": before, "suffix": after, "middle": inside}


def explain_case(words):
    """A statement and the names that an explanation has to tell."""
    rng = words.rng
    tables = schema.usable_schema(words, rng.choice((1, 1, 2)))
    query = tasks.query_over(words, tables, 0.5)
    names = {t.name for t in tables} | {c.name for t in tables for c in t.columns if c.kind not in ("key", "foreign")}
    told = tasks.explanation(query)
    return {"prompt": rng.choice(tasks.EXPLAIN).format(q=query.sql), "answer": told, "names": sorted(n for n in names if n in told.replace(".", " ").replace(",", " ").split())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    words = Words(random.Random(options.seed), True)
    cases = {
        "sql": [sql_case(words, index % 2 == 0) for index in range(300)],
        "answers": [answer_case(words) for _ in range(300)],
        "fim": [middle_case(words) for _ in range(300)],
        "explain": [explain_case(words) for _ in range(100)],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, made in cases.items():
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
        (options.out / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

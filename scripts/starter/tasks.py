"""Documents for training: dialogues and code, each a list of (text, learnt) pieces."""

import sqlite3

import chat
import joins
import passages
import questions
import schema
import snippets

BEGIN, HEAD, END_HEAD, END_TURN = "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def conversation(turns, system=None):
    """Messages as the chat template renders them; what the assistant says is learnt."""
    pieces = [(BEGIN, False)]
    if system:
        pieces.append((f"{HEAD}system{END_HEAD}\n\n{system}{END_TURN}", False))
    for user, answer in turns:
        pieces.append((f"{HEAD}user{END_HEAD}\n\n{user}{END_TURN}{HEAD}assistant{END_HEAD}\n\n", False))
        pieces.append((answer, True))
        pieces.append((END_TURN, True))
    return pieces


def works(words, tables, query):
    """Whether SQLite runs the statement over random rows; an empty answer is taken once in a while only."""
    database = schema.database(words.rng, tables, 12)
    try:
        found = database.execute(query.sql).fetchall()
    except sqlite3.Error:
        return False
    finally:
        database.close()
    return bool(found) or words.rng.random() < 0.3


def query_over(words, tables, join_chance):
    """A question whose SQL runs; about two tables with the given chance."""
    rng = words.rng
    for _ in range(40):
        query = joins.two_tables(rng, tables) if rng.random() < join_chance else None
        query = query or questions.single_table(rng, tables)
        if works(words, tables, query):
            return query
    return None


def sql_user(rng, definition, question):
    """The user's first message: schema and question in one of a few shapes."""
    shape = rng.random()
    if shape < 0.55:
        return f"{definition}\n\nQuestion: {question}"
    if shape < 0.7:
        return f"{definition}\n\n{question}"
    if shape < 0.8:
        return f"Schema:\n{definition}\n\nQuestion: {question}"
    if shape < 0.9:
        return f"{definition}\n\nQuestion: {question}\nSQL:"
    return f"Question: {question}\n\n{definition}"


def sql_dialogue(words, turns=None, tables=None, simple=False):
    rng = words.rng
    tables = tables or schema.usable_schema(words, 1 if simple else rng.choices((1, 2, 3), (42, 43, 15))[0])
    turns = turns or rng.choice((1, 2, 3, 4, 5, 6))
    made = [q for q in (query_over(words, tables, 0.62) for _ in range(turns)) if q]
    if not made:
        return sql_dialogue(words, turns)
    definition = schema.ddl(rng, tables)
    first, *rest = made
    pairs = [(sql_user(rng, definition, first.question), first.sql)] + [(q.question, q.sql) for q in rest]
    if rng.random() < 0.05:
        pairs.append((rng.choice(EXPLAIN_LAST), explanation(made[-1])))
    return conversation(pairs, chat.system(words))


EXPLAIN = ["Explain this SQL: {q}", "What does this query do? {q}", "Explain: {q}", "Explain this query:\n{q}", "Describe what this statement does:\n{q}", "{q}\n\nExplain this SQL."]
EXPLAIN_LAST = ["Explain this query.", "Explain it.", "What does it do?", "Explain the SQL."]


def explanation(query):
    return " ".join(query.reads)


def explain_dialogue(words):
    rng = words.rng
    tables = schema.usable_schema(words, rng.choice((1, 1, 2)))
    made = [q for q in (query_over(words, tables, 0.6) for _ in range(rng.choice((1, 2, 2)))) if q]
    pairs = [(rng.choice(EXPLAIN).format(q=q.sql), explanation(q)) for q in made]
    if rng.random() < 0.3 and pairs:
        pairs[0] = (schema.ddl(rng, tables) + "\n\n" + pairs[0][0], pairs[0][1])
    return conversation(pairs or [chat.turn(words)], chat.system(words))


def passage_dialogue(words, turns=None):
    made = passages.dialogue(words, turns or words.rng.choice((1, 2, 3, 4)))
    return conversation([(user, answer) for user, answer, _ in made], chat.system(words))


def chat_dialogue(words):
    return conversation(chat.dialogue(words, words.rng.choice((1, 2, 3, 4))), chat.system(words))


def middle(words):
    _, before, inside, after = snippets.example(words)
    return [(f"{BEGIN}{FIM[0]}", False), (before, False), (FIM[1], False), (after, False), (FIM[2], False), (inside, True), (END_TURN, True)]


COPY = ["Repeat: {x}", "Say {x}", "Write {x}", "Copy: {x}", "Repeat after me: {x}"]


def copy_dialogue(words):
    """Repeating names and looking columns up in a schema: where copying is learnt first."""
    rng = words.rng
    if rng.random() < 0.5:
        pairs = []
        for _ in range(3):
            text = " ".join(rng.choice((words.made_up, words.proper, words.noun))() for _ in range(rng.randint(2, 7)))
            pairs.append((rng.choice(COPY).format(x=text), text))
        return conversation(pairs)
    tables = schema.usable_schema(words, rng.choice((1, 2, 3)))
    pairs = []
    for _ in range(4):
        table = rng.choice(tables)
        names = ", ".join(c.name for c in table.columns)
        if rng.random() < 0.5 or not table.of("text", "integer", "real", "date"):
            pairs.append((f"Columns of {table.phrase}?", names))
        else:
            column = rng.choice(table.of("text", "integer", "real", "date"))
            pairs.append((f"Where is the {column.phrase} of {table.phrase}?", f"{table.name}.{column.name}"))
    pairs[0] = (schema.ddl(rng, tables) + "\n\n" + pairs[0][0], pairs[0][1])
    return conversation(pairs)


def long_dialogue(words):
    """Many tables before one question, or many questions over one schema: positions up to a thousand."""
    rng = words.rng
    tables = []
    while len(tables) < 12:
        group = schema.usable_schema(words, 2)
        if not {t.name for t in group} & {t.name for t in tables}:
            tables += group
    return sql_dialogue(words, turns=rng.choice((2, 4, 8)), tables=tables[: rng.randint(5, 12)])


MIX = {
    "copy": (copy_dialogue, 1), "sql": (sql_dialogue, 64), "passages": (passage_dialogue, 43), "middle": (middle, 170),
    "explain": (explain_dialogue, 6), "chat": (chat_dialogue, 2), "long": (long_dialogue, 1.2),
}
FIRST = {
    "copy": (copy_dialogue, 45), "sql": (lambda words: sql_dialogue(words, simple=True), 35), "passages": (passage_dialogue, 12),
    "middle": (middle, 5), "chat": (chat_dialogue, 3),
}
LAST = MIX | {"one table": (lambda words: sql_dialogue(words, simple=True), 64)}


def document(words, mix):
    """One document of the mix, with its kind."""
    kinds = list(mix)
    kind = words.rng.choices(kinds, [mix[k][1] for k in kinds])[0]
    return kind, mix[kind][0](words)

"""Random schemas: tables with typed columns, their values, their DDL, and rows for SQLite."""

import dataclasses
import sqlite3

from words import plural

# Words of SQL that would need quotes as names.
RESERVED = {"order", "user", "case", "table", "group", "end", "desc", "default", "check", "primary", "references"}

TYPES = {
    "integer": ["INTEGER"] * 6 + ["INT", "INT", "BIGINT", "SMALLINT"],
    "real": ["REAL"] * 5 + ["NUMERIC", "NUMERIC", "FLOAT", "DECIMAL(10, 2)", "DOUBLE PRECISION"],
    "text": ["TEXT"] * 7 + ["VARCHAR(50)", "VARCHAR(100)", "VARCHAR"],
    "date": ["DATE"] * 7 + ["TEXT"],
}


@dataclasses.dataclass
class Column:
    """One column; `pool` are values that rows and questions take, `parent` the table it refers to."""

    name: str
    kind: str
    pool: list
    nullable: bool = False
    parent: str = None

    @property
    def phrase(self):
        return self.name.replace("_", " ")


@dataclasses.dataclass
class Table:
    """One table whose first column is the key."""

    noun: str
    name: str
    columns: list

    @property
    def phrase(self):
        return self.name.replace("_", " ")

    @property
    def one(self):
        return self.noun.replace("_", " ")

    def of(self, *kinds):
        """Columns with values (no keys) of the given kinds."""
        return [c for c in self.columns if c.kind in kinds]

    def title(self):
        """The column that names a row, if the table has one."""
        return next((c for c in self.columns if c.name in ("name", "title")), None)


def number_pool(rng, kind):
    """A dozen values around one random size."""
    size = rng.choice((10, 50, 100, 500, 1000, 5000, 20000, 100000))
    if kind == "integer":
        return sorted({rng.randint(1, size) for _ in range(14)})
    digits = rng.choice((0, 1, 1, 2, 2))
    values = {round(rng.uniform(1, size), digits) for _ in range(14)}
    return sorted(int(v) if v == int(v) else v for v in values)


def year_pool(rng):
    return sorted({rng.randint(1950, 2026) for _ in range(14)})


def date_pool(rng):
    def day():
        return f"{rng.randint(1995, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"

    return sorted({day() for _ in range(12)})


def text_pool(words):
    rng = words.rng
    style = rng.random()

    def value():
        if style < 0.45:
            return words.proper()
        if style < 0.6:
            return words.proper() + " " + words.proper()
        if style < 0.8:
            return words.one("ADJECTIVES") if rng.random() < 0.7 else words.made_up()
        if style < 0.9:
            return words.one("ADJECTIVES") + " " + words.noun().replace("_", " ")
        letters = "".join(rng.choice("ABCDEFGHKLMNPRSTVWXZ") for _ in range(2))
        return f"{letters}-{rng.randint(10, 999)}" if style < 0.95 else f"{letters}{rng.randint(1, 99)}"

    return sorted({value() for _ in range(7)})


def column_name(words, kind):
    """A fitting name; `kind` text, integer, real or date."""
    rng = words.rng
    if kind == "date":
        if rng.random() < 0.15:
            return words.one("DATE_NOUNS")
        head = words.made_up() if rng.random() < 0.2 else words.one("DATE_HEADS")
        return head + rng.choice(("_date", "_date", "_date", "_day", "_on"))
    key = {"text": "TEXT_NOUNS", "integer": "INTEGER_NOUNS", "real": "REAL_NOUNS"}[kind]
    noun = words.made_up() if rng.random() < 0.15 else words.one(key)
    if rng.random() < 0.3:
        first = rng.choice((words.one("MODIFIERS"), words.noun(), words.made_up()))
        return f"{first}_{noun}"
    return noun


def make_column(words, taken):
    rng = words.rng
    kind = rng.choices(("text", "integer", "real", "date"), (40, 22, 23, 15))[0]
    while (name := column_name(words, kind)) in taken or len(name) > 24:
        pass
    taken.add(name)
    if kind == "text":
        pool = text_pool(words)
    elif kind == "date":
        pool = date_pool(rng)
    elif name.endswith("year"):
        pool = year_pool(rng)
    else:
        pool = number_pool(rng, kind)
    return Column(name, kind, pool, nullable=rng.random() < 0.3)


def make_table(words, nouns, columns, parents):
    rng = words.rng
    while (noun := words.noun()) in nouns:
        pass
    if rng.random() < 0.12:
        noun = f"{words.made_up() if rng.random() < 0.5 else words.one('MODIFIERS')}_{noun}"
    nouns.add(noun)
    made = [Column("id", "key", [])]
    taken = {"id"}
    for parent in parents:
        name = f"{parent.noun}_id"
        taken.add(name)
        made.append(Column(name, "foreign", [], parent=parent.name))
    if rng.random() < 0.6:
        taken.add(title := rng.choice(("name", "name", "name", "title")))
        made.append(Column(title, "text", text_pool(words)))
    made.extend(make_column(words, taken) for _ in range(columns))
    name = plural(noun) if rng.random() < 0.9 else noun
    return Table(noun, name, made)


def make_schema(words, tables):
    """One to three tables; each after the first mostly refers to an earlier one."""
    rng = words.rng
    nouns, made = set(), []
    for index in range(tables):
        columns = rng.choice((2, 3, 3, 4, 4, 5) if tables == 1 else (2, 2, 3, 3, 4))
        parents = [rng.choice(made)] if made and rng.random() < 0.93 else []
        made.append(make_table(words, nouns, columns, parents))
    rng.shuffle(made)
    return made


def usable_schema(words, tables):
    """A schema without names that need quotes."""
    while True:
        made = make_schema(words, tables)
        names = {t.name for t in made} | {c.name for t in made for c in t.columns}
        if names & RESERVED or len({t.name for t in made}) < len(made):
            continue
        try:
            database(words.rng, made, 1).close()
        except sqlite3.OperationalError:
            continue
        return made


def ddl(rng, tables):
    """CREATE TABLE statements, mostly on one line each, in one style per schema."""
    types = {kind: rng.choice(names) for kind, names in TYPES.items()}
    key = rng.choice(("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY", "INTEGER", "SERIAL PRIMARY KEY"))
    not_null, style = rng.random() < 0.1, rng.random()
    low = rng.random() < 0.06
    texts = []
    for table in tables:
        parts = []
        for column in table.columns:
            if column.kind == "key":
                part = f"{column.name} {key}"
            elif column.kind == "foreign":
                part = f"{column.name} INTEGER REFERENCES {column.parent}(id)"
            else:
                part = f"{column.name} {types[column.kind]}"
                if not_null and not column.nullable:
                    part += " NOT NULL"
            parts.append(part)
        if style < 0.8:
            text = f"CREATE TABLE {table.name} ({', '.join(parts)});"
        else:
            text = f"CREATE TABLE {table.name} (\n  " + ",\n  ".join(parts) + "\n);"
        if low:
            text = text.lower()
        texts.append(text)
    return "\n".join(texts)


def database(rng, tables, rows):
    """An SQLite database in memory with random rows from the columns' pools."""
    connection = sqlite3.connect(":memory:")
    for table in tables:
        names = ", ".join(c.name for c in table.columns)
        connection.execute(f"CREATE TABLE {table.name} ({names})")
        values = [[cell(rng, c, key, rows) for c in table.columns] for key in range(1, rows + 1)]
        marks = ", ".join("?" for _ in table.columns)
        connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", values)
    return connection


def cell(rng, column, key, rows):
    if column.kind == "key":
        return key
    if column.kind == "foreign":
        return rng.randint(1, rows)
    if column.nullable and rng.random() < 0.15:
        return None
    return rng.choice(column.pool)

"""Short Python, JavaScript and SQL texts, cut into a prefix, a middle and a suffix."""

import re

import questions
import schema
from conditions import literal

PYTHON = [
    "def {f}({a}, {b}):\n    {c} = {a} {op} {b}\n    return {c}\n",
    "def {f}({a}):\n    {b} = 0\n    for {c} in {a}:\n        {b} += {c}\n    return {b}\n",
    "def {f}({a}, {b}={n}):\n    if {a} {cmp} {b}:\n        return {a}\n    return {b}\n",
    "def {f}({a}):\n    {b} = []\n    for {c} in {a}:\n        if {c} {cmp} {n}:\n            {b}.append({c})\n    return {b}\n",
    "class {F}:\n    def __init__(self, {a}, {b}):\n        self.{a} = {a}\n        self.{b} = {b}\n\n    def {f}(self):\n        return self.{a} {op} self.{b}\n",
    "def {f}({a}):\n    return [{c} {op} {n} for {c} in {a}]\n",
    "def {f}({a}):\n    return {{{c}: len({c}) for {c} in {a}}}\n",
    "with open({s}) as {a}:\n    {b} = {a}.read()\n    print({b})\n",
    "import json\n\ndef {f}({a}):\n    with open({a}) as {b}:\n        return json.load({b})\n",
    "{a} = {{}}\nfor {b} in {c}:\n    {a}[{b}] = {a}.get({b}, 0) + 1\n",
    "def {f}({a}):\n    while {a} {cmp} {n}:\n        {a} -= {m}\n    return {a}\n",
    "def {f}({a}, {b}):\n    try:\n        return {a} / {b}\n    except ZeroDivisionError:\n        return {n}\n",
    "{a} = [{n}, {m}, {k}]\n{b} = sorted({a})\nprint({b}[0])\n",
    "def {f}({a}):\n    \"\"\"Return the largest of {a}.\"\"\"\n    {b} = {a}[0]\n    for {c} in {a}:\n        if {c} > {b}:\n            {b} = {c}\n    return {b}\n",
    "for {a} in range({n}):\n    if {a} % {m} == 0:\n        print({a})\n    else:\n        print({s})\n",
    "def {f}({a}):\n    if not {a}:\n        raise ValueError({s})\n    return {a}.strip()\n",
    "{a} = {n}\n{b} = {m}\n{c} = {a} {op} {b}\nprint({c})\n",
    "def {f}({a}):\n    return sum({a}) / len({a})\n",
    "from {g} import {F}\n\n{a} = {F}({n})\nprint({a}.{b})\n",
    "def main():\n    {a} = {f}({n})\n    print({a})\n\nif __name__ == \"__main__\":\n    main()\n",
]
JAVASCRIPT = [
    "function {f}({a}, {b}) {{\n  const {c} = {a} {op} {b};\n  return {c};\n}}\n",
    "function {f}({a}) {{\n  let {b} = 0;\n  for (const {c} of {a}) {{\n    {b} += {c};\n  }}\n  return {b};\n}}\n",
    "const {f} = ({a}) => {a} {op} {n};\n",
    "function {f}({a}) {{\n  if ({a} {jcmp} {n}) {{\n    return {s};\n  }}\n  return {a};\n}}\n",
    "class {F} {{\n  constructor({a}, {b}) {{\n    this.{a} = {a};\n    this.{b} = {b};\n  }}\n\n  {f}() {{\n    return this.{a} {op} this.{b};\n  }}\n}}\n",
    "const {a} = [{n}, {m}, {k}];\nconst {b} = {a}.map(({c}) => {c} {op} {n});\nconsole.log({b});\n",
    "const {b} = {a}.filter(({c}) => {c}.{d} {jcmp} {n});\n",
    "async function {f}({a}) {{\n  const {b} = await fetch({a});\n  return {b}.json();\n}}\n",
    "for (let {a} = 0; {a} < {n}; {a}++) {{\n  console.log({a});\n}}\n",
    "const {a} = {{ {b}: {n}, {c}: {s} }};\nconsole.log({a}.{b});\n",
    "export function {f}({a}) {{\n  return {a}.reduce(({b}, {c}) => {b} + {c}, 0);\n}}\n",
    "try {{\n  {f}({n});\n}} catch (error) {{\n  console.error(error);\n}}\n",
    "function {f}({a}) {{\n  while ({a} {jcmp} {n}) {{\n    {a} -= {m};\n  }}\n  return {a};\n}}\n",
    "let {a} = {n};\nif ({a} {jcmp} {m}) {{\n  {a} = {m};\n}} else {{\n  {a} += {k};\n}}\n",
    "const {a} = require({s});\n\nmodule.exports = {{ {a}, {b} }};\n",
]


def identifier(words):
    rng = words.rng
    draw = rng.random()
    if draw < 0.2:
        return rng.choice("abcdefghijkmnpqrstuvwxyz")
    if draw < 0.3:
        return rng.choice(("items", "values", "result", "total", "count", "data", "text", "value", "item", "index", "key", "numbers", "name", "size"))
    if draw < 0.75:
        return rng.choice((words.noun(), words.one("TEXT_NOUNS"), words.one("REAL_NOUNS")))
    return f"{words.one('MODIFIERS')}_{words.noun()}"


KEYWORDS = {"class", "case", "return", "default", "new", "public", "private", "short", "long", "final", "from", "import", "for", "package", "with", "as", "is", "in", "or", "if", "do", "try", "export", "json", "main", "print", "len"}


def text_of(words, language):
    """One snippet of `python`, `javascript` or `sql`."""
    rng = words.rng
    if language == "sql":
        return sql_text(words)
    names = []
    while len(names) < 6:
        name = identifier(words)
        if language == "javascript" and "_" in name:
            head, *rest = name.split("_")
            name = head + "".join(part.capitalize() for part in rest)
        if name not in names and name not in KEYWORDS:
            names.append(name)
    a, b, c, d, f, g = names
    verb = rng.choice(("get", "make", "find", "count", "sum", "check", "load", "to", "add", "compute"))
    function = f"{verb}_{f}" if language == "python" else verb + f[0].upper() + f[1:]
    quote = rng.choice("\"'") if language == "python" else '"'
    values = {
        "a": a, "b": b, "c": c, "d": d, "f": function, "g": g, "F": "".join(p.capitalize() for p in f.split("_")),
        "op": rng.choice("+-*/"), "cmp": rng.choice(("<", ">", "==", "<=", ">=", "!=")), "jcmp": rng.choice(("<", ">", "===", "<=", ">=", "!==")),
        "n": rng.randint(1, 100), "m": rng.randint(1, 12), "k": rng.randint(1, 50), "s": quote + words.noun().replace("_", " ") + quote,
    }
    templates = PYTHON if language == "python" else JAVASCRIPT
    return rng.choice(templates).format(**values)


def sql_text(words):
    rng = words.rng
    tables = schema.usable_schema(words, 1)
    draw = rng.random()
    if draw < 0.35:
        return schema.ddl(rng, tables) + "\n"
    table = tables[0]
    if draw < 0.5:
        columns = table.of("text", "integer", "real", "date")
        names, values = ", ".join(c.name for c in columns), ", ".join(literal(rng.choice(c.pool)) for c in columns)
        return f"INSERT INTO {table.name} ({names}) VALUES ({values});\n"
    sql = questions.single_table(rng, tables).sql
    if rng.random() < 0.4:
        for word in (" FROM ", " WHERE ", " GROUP BY ", " ORDER BY ", " HAVING "):
            sql = sql.replace(word, "\n" + word[1:])
    return sql + "\n"


def cut(rng, text):
    """(prefix, middle, suffix): whole lines, the end of a line, or some words of one."""
    lines = text.splitlines(keepends=True)
    draw = rng.random()
    if draw < 0.35 and len(lines) > 1:
        first = rng.randrange(len(lines))
        count = min(rng.choice((1, 1, 2)), len(lines) - first)
        indent = len(lines[first]) - len(lines[first].lstrip(" \n"))
        start = sum(map(len, lines[:first])) + (indent if rng.random() < 0.7 else 0)
        end = sum(map(len, lines[: first + count])) - 1
        if text[start:end].strip():
            return text[:start], text[start:end], text[end:]
    marks = [m.end() for m in re.finditer(r"[\w\"']+|[^\w\s]", text)] + [m.start() for m in re.finditer(r"\w+", text)]
    marks = sorted(set(marks))
    start = rng.choice(marks[:-1])
    stop = text.find("\n", start)
    ends = [m for m in marks if start < m <= (stop if stop > 0 else len(text))][:14]
    if not ends:
        return cut(rng, text)
    end = ends[-1] if draw < 0.7 else rng.choice(ends)
    return text[:start], text[start:end], text[end:]


# What names are called when nothing around the gap tells them: the first name in it by the first of these that stands
# nowhere around, and so on.
ORDINARY = ("name", "value", "items", "total", "result", "count", "data", "title", "kind", "size", "label", "state")
# Words of the languages themselves.
OWN = set(re.findall(r"[A-Za-z_]+", re.sub(r"\{\w+\}", " ", " ".join(PYTHON + JAVASCRIPT))))


def ordinary(before, inside, after):
    """The middle with ordinary names for those that stand in it alone.

    A model cannot guess a made-up name. Were there thousands of them and none likely, the likeliest thing to write in
    their place would be nothing; and were they drawn by chance, the same one twice.
    """
    around = {word.lower() for word in re.findall(r"\w+", before + after)}
    free = [word for word in ORDINARY if word not in around]
    names = {}

    def name(found):
        word = found.group()
        if word.lower() in around or word in OWN or word.isupper():
            return word
        place = names.setdefault(word, len(names))
        chosen = free[place] if place < len(free) else f"name{place}"
        return chosen.capitalize() if word[0].isupper() else chosen

    return re.sub(r"[A-Za-z_]\w*", name, inside)


def example(words):
    """(language, prefix, middle, suffix)."""
    language = words.rng.choice(("python", "javascript", "sql"))
    before, inside, after = cut(words.rng, text_of(words, language))
    if not words.evaluation:
        inside = ordinary(before, inside, after)
        # Whoever types at the end of a file has no line end there yet.
        after = after.rstrip("\n") if words.rng.random() < 0.3 else after
    return language, before, inside, after

"""Passages of made-up facts, and questions that one sentence of them answers, or none does."""

from words import plural

UNKNOWN = "The passages do not tell."

# Each domain: what a subject is called, and facts as (sentence, ways to ask). `{s}` is the subject; `{n}` a number,
# `{y}` a year, `{p}` a proper name, `{q}` another, `{a}` a word, `{m}` an amount of money, `{r}` a rate.
DOMAINS = [
    (("the {p} Bridge", "the {p} Tower", "the {p} Dam", "the {p} Tunnel", "{p} Castle", "the {p} Lighthouse"), [
        ("{S} was built in {y}.", ["When was {s} built?", "In which year was {s} built?", "What year was {s} finished?"]),
        ("{S} is {n} metres long.", ["How long is {s}?", "What is the length of {s}?"]),
        ("{S} was designed by {p} {q}.", ["Who designed {s}?", "Who was the architect of {s}?"]),
        ("{S} stands in {p}.", ["Where is {s}?", "In which town does {s} stand?", "Where does {s} stand?"]),
        ("{S} cost {m} to build.", ["How much did {s} cost?", "What did it cost to build {s}?"]),
        ("Every day {n} people visit {s}.", ["How many people visit {s}?", "How many visitors does {s} have each day?"]),
    ]),
    (("{p} Bank", "{p} Savings", "the {p} Fund", "{p} Credit", "the {p} account"), [
        ("{S} pays {r} percent interest a year.", ["What interest does {s} pay?", "How much interest does {s} pay?", "What is the interest rate of {s}?"]),
        ("{S} charges a fee of {m} a month.", ["What fee does {s} charge?", "How much does {s} charge a month?", "What is the monthly fee of {s}?"]),
        ("{S} asks for a deposit of at least {m}.", ["What deposit does {s} ask for?", "How large must the deposit at {s} be?"]),
        ("Money at {s} can be withdrawn after {n} days.", ["When can money at {s} be withdrawn?", "After how many days can money be withdrawn from {s}?"]),
        ("{S} was founded by {p} {q}.", ["Who founded {s}?", "Who is the founder of {s}?"]),
        ("{S} insures savings up to {m}.", ["Up to what amount does {s} insure savings?", "How much of the savings does {s} insure?"]),
    ]),
    (("{p} {q}", "{p} {q}", "Doctor {q}", "Professor {q}"), [
        ("{S} was born in {y}.", ["When was {s} born?", "In what year was {s} born?", "What is the year of birth of {s}?"]),
        ("{S} lives in {p}.", ["Where does {s} live?", "In which city does {s} live?", "What is the home of {s}?"]),
        ("{S} works as a {j}.", ["What is the job of {s}?", "What does {s} work as?", "What does {s} do for a living?"]),
        ("{S} earns {m} a month.", ["How much does {s} earn?", "What is the income of {s}?", "What does {s} earn a month?"]),
        ("{S} studied in {p}.", ["Where did {s} study?", "In which city did {s} study?"]),
        ("{S} owns {n} {t}.", ["How many {t} does {s} own?", "What is the number of {t} that {s} owns?"]),
    ]),
    (("{p} Systems", "{p} Foods", "{p} Motors", "{p} Group", "the company {p}", "{p} Labs"), [
        ("{S} was founded in {y}.", ["When was {s} founded?", "In which year was {s} founded?"]),
        ("{S} employs {n} people.", ["How many people does {s} employ?", "How many employees does {s} have?"]),
        ("{S} has its office in {p}.", ["Where is the office of {s}?", "In which city is {s} based?", "Where does {s} have its office?"]),
        ("{S} sold goods for {m} last year.", ["How much did {s} sell last year?", "What were the sales of {s}?"]),
        ("{S} is led by {p} {q}.", ["Who leads {s}?", "Who is the head of {s}?"]),
        ("{S} makes {t}.", ["What does {s} make?", "What does {s} produce?"]),
    ]),
    (("the {p} plan", "the {p} policy", "the {p} card", "the {p} contract"), [
        ("{S} costs {m} a month.", ["How much is {s} a month?", "What does {s} cost?", "What is the price of {s}?"]),
        ("{S} can be cancelled within {n} days.", ["Within how many days can {s} be cancelled?", "How long can {s} be cancelled?"]),
        ("{S} covers {t}.", ["What does {s} cover?", "What is covered by {s}?"]),
        ("{S} started in {y}.", ["When did {s} start?", "In which year did {s} start?"]),
        ("With {s} the limit is {m} a day.", ["What is the limit with {s}?", "What is the daily limit of {s}?"]),
        ("{S} gives back {r} percent of every payment.", ["How much does {s} give back?", "What percentage does {s} give back?"]),
    ]),
    (("the river {p}", "Lake {p}", "Mount {p}", "the island of {p}", "the {p} forest"), [
        ("{S} covers {n} square kilometres.", ["How large is {s}?", "What area does {s} cover?", "How many square kilometres does {s} cover?"]),
        ("{S} lies near {p}.", ["Where is {s}?", "Near which town does {s} lie?", "Where does {s} lie?"]),
        ("{S} was first mapped in {y}.", ["When was {s} first mapped?", "In which year was {s} mapped?"]),
        ("{S} is home to {n} kinds of {t}.", ["How many kinds of {t} live at {s}?", "How many kinds of {t} is {s} home to?"]),
        ("{S} was named after {p} {q}.", ["Who was {s} named after?", "After whom is {s} named?"]),
    ]),
    (("the book {p}", "the film {p}", "the song {p}", "the game {p}", "the play {p}"), [
        ("{S} appeared in {y}.", ["When did {s} appear?", "In which year did {s} come out?", "What year did {s} appear?"]),
        ("{S} was made by {p} {q}.", ["Who made {s}?", "By whom was {s} made?"]),
        ("{S} sold {n} copies.", ["How many copies of {s} were sold?", "How many copies did {s} sell?"]),
        ("{S} is about {t}.", ["What is {s} about?", "What is the subject of {s}?"]),
        ("{S} won the {p} prize.", ["Which prize did {s} win?", "What prize did {s} win?"]),
    ]),
    (("the {p} engine", "the {p} sensor", "the {p} printer", "the {p} pump", "the {p} server"), [
        ("{S} weighs {n} kilograms.", ["How heavy is {s}?", "What does {s} weigh?", "What is the weight of {s}?"]),
        ("{S} uses {n} watts.", ["How much power does {s} use?", "How many watts does {s} use?"]),
        ("{S} must be checked every {n} weeks.", ["How often must {s} be checked?", "After how many weeks must {s} be checked?"]),
        ("{S} is sold for {m}.", ["What is the price of {s}?", "How much is {s}?", "For how much is {s} sold?"]),
        ("{S} is built by {p}.", ["Who builds {s}?", "Which company builds {s}?"]),
        ("{S} comes in {a}.", ["What colour is {s}?", "In which finish does {s} come?"]),
    ]),
]


def number(rng):
    value = rng.choice((rng.randint(2, 99), rng.randint(100, 999), rng.randint(1000, 99999)))
    return f"{value:,}" if value > 999 and rng.random() < 0.4 else str(value)


def money(rng):
    unit = rng.choice(("{} euros", "{} dollars", "${}", "{} pounds", "{} francs", "{} million euros"))
    return unit.format(number(rng))


def capital(text):
    return text[0].upper() + text[1:]


def slots(words):
    rng = words.rng
    return {
        "n": number(rng), "y": rng.randint(1600, 2026), "p": words.proper(), "q": words.proper(),
        "a": words.one("ADJECTIVES"), "m": money(rng), "r": round(rng.uniform(0.1, 12), rng.choice((0, 1, 2))),
        "t": plural_thing(words), "j": words.one("ENTITIES").replace("_", " "),
    }


def plural_thing(words):
    return plural(words.noun()).replace("_", " ")


def subject_of(words, names):
    return words.rng.choice(names).format(p=words.proper(), q=words.proper())


def facts_of(words, domain, subject, count):
    """`count` facts as (sentence, questions)."""
    chosen = words.rng.sample(domain, count)
    told = []
    for sentence, asks in chosen:
        values = slots(words) | {"s": subject, "S": capital(subject)}
        told.append((capital(sentence.format(**values)), [a.format(**values) for a in asks]))
    return told


def make_passages(words, count):
    """Passages as lists of facts, some of the same domain, and questions no passage answers."""
    rng = words.rng
    names, domain = rng.choice(DOMAINS)
    passages, missing = [], []
    for _ in range(count):
        if rng.random() < 0.4:
            names, domain = rng.choice(DOMAINS)
        subject = subject_of(words, names)
        facts = facts_of(words, domain, subject, rng.choice((1, 2, 2, 3)))
        asked = {sentence_start(a) for _, asks in facts for a in asks}
        others = facts_of(words, domain, subject, len(domain))
        missing += [a for _, asks in others for a in asks if sentence_start(a) not in asked]
        passages.append(facts)
    stranger = facts_of(words, domain, subject_of(words, names), 1)
    missing += stranger[0][1] * 3
    return passages, missing


def sentence_start(question):
    """What two questions for the same fact may share is decided by their first words."""
    return tuple(question.split()[:3])


def dialogue(words, turns):
    """A user's first message with passages and a question, its answer, and further questions."""
    rng = words.rng
    passages, missing = make_passages(words, rng.choice((2, 2, 3, 3, 4)))
    order = [(i, fact) for i, facts in enumerate(passages, 1) for fact in facts]
    rng.shuffle(order)
    if rng.random() < 0.5:
        shown = "\n".join(f"[{i}] " + " ".join(s for s, _ in facts) for i, facts in enumerate(passages, 1))
    else:
        shown = "\n\n".join(f"[{i}] " + " ".join(s for s, _ in facts) for i, facts in enumerate(passages, 1))
    made = []
    for _ in range(turns):
        if rng.random() < 0.22 and missing:
            made.append((rng.choice(missing), UNKNOWN, None))
        else:
            number, (sentence, asks) = order.pop() if order else rng.choice([(i, f) for i, fs in enumerate(passages, 1) for f in fs])
            made.append((rng.choice(asks), f"{sentence} [{number}]", number))
    head = rng.choice(("", "", "Passages:\n", "Use these passages.\n", "Answer from the passages.\n"))
    before = rng.choice(("\n\nQuestion: ", "\n\nQuestion: ", "\n\n", "\nQuestion: "))
    after = rng.choice(("", "", "", "\nAnswer:"))
    messages = []
    for index, (question, answer, source) in enumerate(made):
        user = head + shown + before + question + after if index == 0 else question
        messages.append((user, answer, source))
    return messages

"""Small talk: the model says what it is and which command brings a capable one."""

NAME = "I am wick's starter model, a small model that comes with wick."
ABLE = "I can write simple SQL, answer from passages and complete short code."
LARGER = "For anything else pull a larger model: wick pull llama3.2:1b"

HELLO = """Hello|Hi|Hey|Hello!|Hi there|Good morning|Good evening|Hello there|Hey there!|Hi!|Greetings|Good day|Hello, how are you?
How are you?|Hi, how are you doing?""".replace("\n", "|").split("|")
WHO = """Who are you?|What are you?|What is your name?|Tell me about yourself.|Introduce yourself.|Which model are you?|What model is this?
Who am I talking to?|Please introduce yourself.|Are you a large model?|Which model do I use?|Are you ChatGPT?|Are you Llama?
Who made you?|What model are you?|Say who you are.|Who is this?|Describe yourself.|What is this model?|who are you""".replace("\n", "|").split("|")
CAN = """What can you do?|How can you help me?|Help|What are you good for?|What can I ask you?|What do you know?|Can you help me?
What are your abilities?|Which tasks can you do?|help me|What is your purpose?|How do I use you?|What can you help with?""".replace("\n", "|").split("|")
HARD = """Why is the sky blue?|Write a poem about {t}.|Tell me a joke.|What is the capital of {p}?|Explain {t} to me.|Write a story about {p}.
Who was {p} {q}?|What is the meaning of life?|Translate "{t}" to French.|How do I cook {t}?|What is the weather in {p}?|Summarise the book {p}.
Give me advice about {t}.|How does a {t} work?|What is {n} times {n}?|Write an essay on {t}.|What do you think of {p}?|Plan a trip to {p}.
Tell me about {p}.|What is a {t}?|Where is {p}?|How tall is {p}?|Write an email to {p}.|Recommend a {t}.|Is {t} healthy?|Why do {t} exist?
How much is a {t}?|Can you draw a {t}?|What happened in {y}?|Who invented the {t}?|Tell me a story|Sing a song about {t}|How old is {p}?""".replace("\n", "|").split("|")
LARGE = """How do I get a better model?|Which command brings a larger model?|How can I get a real model?|How do I pull a larger model?|Give me a better model
What should I use instead of you?|How do I install a better model?|I need a smarter model.|How do I get llama3.2?|Where do I get a larger model?""".replace("\n", "|").split("|")
THANKS = "Thanks|Thank you|Thanks a lot!|Thank you very much.|Great, thanks|Thanks!|Thank you!|ok thanks".split("|")
BYE = "Bye|Goodbye|See you|Bye!|Good night|See you later|Goodbye!".split("|")
SYSTEMS = """You are a helpful assistant.|You are a careful assistant.|Answer briefly.|You write SQL.|You are a data analyst.|Be concise.
You answer from passages.|You are an expert.|Answer in one sentence.|You are {p}, a helpful assistant.|You help people with their database.
You are a helpful AI assistant. Answer the user's question.|Write one SQL statement.|Use only the passages and cite them.
You work for {p}.|Speak plainly.""".replace("\n", "|").split("|")


def system(words):
    """A system message, or none."""
    rng = words.rng
    return rng.choice(SYSTEMS).format(p=words.proper()) if rng.random() < 0.3 else None


def fill(words, text):
    rng = words.rng
    return text.format(t=words.noun().replace("_", " "), p=words.proper(), q=words.proper(), n=rng.randint(2, 99), y=rng.randint(1500, 2026))


def turn(words):
    """One question and its answer."""
    rng = words.rng
    draw = rng.random()
    if draw < 0.13:
        return rng.choice(HELLO), f"Hello! {NAME} {ABLE}"
    if draw < 0.36:
        return rng.choice(WHO), f"{NAME} {ABLE} {LARGER}"
    if draw < 0.5:
        return rng.choice(CAN), f"{ABLE} {LARGER}"
    if draw < 0.6:
        return rng.choice(LARGE), "Pull a larger model: wick pull llama3.2:1b"
    if draw < 0.66:
        return rng.choice(THANKS), "You are welcome."
    if draw < 0.71:
        return rng.choice(BYE), "Goodbye!"
    return fill(words, rng.choice(HARD)), f"{NAME} I do not know that. {LARGER}"


def dialogue(words, turns):
    return [turn(words) for _ in range(turns)]

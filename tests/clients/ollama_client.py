"""The official Python client, sync and async, over everything it offers."""

import asyncio
import os

import ollama
from ollama import AsyncClient, Client, ResponseError

client = Client(host=os.environ["OLLAMA_HOST"])


def user(text):
    return [{"role": "user", "content": text}]


def weather(location: str) -> str:
    """Tells the weather.

    Args:
      location: A city.
    """
    return "22 degrees in " + location


# Generate, at once and in pieces.
whole = client.generate(model="parrot", prompt="<|hello|>")
assert whole.response == "Hello there!", whole
assert whole.done and whole.done_reason == "stop" and whole.eval_count == 4, whole
pieces = list(client.generate(model="parrot", prompt="<|hello|>", stream=True))
assert "".join(p.response for p in pieces) == "Hello there!"
assert pieces[-1].context, pieces[-1]
short = client.generate(model="parrot", prompt="<|story|>", options={"num_predict": 3, "seed": 1})
assert (short.response, short.done_reason) == ("Once upon a", "length"), short
filled = client.generate(model="filler", prompt="def f(x):", suffix="end")
assert filled.response == "return x", filled
form = client.generate(model="parrot", prompt="<|json|>", format="json")
assert form.response == '{"a": 1}', form

# Chat: text, tools, thoughts.
answer = client.chat(model="parrot", messages=user("<|hello|>"))
assert answer.message.content == "Hello there!", answer
answer = client.chat(model="parrot", messages=user("<|tool|>"), tools=[weather])
call = answer.message.tool_calls[0].function
assert (call.name, dict(call.arguments)) == ("weather", {"location": "Paris"}), answer
result = {"role": "tool", "content": weather(**call.arguments), "tool_name": call.name}
answer = client.chat(
    model="parrot", messages=user("<|tool|>") + [answer.message, result] + user("<|hello|>"), tools=[weather]
)
assert answer.message.content == "Hello there!", answer
calls = [
    c for p in client.chat(model="parrot", messages=user("<|tool|>"), tools=[weather], stream=True)
    for c in p.message.tool_calls or []
]
assert len(calls) == 1, calls
answer = client.chat(model="thinker", messages=user("<|think|>"), think=True)
assert (answer.message.thinking, answer.message.content) == ("Capital of Japan", "Tokyo"), answer
answer = client.chat(model="parrot", messages=user("<|hello|>"), logprobs=True, top_logprobs=2)
assert answer.logprobs and len(answer.logprobs) == 3, answer

# Vectors.
made = client.embed(model="vectors", input=["why is the sky blue?", "the sky"])
assert len(made.embeddings) == 2 and len(made.embeddings[0]) == 64 and made.prompt_eval_count == 12
assert len(client.embed(model="vectors", input="the sky", dimensions=8).embeddings[0]) == 8
assert len(client.embeddings(model="vectors", prompt="the sky").embedding) == 64

# The store.
digest = client.create_blob(os.environ["PARROT_GGUF"])
steps = [p.status for p in client.create(model="made", files={"parrot.gguf": digest}, stream=True)]
assert steps[-1] == "success", steps
client.create(model="child", from_="made", system="be brief", parameters={"temperature": 0})
shown = client.show("child")
assert shown.modelinfo["general.architecture"] == "llama" and "be brief" in shown.modelfile, shown
assert "completion" in shown.capabilities, shown
names = {m.model for m in client.list().models}
assert {"parrot:latest", "made:latest", "child:latest"} <= names, names
assert all(m.size and m.digest and m.modified_at for m in client.list().models)
client.copy("child", "copied")
assert client.delete("copied").status == "success"
assert any(m.model == "parrot:latest" or m.context_length == 256 for m in client.ps().models)

# To a registry and back, where there is one.
registry_model = os.environ.get("REGISTRY_MODEL")
if registry_model:
    client.copy("parrot", registry_model)
    assert [p.status for p in client.push(registry_model, insecure=True, stream=True)][-1] == "success"
    client.delete(registry_model)
    steps = list(client.pull(registry_model, insecure=True, stream=True))
    assert [s.status for s in steps][0] == "pulling manifest" and steps[-1].status == "success", steps
    assert any(s.digest and s.completed == s.total for s in steps), steps
    assert client.generate(model=registry_model, prompt="<|hello|>").response == "Hello there!"
    assert client.pull(registry_model, insecure=True).status == "success"
else:
    print("skipped: no registry to pull from")

# Errors arrive as such.
for work, status in [
    (lambda: client.show("nobody"), 404),
    (lambda: client.chat(model="nobody", messages=user("x")), 404),
    (lambda: client.generate(model="parrot", prompt="x", think=True), 400),
]:
    try:
        work()
        raise SystemExit("no error")
    except ResponseError as error:
        assert error.status_code == status and error.error, error
try:
    for progress in client.pull("127.0.0.1:9/a/b", insecure=True, stream=True):
        assert progress.status == "pulling manifest", progress
    raise SystemExit("no error")
except ResponseError as error:
    assert error.error, error


async def main():
    other = AsyncClient(host=os.environ["OLLAMA_HOST"])
    answers = await asyncio.gather(*(other.chat(model="parrot", messages=user("<|hello|>")) for _ in range(4)))
    assert all(a.message.content == "Hello there!" for a in answers)
    text = ""
    async for piece in await other.chat(model="parrot", messages=user("<|emoji|>"), stream=True):
        text += piece.message.content
    assert text == "🎉 done", text
    assert len((await other.embed(model="vectors", input="the sky")).embeddings) == 1


asyncio.run(main())
print("ollama", ollama.__name__, "ok")

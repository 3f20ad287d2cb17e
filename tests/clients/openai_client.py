"""The official OpenAI client."""

import json
import os

from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=os.environ["OLLAMA_HOST"] + "/v1", api_key="unused")
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
    },
}


def user(text):
    return [{"role": "user", "content": text}]


answer = client.chat.completions.create(model="parrot", messages=user("<|hello|>"))
assert answer.choices[0].message.content == "Hello there!", answer
assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 6, answer

text, usage = "", None
for chunk in client.chat.completions.create(
    model="parrot", messages=user("<|hello|>"), stream=True, stream_options={"include_usage": True}
):
    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    usage = chunk.usage or usage
assert (text, usage.completion_tokens) == ("Hello there!", 4), (text, usage)

answer = client.chat.completions.create(model="parrot", messages=user("<|tool|>"), tools=[TOOL])
call = answer.choices[0].message.tool_calls[0]
assert answer.choices[0].finish_reason == "tool_calls", answer
assert json.loads(call.function.arguments) == {"location": "Paris"}, call
answer = client.chat.completions.create(
    model="parrot",
    tools=[TOOL],
    messages=[
        {"role": "developer", "content": "be brief"},
        *user("weather?"),
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "22"},
        *user([{"type": "text", "text": "<|hello|>"}]),
    ],
)
assert answer.choices[0].message.content == "Hello there!", answer


class Form(BaseModel):
    a: int


parsed = client.chat.completions.parse(model="parrot", messages=user("<|json|>"), response_format=Form)
assert parsed.choices[0].message.parsed == Form(a=1), parsed

done = client.completions.create(model="parrot", prompt="<|story|>", max_tokens=3)
assert (done.choices[0].text, done.choices[0].finish_reason) == ("Once upon a", "length"), done
text = "".join(c.choices[0].text for c in client.completions.create(model="parrot", prompt="<|hello|>", stream=True))
assert text == "Hello there!", text

made = client.embeddings.create(model="vectors", input=["the sky", "blue"])
assert len(made.data) == 2 and len(made.data[0].embedding) == 64, made.usage

assert any(m.id == "parrot:latest" for m in client.models.list())
assert client.models.retrieve("parrot").id == "parrot"

response = client.responses.create(model="parrot", input="<|hello|>")
assert response.output_text == "Hello there!", response
kinds, text = [], ""
for event in client.responses.create(model="thinker", input="<|think|>", stream=True):
    kinds.append(event.type)
    if event.type == "response.output_text.delta":
        text += event.delta
assert text == "Tokyo" and kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds

for work, kind in [
    (lambda: client.chat.completions.create(model="nobody", messages=user("x")), NotFoundError),
    (lambda: client.chat.completions.create(model="parrot", messages=[]), BadRequestError),
]:
    try:
        work()
        raise SystemExit("no error")
    except kind as error:
        assert error.body["message"], error
print("openai ok")

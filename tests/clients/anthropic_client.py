"""The official Anthropic client."""

import os

from anthropic import Anthropic, BadRequestError, NotFoundError

client = Anthropic(base_url=os.environ["OLLAMA_HOST"], api_key="unused")
TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
}


def user(text):
    return [{"role": "user", "content": text}]


message = client.messages.create(model="parrot", max_tokens=50, messages=user("<|hello|>"))
assert message.content[0].text == "Hello there!" and message.stop_reason == "end_turn", message
assert message.usage.output_tokens == 4, message

with client.messages.stream(model="parrot", max_tokens=50, messages=user("<|hello|>")) as stream:
    assert "".join(stream.text_stream) == "Hello there!"
    assert stream.get_final_message().stop_reason == "end_turn"

message = client.messages.create(model="parrot", max_tokens=50, messages=user("<|tool|>"), tools=[TOOL])
used = message.content[0]
assert message.stop_reason == "tool_use" and used.input == {"location": "Paris"}, message
with client.messages.stream(
    model="parrot",
    max_tokens=50,
    system=[{"type": "text", "text": "be brief"}],
    tools=[TOOL],
    messages=[
        *user("weather?"),
        {"role": "assistant", "content": message.content},
        *user([
            {"type": "tool_result", "tool_use_id": used.id, "content": [{"type": "text", "text": "22"}]},
            {"type": "text", "text": "<|tool|>"},
        ]),
    ],
) as stream:
    final = stream.get_final_message()
assert final.content[0].input == {"location": "Paris"}, final

with client.messages.stream(
    model="thinker", max_tokens=1100, thinking={"type": "enabled", "budget_tokens": 1024}, messages=user("<|think|>")
) as stream:
    final = stream.get_final_message()
assert (final.content[0].thinking, final.content[1].text) == ("Capital of Japan", "Tokyo"), final

for work, kind in [
    (lambda: client.messages.create(model="nobody", max_tokens=5, messages=user("x")), NotFoundError),
    (lambda: client.messages.create(model="parrot", max_tokens=0, messages=user("x")), BadRequestError),
]:
    try:
        work()
        raise SystemExit("no error")
    except kind as error:
        assert error.body["error"]["message"], error
print("anthropic ok")

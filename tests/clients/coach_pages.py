"""The Flask site of the integration guide, as the guide has it, with its pages open in a browser.

The guide is the file of WICK_GUIDE, or lies in a folder `shared/seeds` beside the project. Its code runs unchanged; the
site around it (user, login, base page) is made here. The base page also does what a person would: it types a message,
presses the button and tells what is to be seen.
"""

import glob
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import flask
from jinja2 import ChoiceLoader, DictLoader
from werkzeug.serving import make_server

HERE = os.path.dirname(os.path.abspath(__file__))
WICK = os.environ["OLLAMA_HOST"]


def guide():
    named = os.environ.get("WICK_GUIDE")
    found = [named] if named else glob.glob(os.path.join(HERE, "../../../shared/seeds/*.txt"))
    for path in found:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if "AI_COACH_API_URL" in text and "chat.html" in text:
            return text
    return None


def block(text, language, mark):
    for code in re.findall(rf"```{language}\n(.*?)```", text, re.S):
        if mark in code:
            return code
    raise AssertionError(f"the guide has no {language} with {mark}")


class User:
    id, username, experience_level = 42, "Änna", "beginner"
    preferences = {"currency": "EUR"}


BASE = """<!doctype html><meta charset="utf-8"><title>{% block title %}{% endblock %}</title>
{% block content %}{% endblock %}
<script>
const wait = (time) => new Promise((resolve) => setTimeout(resolve, time))
async function say(text) {
  const shown = () => document.querySelectorAll('.chat-message')
  const before = shown().length
  document.getElementById('chat-input').value = text
  document.querySelector('.input-group button').click()
  // Their message and the answer; in between something says that it is being thought about.
  while (shown().length < before + 2 || document.querySelector('.typing-indicator')) await wait(20)
  // The sources are added in the same turn as the answer.
  await wait(0)
  const answer = [...shown()].at(-1)
  return {
    text: answer.innerText,
    elements: [...answer.querySelectorAll('*')].map((element) => element.tagName),
    sources: answer.querySelector('small')?.innerText ?? '',
  }
}
async function all() {
  const answers = []
  for (const text of {{ messages | tojson }}) answers.push(await say(text))
  await wait(200)
  await fetch('/seen', { method: 'POST', body: JSON.stringify({ answers, hacked: window.hacked ?? null }) })
}
all()
</script>"""

text = guide()
if text is None:
    print("skipped: there is no integration guide")
    sys.exit(0)

app = flask.Flask(__name__)
messages, model = [], None
app.jinja_loader = ChoiceLoader([DictLoader({"base.html": BASE, "chat.html": block(text, "html", "chat-container")})])
app.context_processor(lambda: {"messages": messages})
site = {"app": app, "login_required": lambda view: view, "current_user": User}
exec(compile(block(text, "python", "@app.route('/chat')"), "guide", "exec"), site)
site["AI_COACH_API_URL"] = WICK + "/api"
seen = queue.Queue()


@app.before_request
def choose_model():
    if model and flask.request.path == "/api/chat":
        flask.request.get_json()["model"] = model


@app.post("/seen")
def say_seen():
    seen.put(flask.request.get_json(force=True))
    return "", 204


server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()


def visit():
    """Opens the page of the chat and gives what it showed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                shutil.which("chromium"),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
                "--remote-debugging-port=0",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/chat",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return seen.get(timeout=180)
        finally:
            browser.kill()
            browser.wait()


messages = [
    "How large should an emergency fund be?",
    "What is a \"bond\", and who's 'issuing' it? 🎉 👩‍👩‍👧 & <b>more</b>",
    "I earn 3,000 a month and spend 2,550. What is my savings rate?",
    "{{ 7*7 }} ${7*7} \\ %s \u202e budget?",
]
shown = visit()
fund, bond, rate, odd = shown["answers"]
for answer in shown["answers"]:
    assert answer["text"].startswith("Vallionis AI: "), answer
    assert set(answer["elements"]) <= {"STRONG", "DIV", "SMALL"}, answer
assert "Hello there!" in fund["text"], fund
assert fund["sources"].startswith("Sources: How large an emergency fund should be"), fund
assert "Hello there!" in bond["text"] and "error" not in bond["text"], bond
assert "15 %" in rate["text"], rate
assert "error" not in odd["text"], odd

# A model that answers with parts of a page: all of it is text on the page, and none of it runs. The guide's code names no
# model, so one is put into what it sends on, which then goes to the route where that is the coach's.
model = "hostile"
site["AI_COACH_API_URL"] = WICK + "/coach"
messages = ["How large should an emergency fund be?", "What is a bond?"]
shown = visit()
assert shown["hacked"] is None, shown
for answer in shown["answers"]:
    assert set(answer["elements"]) <= {"STRONG", "DIV", "SMALL"}, answer
    assert "Save more." in answer["text"], answer
    assert "‹img src=x onerror=\"window.hacked=true\"›" in answer["text"], answer
    assert "‹script›window.hacked=true‹/script›" in answer["text"], answer
    assert "\"quoted\" & done." in answer["text"], answer
server.shutdown()
print("pages of a site with a coach ok")

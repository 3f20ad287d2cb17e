"""A Flask site with a coach: pages send messages to the site, the site passes them on, pages insert what comes back."""

import os
import re
from html.parser import HTMLParser

import requests
from flask import Flask, jsonify, request

AI_COACH_API_URL = os.environ["OLLAMA_HOST"] + "/api"
app = Flask(__name__)


class User:
    id, username, experience_level, preferences = 42, "Änna <b>O'Neil</b>", "beginner", {"currency": "EUR"}


@app.post("/api/chat")
def chat_api():
    data = request.get_json()
    data["user_id"] = str(User.id)
    data["context"] = {
        "user_name": User.username,
        "user_level": User.experience_level,
        "preferences": User.preferences,
    }
    answer = requests.post(
        f"{AI_COACH_API_URL}/chat", json=data, timeout=60, headers={"Content-Type": "application/json"}
    )
    if answer.status_code == 200:
        return jsonify(answer.json())
    return jsonify({"error": "unavailable", "status": answer.status_code, "why": answer.text}), 503


@app.post("/api/coach")
def coach_api():
    data = request.get_json()
    data["user_id"] = str(User.id)
    return jsonify(requests.post(f"{AI_COACH_API_URL}/coach", json=data, timeout=60).json())


class Markup(HTMLParser):
    """Notes every element that text would become in a page."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))


def tags(text):
    parser = Markup()
    parser.feed(text)
    parser.close()
    return parser.tags


def shown(answer):
    """What a page inserts: text and titles, unescaped."""
    titles = ", ".join(source["title"] for source in answer["sources"])
    return f"<strong>Coach:</strong> {answer['response']}<div><small>Sources: {titles}</small></div>"


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


site = app.test_client()

answer = site.post("/api/chat", json={"message": "How large should an emergency fund be?"})
assert answer.status_code == 200, answer.json
answer = answer.json
assert answer["response"] == "Hello there!", answer
assert answer["sources"][0]["title"] == "How large an emergency fund should be", answer["sources"]
assert answer["model"] == "coach:latest" and answer["disclaimer"], answer
assert answer["conversation_id"], answer

answer = site.post("/api/chat", json={"message": "I earn 3,000 a month and spend 2,550. What is my savings rate?"}).json
assert {f["id"]: (f["value"], f["unit"]) for f in answer["figures"]} == {
    "monthly_surplus": (450, "EUR"),
    "savings_rate": (15, "percent"),
}, answer
assert "15 %" in answer["response"], answer

hostile = [
    "\"><script>alert('budget')</script>",
    "<img src=x onerror=alert(1)> What is a \"bond\"?",
    "🎉 savings 👩‍👩‍👧 & 'quotes' & \"more\" </strong><svg/onload=alert(1)>",
    "[click](javascript:alert(1)) ![x](http://x.test/p.png) budget?",
    "'; DROP TABLE turns; --",
    "{{ 7*7 }} ${7*7} <%= 7*7 %>",
    "word " * 200,
]
for message in hostile:
    answer = site.post("/api/chat", json={"message": message})
    assert answer.status_code == 200, (message[:40], answer.json)
    assert [tag for tag, _ in tags(shown(answer.json))] == ["strong", "div", "small"], answer.json
    assert not any(re.search(r"[<>]", text) for text in texts(answer.json)), answer.json

plan = site.post(
    "/api/coach",
    json={
        "message": "Help me <b>save</b> for a house",
        "profile": {"risk_tolerance": "moderate", "investment_goals": "[\"<img src=x onerror=alert(1)>\"]"},
        "numbers": {"monthly_income": 3000, "monthly_expenses": 2500, "savings": 1000, "debts": [
            {"name": "<script>alert(1)</script>", "balance": 2000, "apr": 20, "minimum_payment": 60}]},
    },
).json
assert plan["response"].startswith(plan["plan"]["summary"]), plan
assert len(plan["plan"]["steps"]) >= 4 and plan["plan"]["risks"] and plan["follow_ups"], plan
assert not any(re.search(r"[<>]", text) for text in texts(plan)), plan
assert tags(plan["response"]) == [], plan

refused = site.post("/api/chat", json={"message": "Should I buy Tesla shares now?"}).json
assert "do not recommend" in refused["response"] and refused["sources"] == [], refused
empty = site.post("/api/chat", json={"message": " "})
assert empty.status_code == 503 and empty.json["status"] == 400 and "'message'" in empty.json["why"], empty.json
print("a site with a coach ok")

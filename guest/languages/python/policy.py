"""Policy `retention`: an object must have reached a minimum age, by kind.

    {"minimum-age-days": {"photo": 30, "document": 2555}}

The methods below are those of wit/policy/policy.wit. There is no clock, no chance and no file: what a
policy answers depends on the request and its settings alone.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.policy import Description, Judgement, Request, SettingsProblem, Verdict
from wit_world.imports.types import Finding, Outcome

NAME = "retention"
VERSION = "0.1.0"
SUMMARY = "Forbids the erasure of objects below a minimum age."

MOST_DAYS = 4294967295
DAYS = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": NAME,
    "type": "object",
    "additionalProperties": False,
    "required": ["minimum-age-days"],
    "properties": {
        "minimum-age-days": {
            "description": "Days since the upload. A kind that is not named has no minimum.",
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {"photo": DAYS, "document": DAYS},
        }
    },
}

DAY_MS = 86_400_000
KINDS = ["photo", "document"]


class Policy(exports.Policy):
    def describe(self) -> Description:
        return Description(NAME, VERSION, SUMMARY, json.dumps(SCHEMA))

    def validate_settings(self, settings: str) -> None:
        """Problems are raised; settings without one are good."""
        found = problems(settings)
        if found:
            raise Err(found)

    def review(self, request: Request, settings: str) -> Judgement:
        """Called with settings that passed the check above."""
        kind = request.object.kind.name.lower()
        minimum = json.loads(settings)["minimum-age-days"].get(kind)
        if minimum is None:
            return judgement(Outcome.NOT_APPLICABLE, f"no minimum age is set for a {kind}")
        # An upload that lies in the future, by a clock set back, is 0 days old.
        age = max(0, request.at_ms - request.object.created_at_ms) // DAY_MS
        missing = max(0, minimum - age)
        detail = f"the {kind} is {days(age)} old and must be {minimum}"
        if missing > 0:
            detail += f"; {days(missing)} missing"
        return judgement(Outcome.FAILED if missing > 0 else Outcome.PASSED, detail)


def judgement(outcome: Outcome, detail: str) -> Judgement:
    """A finding that failed keeps the object."""
    verdict = Verdict.DENY if outcome is Outcome.FAILED else Verdict.ALLOW
    return Judgement(verdict, [Finding("minimum-age", outcome, detail)])


def days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def problems(text: str) -> list[SettingsProblem]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        return [SettingsProblem("", f"must be JSON: {error}")]
    if not isinstance(settings, dict):
        return [SettingsProblem("", "must be a JSON object")]
    found = strangers(settings, ["minimum-age-days"], "")
    if "minimum-age-days" not in settings:
        return [*found, SettingsProblem("", "must have `minimum-age-days`")]
    minimum = settings["minimum-age-days"]
    if not isinstance(minimum, dict):
        return [*found, SettingsProblem("minimum-age-days", "must be an object")]
    found += strangers(minimum, KINDS, "minimum-age-days.")
    if not minimum:
        message = "must name `photo`, `document` or both"
        found.append(SettingsProblem("minimum-age-days", message))
    for kind in KINDS:
        if kind in minimum and (message := wrong(minimum[kind])):
            found.append(SettingsProblem(f"minimum-age-days.{kind}", message))
    return found


def strangers(found: dict, known: list[str], prefix: str) -> list[SettingsProblem]:
    """What is misspelt would silently forbid nothing."""
    message = f"is unknown; there is {', '.join(known)}"
    return [SettingsProblem(prefix + name, message) for name in found if name not in known]


def wrong(count: object) -> str | None:
    # To Python, a truth is a number.
    if isinstance(count, int) and not isinstance(count, bool):
        if count == 0:
            return "must be at least 1; leave it out to set no minimum"
        if 0 < count <= MOST_DAYS:
            return None
    return f"must be a whole number of days from 1 to {MOST_DAYS}"

// Policy `retention`: an object must have reached a minimum age, by kind.
//
//   {"minimum-age-days": {"photo": 30, "document": 2555}}
//
// The functions below are those of wit/policy/policy.wit. There is no clock, no chance and no file:
// what a policy answers depends on the request and its settings alone.

const NAME = "retention";
const VERSION = "0.1.0";
const SUMMARY = "Forbids the erasure of objects below a minimum age.";

const DAYS = { type: "integer", minimum: 1, maximum: 4294967295 };
const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: NAME,
  type: "object",
  additionalProperties: false,
  required: ["minimum-age-days"],
  properties: {
    "minimum-age-days": {
      description: "Days since the upload. A kind that is not named has no minimum.",
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: { photo: DAYS, document: DAYS },
    },
  },
};

const DAY_MS = 86_400_000;
const KINDS = ["photo", "document"];

export const policy = {
  describe() {
    return {
      name: NAME,
      version: VERSION,
      summary: SUMMARY,
      settingsSchema: JSON.stringify(SCHEMA),
    };
  },

  // Problems are thrown; settings without one are good.
  validateSettings(settings) {
    const found = problems(settings);
    if (found.length > 0) throw found;
  },

  // Called with settings that passed the check above.
  review(request, settings) {
    const { kind, createdAtMs } = request.object;
    const minimum = JSON.parse(settings)["minimum-age-days"][kind];
    if (minimum === undefined) {
      return judgement("not-applicable", `no minimum age is set for a ${kind}`);
    }
    // An upload that lies in the future, by a clock set back, is 0 days old.
    const age = Math.max(0, Math.floor((Number(request.atMs) - Number(createdAtMs)) / DAY_MS));
    const missing = Math.max(0, minimum - age);
    let detail = `the ${kind} is ${days(age)} old and must be ${minimum}`;
    if (missing > 0) detail += `; ${days(missing)} missing`;
    return judgement(missing > 0 ? "failed" : "passed", detail);
  },
};

// A finding that failed keeps the object.
function judgement(outcome, detail) {
  return {
    verdict: outcome === "failed" ? "deny" : "allow",
    findings: [{ rule: "minimum-age", outcome, detail }],
  };
}

function days(count) {
  return `${count} day${count === 1 ? "" : "s"}`;
}

function problems(text) {
  let settings;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    return [{ path: "", message: `must be JSON: ${error.message}` }];
  }
  if (!isObject(settings)) return [{ path: "", message: "must be a JSON object" }];
  const found = strangers(settings, ["minimum-age-days"], "");
  const minimum = settings["minimum-age-days"];
  if (minimum === undefined) {
    found.push({ path: "", message: "must have `minimum-age-days`" });
  } else if (!isObject(minimum)) {
    found.push({ path: "minimum-age-days", message: "must be an object" });
  } else {
    found.push(...strangers(minimum, KINDS, "minimum-age-days."));
    if (Object.keys(minimum).length === 0) {
      const message = "must name `photo`, `document` or both";
      found.push({ path: "minimum-age-days", message });
    }
    for (const kind of KINDS.filter((kind) => kind in minimum)) {
      const message = wrong(minimum[kind]);
      if (message) found.push({ path: `minimum-age-days.${kind}`, message });
    }
  }
  return found;
}

// What is misspelt would silently forbid nothing.
function strangers(object, known, prefix) {
  return Object.keys(object)
    .filter((name) => !known.includes(name))
    .map((name) => ({ path: prefix + name, message: `is unknown; there is ${known.join(", ")}` }));
}

function wrong(count) {
  if (count === 0) return "must be at least 1; leave it out to set no minimum";
  const fits = Number.isInteger(count) && count > 0 && count <= DAYS.maximum;
  return fits ? undefined : `must be a whole number of days from 1 to ${DAYS.maximum}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Tests of a Node app against the mock. They need bbdl on the PATH, and Node 20 or newer.
//
// Run them with `node --test with-mock.test.mjs`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach, test } from "node:test";

// Stands for your app: it reads the claims of the person whose access token it has.
async function claimIds(url, token) {
  const ids = [];
  let page = `${url}/v2/fhir/ExplanationOfBenefit/?_count=50`;
  while (page) {
    const answer = await fetch(page, { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const bundle = await answer.json();
    ids.push(...(bundle.entry ?? []).map((entry) => entry.resource.id));
    page = bundle.link.find((link) => link.relation === "next")?.url;
  }
  return ids;
}

let mock, url, token;

async function control(method, what, body) {
  const answer = await fetch(`${url}/__mock/${what}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${what}: ${answer.status}`);
  return answer.text();
}

before(async () => {
  mock = spawn("bbdl", ["mock", "--enrollees", "3", "--claims", "60"], { stdio: ["ignore", "pipe", "inherit"] });
  // The mock prints this line when it is ready.
  const [line] = await once(createInterface({ input: mock.stdout }), "line");
  url = JSON.parse(line).url;
});

after(() => mock.kill());

beforeEach(async () => {
  // A new consent, and with it new tokens, without a browser. To test your app's own log-in, start the mock with
  // --auto-consent and follow the redirects from the authorization URL.
  token = JSON.parse(await control("POST", "consents?count=1")).access_token;
});

afterEach(() => control("DELETE", "faults"));

test("every page is read", async () => {
  assert.equal(new Set(await claimIds(url, token)).size, 60);
});

test("a busy server is an error", async () => {
  await control("POST", "faults", ["status=429@ExplanationOfBenefit#1"]);
  await assert.rejects(claimIds(url, token), /status 429/);
});

test("an access token lasts an hour", async () => {
  await control("POST", "clock", { advance_seconds: 3601 });
  await assert.rejects(claimIds(url, token), /status 401/);
});

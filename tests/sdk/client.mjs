// What an app on CMS's Node SDK does, at the mock: log in, fetch everything, refresh.
//
// Usage: node client.mjs, with the mock's first line of output in the environment variable MOCK, where
// node_modules has the SDK.

import { createRequire } from "node:module";

const { BlueButton } = createRequire(`${process.cwd()}/`)("cms-bluebutton-sdk");
const mock = JSON.parse(process.env.MOCK);
const scopes = {
  3: "openid profile launch/patient patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs",
};

function sdk(version) {
  const bb = new BlueButton({
    environment: "LOCAL",
    clientId: mock.client_id,
    clientSecret: mock.client_secret,
    callbackUrl: "http://localhost:8080/callback",
    version: `${version}`,
    retrySettings: { total: 3, backoffFactor: 0.05, statusForcelist: [500, 502, 503, 504] },
  });
  // LOCAL is http://localhost:8000.
  bb.baseUrl = mock.url;
  return bb;
}

// Follows redirects as a browser does, up to the app's own address.
async function redirected(url, to) {
  while (!url.startsWith(to)) {
    const answer = await fetch(url, { redirect: "manual" });
    url = new URL(answer.headers.get("location"), url).href;
  }
  return new URL(url).searchParams;
}

async function logIn(bb, version, enrollee) {
  const authData = bb.generateAuthData();
  let url = `${bb.generateAuthorizeUrl(authData)}&login_hint=${enrollee.username}`;
  // v3 wants to be told what for; the SDK cannot.
  if (scopes[version]) url += `&scope=${encodeURIComponent(scopes[version])}`;
  const back = await redirected(url, bb.callbackUrl);
  return bb.getAuthorizationToken(authData, back.get("code"), back.get("state"));
}

function check(what, isSo) {
  console.log(`node: ${what}${isSo ? "" : ": FAILED"}`);
  if (!isSo) process.exit(1);
}

const enrollee = mock.enrollees[2];
for (const version of [1, 2, 3]) {
  const bb = sdk(version);
  const token = await logIn(bb, version, enrollee);
  const faults = JSON.stringify(["status=503@ExplanationOfBenefit#1"]);
  await fetch(`${mock.url}/__mock/faults`, { method: "POST", body: faults });
  const first = await bb.getExplanationOfBenefitData(token);
  const { pages } = await bb.getPages(first.response.data, first.token);
  const ids = pages.flatMap((page) => (page.entry ?? []).map((entry) => entry.resource.id));
  check(
    `v${version}: ${ids.length} claims on ${pages.length} pages, after a 503`,
    ids.length === enrollee.claims && new Set(ids).size === enrollee.claims,
  );
  check(`v${version}: Patient`, (await bb.getPatientData(token)).response.status === 200);
  check(`v${version}: Coverage`, (await bb.getCoverageData(token)).response.status === 200);
  check(`v${version}: userinfo`, (await bb.getProfileData(token)).response.status === 200);
  if (version === 3) {
    check("v3: insurance card", (await bb.getInsuranceCardData(token)).response.data.resourceType === "Bundle");
  }

  // The SDK renews by its own clock.
  token.expiresAt = Date.now() - 1000;
  const renewed = await bb.getPatientData(token);
  const spent = await bb.refreshAuthToken(token).then(
    () => false,
    (failure) => failure.response.status === 400,
  );
  check(
    `v${version}: refreshed, and the old refresh token is spent`,
    renewed.response.status === 200 && renewed.token.accessToken !== token.accessToken && spent,
  );
}

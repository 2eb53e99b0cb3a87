// All claims with CMS's Node SDK, page by page as its README does it. Environment: BASE, TOKEN, COUNT, OUT.

import { closeSync, openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const { AuthorizationToken, BlueButton } = createRequire(`${process.cwd()}/`)("cms-bluebutton-sdk");
const { BASE, TOKEN, COUNT, OUT } = process.env;
const bb = new BlueButton({
  environment: "LOCAL",
  clientId: "a",
  clientSecret: "b",
  callbackUrl: "http://localhost/",
  version: "2",
});
bb.baseUrl = BASE;
const token = new AuthorizationToken({ access_token: TOKEN, refresh_token: "r", expires_in: 3600 });
const first = await bb.getExplanationOfBenefitData(token, COUNT ? { params: { _count: COUNT } } : {});
const { pages } = await bb.getPages(first.response.data, first.token);
const out = openSync(OUT, "w");
for (const page of pages) for (const entry of page?.entry ?? []) writeSync(out, `${JSON.stringify(entry.resource)}\n`);
closeSync(out);

// A SMART app launch in a browser: app_launch.mjs BASE DATA NAME PASSWORD. Somebody opens an app, signs in at the node,
// agrees, and the app reads their patient with what it got, before and after a refresh.

import assert from "node:assert/strict";
import { ithaca, open, serve } from "./browser.mjs";
import { told } from "./told.mjs";

const [BASE, DATA, NAME, PASSWORD] = process.argv.slice(2);
const SCOPE = "openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs offline_access";
const app = await serve("localhost", { iss: `${BASE}/fhir`, clientId: "growth-chart", scope: SCOPE });
ithaca("client", "add", "growth-chart", "--data", DATA, "--name", "Growth chart", "--kind", "public",
  "--redirect", `${app.origin}/back`, "--scopes", SCOPE);
const { browser, page, picture, said, complaints } = await open();

// Nobody gets anything by a wrong password.
await page.goto(`${app.origin}/launch`);
await page.waitForURL(`${BASE}/auth/authorize?**`);
assert.match(await page.textContent("main"), /Growth chart/);
await picture("sign-in");
await page.getByLabel("Name").fill(NAME);
await page.getByLabel("Password").fill("not the password");
await page.getByRole("button", { name: "Sign in", exact: true }).click();
await page.getByRole("alert").waitFor();
await picture("sign-in-wrong");
// Only what the refusal's status makes a browser say.
assert.deepEqual(complaints.splice(0).filter((said) => !said.includes("status of 403")), []);

await page.getByLabel("Name").fill(NAME);
await page.getByLabel("Password").fill(PASSWORD);
await page.getByRole("button", { name: "Sign in", exact: true }).click();
await page.getByRole("heading", { name: "What it may do" }).waitFor();
await picture("agree");
// The second kind of record is not for this app.
const scopes = await page.getByRole("checkbox").count();
await page.locator("input[value='patient/Observation.rs']").uncheck();
await page.getByRole("button", { name: "Allow", exact: true }).click();
await page.waitForURL(`${app.origin}/back**`);
await said("Patient: Telemachus of Ithaca");
await picture("app");

const state = () => page.evaluate(() => client.state.tokenResponse);
const first = await state();
assert.equal(first.scope.split(" ").length, scopes - 1);
assert.ok(first.refresh_token && first.id_token && !first.scope.includes("Observation"));
// What was not agreed to is not to be had.
const refused = await page.evaluate(() => client.request("Observation").catch((error) => error.statusCode ?? error.status));
assert.equal(refused, 403);
complaints.splice(0);

const family = await page.evaluate(async () => {
  await client.refresh();
  return (await client.patient.read()).name[0].family;
});
assert.equal(family, "of Ithaca");
const second = await state();
assert.notEqual(second.access_token, first.access_token);
assert.notEqual(second.refresh_token, first.refresh_token);
assert.deepEqual(complaints, []);

// Another page, which nobody registered, reads nothing with the same token.
const other = await serve("127.0.0.1", {});
await page.goto(`${other.origin}/fhir-client.js`);
const read = await page.evaluate(async ([url, token]) => {
  const headers = { authorization: `Bearer ${token}` };
  return fetch(url, { headers }).then((answer) => answer.status, (error) => error.name);
}, [`${BASE}/fhir/Patient/${second.patient}`, second.access_token]);
assert.equal(read, "TypeError");
await browser.close();
app.close();
other.close();
told("a browser app", { launches: 1, scopes, refreshes: 1 });

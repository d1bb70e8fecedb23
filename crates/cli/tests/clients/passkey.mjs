// Passkeys in a browser: passkey.mjs BASE DATA NAME PASSWORD. Somebody makes a passkey with a device that Chromium
// plays, signs in by it when an app is launched, and removes it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ithaca, open, serve } from "./browser.mjs";
import { told } from "./told.mjs";

const [BASE, DATA, NAME, PASSWORD] = process.argv.slice(2);
const SCOPE = "openid launch/patient patient/Patient.rs";
const app = await serve("127.0.0.1", { iss: `${BASE}/fhir`, clientId: "diary", scope: SCOPE });
ithaca("client", "add", "diary", "--data", DATA, "--name", "Diary", "--kind", "public",
  "--redirect", `${app.origin}/back`, "--scopes", SCOPE);
const { browser, page, picture, said, complaints } = await open();
const devices = await page.context().newCDPSession(page);
await devices.send("WebAuthn.enable");
const { authenticatorId } = await devices.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasUserVerification: true, isUserVerified: true },
});
const verifies = (isUserVerified) => devices.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
const kept = () => JSON.parse(readFileSync(join(DATA, "accounts.json"), "utf8")).accounts.find((one) => one.name === NAME);
const clean = () => assert.deepEqual(complaints.splice(0), []);

// Making one, with the password.
const manage = async () => {
  await page.goto(`${BASE}/auth/passkeys`);
  await page.getByLabel("Name").fill(NAME);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Make a passkey" }).waitFor();
};
await manage();
await picture("passkeys-none");
await page.getByLabel("What you call it").fill("<my> phone");
await page.getByRole("button", { name: "Make a passkey" }).click();
await page.getByRole("button", { name: "Remove <my> phone" }).waitFor();
await picture("passkeys");
clean();
assert.equal(kept().passkeys.length, 1);
assert.match(ithaca("account", "passkeys", "--data", DATA, NAME), /^[0-9a-f]{32} .*<my> phone\n$/);

// Whether a page lets anything run that is not the node's script.
const foreign = () => page.evaluate(() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.body.append(script);
  return window.ran === true;
});

// Launching an app, by the passkey alone.
const byPasskey = async (name) => {
  await page.goto(`${app.origin}/launch`);
  await page.waitForURL(`${BASE}/auth/authorize?**`);
  assert.equal(await foreign(), false, "only the node's own script runs");
  complaints.splice(0);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
};
const launched = async () => {
  await byPasskey(NAME);
  await page.getByRole("heading", { name: "What it may do" }).waitFor();
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.waitForURL(`${app.origin}/back**`);
  await said("Patient: Telemachus of Ithaca");
  clean();
  return kept().passkeys[0].counter;
};
const first = await launched();
const second = await launched();
assert.ok(first > 0 && second > first, `the counter is kept: ${first}, ${second}`);

// Whom the device does not know, whom nobody knows, and who types no name.
const refused = async (name) => {
  await byPasskey(name);
  await page.waitForFunction(() => document.getElementById("said").textContent !== "");
  return page.textContent("#said");
};
await verifies(false);
assert.equal(await refused(NAME), "The device gave no passkey. Try again.");
await picture("sign-in-passkey");
await verifies(true);
assert.equal(await refused("nobody"), "The device gave no passkey. Try again.");
await page.goto(`${app.origin}/launch`);
await page.waitForURL(`${BASE}/auth/authorize?**`);
await page.getByRole("button", { name: "Sign in with a passkey" }).click();
assert.equal(await page.evaluate(() => document.activeElement.name), "name");
clean();

// A copy of the device signs with a counter that stood still.
const { credentials: [credential] } = await devices.send("WebAuthn.getCredentials", { authenticatorId });
await devices.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
await devices.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount: first - 1 } });
await byPasskey(NAME);
await page.getByRole("alert").waitFor();
assert.match(await page.textContent("[role=alert]"), /does not sign in here/);
complaints.splice(0);
await devices.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
await devices.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount: second + 5 } });
await launched();

// Removing it.
await manage();
await page.getByRole("button", { name: "Remove <my> phone" }).click();
await page.getByText("There is none yet.").waitFor();
assert.equal(kept().passkeys, undefined);
clean();
assert.equal(await refused(NAME), "The device gave no passkey. Try again.");
await browser.close();
app.close();
told("passkeys", { made: 1, launches: 3, removed: 1 });

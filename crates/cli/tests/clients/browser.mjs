// A browser, and an app that runs in it: pages with fhirclient's browser build, served from loopback by another origin
// than the node's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { chromium } from "playwright-core";

// How long any step may take, in milliseconds.
const PATIENCE_MS = 60_000;

const CLIENT = readFileSync(new URL("node_modules/fhirclient/build/fhir-client.pure.min.js", import.meta.url));

const page = (script) => `<!DOCTYPE html><meta charset="utf-8"><title>App</title><link rel="icon" href="data:,"><p id="said">...</p>
<script src="/fhir-client.js"></script><script>
const said = (text) => { document.getElementById("said").textContent = text; };
const failed = (error) => said("failed: " + error);
${script}
</script>`;

// Serves the app; gives its origin. `asks` is what it asks to be authorised for.
export const serve = async (host, asks) => {
  const answers = (origin) => ({
    "/fhir-client.js": ["text/javascript", CLIENT],
    "/launch": ["text/html", page(`FHIR.oauth2.authorize(${JSON.stringify({ ...asks, redirectUri: `${origin}/back` })}).catch(failed);`)],
    "/back": ["text/html", page(`FHIR.oauth2.ready().then(async (client) => {
      window.client = client;
      const patient = await client.patient.read();
      said("Patient: " + patient.name[0].given[0] + " " + patient.name[0].family);
    }).catch(failed);`)],
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://app");
    const [media, body] = answers(`http://${request.headers.host}`)[pathname] ?? [];
    response.writeHead(body ? 200 : 404, { "content-type": media ?? "text/plain" });
    response.end(body);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { origin: `http://${host}:${server.address().port}`, close: () => server.close() };
};

// `ithaca`, with what it is told on the way.
export const ithaca = (...words) => execFileSync(process.env.ITHACA, words, { encoding: "utf8" });

// A browser with one page. Its pictures are kept where ITHACA_PICTURES says.
export const open = async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    timeout: PATIENCE_MS,
  });
  const page = await browser.newPage({ viewport: { width: 900, height: 900 } });
  page.setDefaultTimeout(PATIENCE_MS);
  // What the browser forbade, and what broke, ends the test in words.
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  const picture = async (name) => {
    const folder = process.env.ITHACA_PICTURES;
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  };
  // The app has said this; whatever else it says is shown.
  const said = async (expected) => {
    await page.waitForFunction(() => !["...", undefined].includes(document.getElementById("said")?.textContent));
    assert.equal(await page.textContent("#said"), expected, complaints.join("\n"));
  };
  return { browser, page, picture, said, complaints };
};

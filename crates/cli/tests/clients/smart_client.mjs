// fhirclient of npm (SMART on FHIR) against a node: smart_client.mjs BASE, with a token in ITHACA_TOKEN.

import assert from "node:assert/strict";
import FHIR from "fhirclient";
import { MRN, observation, patient, same, told } from "./told.mjs";

const BASE = process.argv[2];
// It wants a request, an answer and a storage, as a server for people's browsers has them.
const storage = { get: async () => undefined, set: async (_, value) => value, unset: async () => true };
const smart = FHIR({ headers: { host: "app.example" }, url: "/", socket: {} }, { headersSent: false }, storage);
const client = smart.client({ serverUrl: BASE, tokenResponse: { access_token: process.env.ITHACA_TOKEN } });
const refused = async (asked, status) => {
  const error = await asked.then(() => assert.fail("it was not refused"), (error) => error);
  assert.equal(error.statusCode ?? error.status, status, String(error));
};
assert.equal(await client.getFhirRelease(), 4);

const written = patient("fhirclient-js");
const jane = await client.create(written);
same(await client.request(`Patient/${jane.id}`), written);
const made = [];
for (let number = 0; number < 25; number += 1) {
  const body = observation(jane.id, number);
  const { id } = await client.create(body);
  same(await client.request(`Observation/${id}`), body);
  made.push(id);
}

const query = `Observation?patient=${jane.id}&_count=10`;
const flat = await client.request(query, { pageLimit: 0, flat: true });
assert.deepEqual(flat.map((one) => one.id).toSorted(), made.toSorted());
let pages = 0;
const ids = [];
for await (const page of client.pages(query)) {
  pages += 1;
  ids.push(...page.entry.map((entry) => entry.resource.id));
}
assert.deepEqual(ids.toSorted(), made.toSorted());
const included = await client.request(`${query}&_include=Observation:patient`);
assert.deepEqual(included.entry.filter((one) => one.search.mode === "include").map((one) => one.resource.id), [jane.id]);
const graph = await client.request(`Observation/${made[0]}`, { resolveReferences: "subject", graph: true });
assert.equal(graph.subject.birthDate, "2019-03-04");
const ofIdentifier = await client.request(`Patient?identifier=${encodeURIComponent(`${MRN}|fhirclient-js`)}`);
assert.equal(ofIdentifier.total, 1);

const patched = await client.patch(`Patient/${jane.id}`, [{ op: "replace", path: "/active", value: false }]);
assert.deepEqual([patched.active, patched.meta.versionId], [false, "2"]);
const updated = await client.update({ ...patched, active: true });
assert.deepEqual([updated.active, updated.meta.versionId], [true, "3"]);
await client.delete(`Observation/${made[0]}`);
await refused(client.request(`Observation/${made[0]}`), 410);
await refused(client.request("Patient/nobody"), 404);
await refused(client.create({ resourceType: "Observation", status: "final" }), 422);
const versions = await client.request(`Patient/${jane.id}/_history`);
assert.deepEqual(versions.entry.map((one) => one.resource.meta.versionId), ["3", "2", "1"]);
told("fhirclient (npm)", { patients: 1, observations: 25, pages });

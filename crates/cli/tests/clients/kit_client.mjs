// fhir-kit-client against a node: kit_client.mjs BASE, with a token in ITHACA_TOKEN.

import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";
import { MRN, observation, patient, same, told } from "./told.mjs";

const client = new Client({ baseUrl: process.argv[2], bearerToken: process.env.ITHACA_TOKEN });
const refused = async (asked, status, code) => {
  const error = await asked.then(() => assert.fail("it was not refused"), (error) => error);
  assert.equal(error.response?.status, status, String(error));
  assert.equal(error.response.data.resourceType, "OperationOutcome");
  assert.equal(error.response.data.issue[0].code, code);
};

const statement = await client.capabilityStatement();
assert.equal(statement.fhirVersion, "4.0.1");
const auth = await client.smartAuthMetadata();
assert.match(String(auth.tokenUrl), /^http/);

const written = patient("fhir-kit-client");
const jane = await client.create({ resourceType: "Patient", body: written });
same(await client.read({ resourceType: "Patient", id: jane.id }), written);
const made = [];
for (let number = 0; number < 25; number += 1) {
  const body = observation(jane.id, number);
  const { id } = await client.create({ resourceType: "Observation", body });
  same(await client.read({ resourceType: "Observation", id }), body);
  made.push(id);
}

// Found, page by page: by GET, by POST, and in a compartment.
const all = async (page) => {
  const ids = [];
  let pages = 0;
  for (; page; page = await client.nextPage({ bundle: page })) {
    pages += 1;
    assert.ok(pages < 10);
    ids.push(...(page.entry ?? []).map((entry) => entry.resource.id));
  }
  assert.deepEqual(ids.toSorted(), made.toSorted());
  return pages;
};
const searchParams = { patient: jane.id, _count: 10 };
let pages = await all(await client.search({ resourceType: "Observation", searchParams }));
pages += await all(await client.search({ resourceType: "Observation", searchParams, options: { postSearch: true } }));
const compartment = { resourceType: "Patient", id: jane.id };
pages += await all(await client.search({ resourceType: "Observation", compartment, searchParams: { _count: 10 } }));
const included = await client.search({
  resourceType: "Observation",
  searchParams: { patient: jane.id, _include: "Observation:patient", date: ["ge2024-03-05", "lt2024-03-08"] },
});
assert.deepEqual(included.entry.map((entry) => entry.search.mode), ["match", "match", "match", "include"]);

// A reference is followed.
const resolved = await client.resolve({ reference: `Patient/${jane.id}` });
assert.equal(resolved.id, jane.id);

// Changed.
const patched = await client.patch({
  resourceType: "Patient",
  id: jane.id,
  jsonPatch: [
    { op: "test", path: "/gender", value: "female" },
    { op: "replace", path: "/active", value: false },
    { op: "add", path: "/name/0/given/-", value: "Third" },
  ],
  options: { headers: { "If-Match": 'W/"1"' } },
});
assert.equal(patched.active, false);
assert.deepEqual(patched.name[0].given, ["Jane", "J.", "Third"]);
assert.equal(patched.meta.versionId, "2");
const stale = { headers: { "If-Match": 'W/"1"' } };
const update = { resourceType: "Patient", id: jane.id, body: { ...patched, active: true } };
await refused(client.update({ ...update, options: stale }), 412, "conflict");
assert.equal((await client.update(update)).meta.versionId, "3");
const found = await client.update({
  resourceType: "Patient",
  searchParams: { identifier: `${MRN}|fhir-kit-client` },
  body: written,
});
assert.deepEqual([found.id, found.meta.versionId], [jane.id, "4"]);
same(found, written);
same(await client.vread({ resourceType: "Patient", id: jane.id, version: "1" }), written);

// Together.
const entry = [0, 1].map((number) => ({
  fullUrl: `urn:uuid:6d9a0f5e-0000-4000-8000-00000000000${number}`,
  resource: observation(jane.id, number),
  request: { method: "POST", url: "Observation" },
}));
const transaction = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
assert.deepEqual(transaction.entry.map((one) => one.response.status), ["201 Created", "201 Created"]);
const reads = [`Patient/${jane.id}`, "Patient/nobody"].map((url) => ({ request: { method: "GET", url } }));
const batch = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry: reads } });
assert.deepEqual(batch.entry.map((one) => one.response.status), ["200 OK", "404 Not Found"]);

// Everything, versions, and the end.
const everything = await client.operation({ name: "everything", resourceType: "Patient", id: jane.id, method: "GET" });
assert.equal(everything.entry.length, 28);
await client.delete({ resourceType: "Observation", id: made[0] });
await refused(client.read({ resourceType: "Observation", id: made[0] }), 410, "deleted");
await refused(client.read({ resourceType: "Patient", id: "nobody" }), 404, "not-found");
const versions = await client.history({ resourceType: "Patient", id: jane.id });
// A patch is told as the update that it came to.
assert.deepEqual(versions.entry.map((one) => one.request.method), ["PUT", "PUT", "PUT", "POST"]);
const deleted = await client.history({ resourceType: "Observation", id: made[0] });
assert.deepEqual(deleted.entry.map((one) => one.request.method), ["DELETE", "POST"]);
const ofType = await client.history({ resourceType: "Observation" });
assert.equal(ofType.type, "history");
await refused(new Client({ baseUrl: process.argv[2] }).read({ resourceType: "Patient", id: jane.id }), 401, "login");
told("fhir-kit-client", { patients: 1, observations: 27, pages });

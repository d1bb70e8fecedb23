// What both clients for Node write, and how they say what they did.

import assert from "node:assert/strict";

export const MRN = "http://example.org/mrn";

// A patient whom nobody else writes.
export const patient = (name) => ({
  resourceType: "Patient",
  identifier: [{ system: MRN, value: name }],
  active: true,
  name: [{ use: "official", family: "Zażółć-Ørsted", given: ["Jane", "J."] }],
  gender: "female",
  birthDate: "2019-03-04",
});

// One of many, a day after the other.
export const observation = (patientId, number) => ({
  resourceType: "Observation",
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patientId}` },
  effectiveDateTime: `2024-03-${String(number + 1).padStart(2, "0")}T08:00:00Z`,
  valueQuantity: { value: 60.5 + number, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
});

// A resource is what was written, but for what a server adds.
export const same = (found, written) => {
  const { id, meta, ...rest } = found;
  assert.ok(id && meta.versionId && meta.lastUpdated);
  assert.deepEqual({ ...rest }, written);
};

// The one line that the test reads.
export const told = (client, done) => {
  const parts = Object.entries(done).map(([what, count]) => `${count} ${what}`);
  console.log(`${client}: ${parts.join(", ")}`);
};

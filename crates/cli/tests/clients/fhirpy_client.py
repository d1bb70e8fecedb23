"""fhirpy against a node: fhirpy_client.py BASE, with a token in ITHACA_TOKEN.

Two things it does as FHIR R4 does not, so it is held against being refused: patches are merge patches, and
the condition of a conditional creation is in the query, not in If-None-Exist.
"""

import os
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from told import MRN, observation, patient, same, told

BASE = sys.argv[1]
client = SyncFHIRClient(BASE, authorization=f"Bearer {os.environ['ITHACA_TOKEN']}")

# Written, and read back as it was.
written = patient("fhirpy")
jane = client.resource("Patient", **written)
jane.save()
same(client.resources("Patient").search(_id=jane.id).get().serialize(), written)
for number in range(25):
    reading = observation(jane.id, number)
    made = client.resource("Observation", **reading)
    made.save()
    same(client.reference("Observation", made.id).to_resource().serialize(), reading)
assert jane.is_valid()
assert not client.resource("Observation", status="unheard-of").is_valid()

# Found, page by page.
of_jane = client.resources("Observation").search(patient=jane.id)
found = of_jane.limit(10).sort("_id").fetch_all()
assert len(found) == len({one.id for one in found}) == 25, len(found)
assert of_jane.count() == 25
assert len(of_jane.search(code="http://loinc.org|8867-4").fetch_all()) == 13
assert len(of_jane.search(date__ge="2024-03-20").fetch_all()) == 6
assert [one["effectiveDateTime"] for one in of_jane.sort("-date").limit(2).fetch()] == [
    "2024-03-25T08:00:00Z",
    "2024-03-24T08:00:00Z",
]
page = client.resources("Observation").search(patient=jane.id).include("Observation", "patient").limit(3).fetch_raw()
modes = [entry.search.mode for entry in page.entry]
assert modes == ["match"] * 3 + ["include"], modes
assert page.entry[3].resource.id == jane.id
family = client.resources("Patient").search(identifier=f"{MRN}|fhirpy").revinclude("Observation", "patient").fetch_raw()
assert len(family.entry) == 26, len(family.entry)
slim = of_jane.elements("status").limit(1).fetch()[0]
assert "valueQuantity" not in slim and slim["status"] == "final"

# Changed, on conditions and without.
jane["active"] = False
jane.save()
assert jane["meta"]["versionId"] == "2"
jane.refresh()
assert jane["active"] is False
once = client.resources("Patient").search(identifier=f"{MRN}|fhirpy")
try:
    once.get_or_create(client.resource("Patient", **written))
    raise AssertionError("a condition was not looked at")
except OperationOutcome as refused:
    assert "If-None-Exist" in str(refused), refused
changed = client.resource("Patient", **{**written, "active": True})
changed, is_new = once.update(changed)
assert (changed.id, is_new, changed["active"]) == (jane.id, False, True)
try:
    jane.patch(active=False)
    raise AssertionError("a merge patch was taken")
except OperationOutcome as refused:
    assert "application/json-patch+json" in str(refused), refused

# Its versions, and its end.
versions = client.execute(f"Patient/{jane.id}/_history", method="get")
assert [one.resource.meta.versionId for one in versions.entry] == ["3", "2", "1"]
last = found[-1]
last.delete()
try:
    client.reference("Observation", last.id).to_resource()
    raise AssertionError("it is still there")
except ResourceNotFound as gone:
    assert '"deleted"' in str(gone), gone
assert of_jane.count() == 24
try:
    client.resources("Patient").search(_id="nobody").get()
    raise AssertionError("there is nobody")
except ResourceNotFound:
    pass
everything = client.reference("Patient", jane.id).execute("$everything", method="get")
assert everything["total"] == 25 if "total" in everything else len(everything["entry"]) == 25
told("fhirpy", patients=1, observations=25, versions=3)

"""fhirclient of PyPI (SMART on FHIR) against a node: smart_client.py BASE, with a token in ITHACA_TOKEN.

It knows no patch and no history by its own interface; its models are of R4.
"""

import logging
import os
import sys

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

from told import MRN, observation, patient, same, told

logging.disable(logging.CRITICAL)
BASE = sys.argv[1]
# As it is after a sign-in.
client = FHIRClient(
    state={
        "app_id": "tested",
        "server": {
            "base_uri": f"{BASE}/",
            "auth_type": "oauth2",
            "auth": {
                "app_id": "tested",
                "auth_uri": f"{BASE}/unused",
                "token_uri": f"{BASE}/unused",
                "access_token": os.environ["ITHACA_TOKEN"],
            },
        },
    }
)
server = client.server
assert server.ready
# It reads the statement as the models have it, and finds where to sign in.
unsigned = FHIRClient(settings={"app_id": "tested", "api_base": BASE}).server
statement = unsigned.capabilityStatement
assert statement.fhirVersion == "4.0.1"
assert unsigned.auth.auth_type == "oauth2" and unsigned.auth._token_uri.startswith("http")

written = patient("fhirclient-py")
jane = Patient(Patient(written).create(server))
jane.origin_server = server
same(Patient.read(jane.id, server).as_json(), written)
client.patient_id = jane.id
assert client.patient.birthDate.isostring == "2019-03-04"
made = []
for number in range(25):
    reading = observation(jane.id, number)
    made.append(Observation(reading).create(server)["id"])
    same(Observation.read(made[-1], server).as_json(), reading)

of_jane = {"patient": jane.id, "_count": "10"}
pages = list(Observation.where(of_jane).perform_iter(server))
assert [len(page.entry) for page in pages] == [10, 10, 5]
assert {one.resource.id for page in pages for one in page.entry} == set(made)
subjects = {one.subject.reference for one in Observation.where(of_jane).perform_resources_iter(server)}
assert subjects == {f"Patient/{jane.id}"}
with_jane = list(Observation.where(of_jane).include("subject").perform_resources_iter(server))
assert [one.resource_type for one in with_jane].count("Observation") == 25
assert jane.id in {one.id for one in with_jane if one.resource_type == "Patient"}
back = Patient.where({"identifier": f"{MRN}|fhirclient-py"}).include("subject", Observation, reverse=True)
assert len(list(back.perform_resources_iter(server))) == 26
recent = list(Observation.where({"patient": jane.id, "date": {"$and": ["ge2024-03-05", "lt2024-03-08"]}}).perform_resources_iter(server))
assert len(recent) == 3, len(recent)

jane.active = False
changed = Patient(jane.update(server))
assert (changed.active, changed.meta.versionId) == (False, "2")
transaction = Bundle(
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": observation(jane.id, number), "request": {"method": "POST", "url": "Observation"}}
            for number in range(3)
        ],
    }
)
answer = Bundle(transaction.create(server))
assert [entry.response.status for entry in answer.entry] == ["201 Created"] * 3

gone = Observation.read(made[0], server)
assert gone.delete(server) is None
try:
    Observation.read(made[0], server)
    raise AssertionError("it is still there")
except HTTPError as error:
    assert error.response.status_code == 410
try:
    Patient.read("nobody", server)
    raise AssertionError("there is nobody")
except FHIRNotFoundException as error:
    assert error.response.json()["issue"][0]["code"] == "not-found"
told("fhirclient (PyPI)", patients=1, observations=28, pages=len(pages))

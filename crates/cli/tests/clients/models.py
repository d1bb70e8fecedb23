"""fhir.resources judges what a node serves: models.py BASE EXAMPLES, with a token in ITHACA_TOKEN.

EXAMPLES is a folder of resources. Each is posted, read back and parsed; then what a server makes by itself:
Bundles, outcomes, the statement. The models are of R4B (4.3.0), the release of them nearest to R4: of the
types that R4B lacks or has otherwise, the lines say so.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

BASE, EXAMPLES = sys.argv[1], Path(sys.argv[2])
TOKEN = os.environ["ITHACA_TOKEN"]


def call(method, path, body=None, media="application/fhir+json", **headers):
    """Status and JSON, if there is any."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        BASE + path,
        method=method,
        data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": media, **names},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def judge(document):
    """Why the model does not take a document, or nothing."""
    try:
        model = get_fhir_model_class(document["resourceType"])
    except ValueError:
        return "no such type"
    try:
        understood = model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        return f"{where}: {first['msg']}"
    if shape(json.loads(understood.model_dump_json())) != shape(document):
        return "it has what the model lacks"
    return None


def shape(value):
    """Names and lengths of a document. The model writes times and decimals in its own way."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return None


def same(found, sent):
    """Whether a resource is what was sent, but for what is the server's."""
    drop = ("id", "meta")
    return {k: v for k, v in found.items() if k not in drop} == {k: v for k, v in sent.items() if k not in drop}


def taken(document, what):
    why = judge(document)
    assert why is None, f"{what}: {why}: {json.dumps(document)[:2000]}"


# The patients that the examples are about.
sources = {path.name: path.read_bytes() for path in sorted(EXAMPLES.glob("*.json"))}
for patient in sorted({name for text in sources.values() for name in re.findall(rb'"Patient/([A-Za-z0-9.-]{1,64})"', text)}):
    resource = {"resourceType": "Patient", "id": patient.decode(), "active": True}
    status, answer = call("PUT", f"/Patient/{patient.decode()}", resource)
    assert status in (200, 201), (patient, answer)

types, refused, misread, kinds = set(), [], [], {}
for name, text in sources.items():
    sent = json.loads(text)
    kind = sent["resourceType"]
    kinds.setdefault(kind, 0)
    status, answer = call("POST", f"/{kind}", text)
    assert status in (201, 400, 403, 409, 422), (name, status, answer)
    if status != 201:
        taken(answer, f"the refusal of {name}")
        issue = answer["issue"][0]
        refused.append(f"refused {name}: {status} {issue.get('expression', [''])[0]} {issue['diagnostics']}")
        continue
    kinds[kind] += 1
    status, found = call("GET", f"/{kind}/{answer['id']}")
    assert status == 200, (name, status, found)
    assert same(found, sent), f"{name} came back otherwise"
    if (why := judge(found)) is not None:
        # What was sent is judged too: it is the node's fault only where that was taken.
        assert judge(sent) is not None, f"{name}: {why}"
        misread.append(f"R4B {kind}: {why}")
for line in refused + sorted(set(misread)):
    print(" ".join(line.split()))
without = sorted(kind for kind, count in kinds.items() if not count)
print(f"without: {' '.join(without)}")
print(f"examples: {len(sources)} of {len(kinds)} types, {sum(kinds.values())} read back as they were")

# What a server makes by itself.
status, statement = call("GET", "/metadata")
taken(statement, "the statement")
served = {one["type"] for one in statement["rest"][0]["resource"]}
assert set(kinds) <= served, set(kinds) - served
bundles = 0
for path in [
    "/Observation?_count=7",
    "/Observation?_include=Observation:patient&_count=50&unheard-of=1",
    "/Patient?_revinclude=Observation:patient&_summary=true",
    "/Condition?_elements=code&_total=accurate",
    "/Patient?_id=nobody",
    "/Patient/example/$everything?_count=40",
    "/Patient/example/_history",
    "/Observation/_history?_count=20",
    "/Patient/example/Observation",
]:
    status, found = call("GET", path)
    assert status == 200, (path, status, found)
    # An example that the models do not take is not the Bundle's fault.
    for entry in found.get("entry", []):
        if "resource" in entry and judge(entry["resource"]) is not None:
            entry["resource"] = {"resourceType": "Basic", "code": {"text": "left out"}}
    taken(found, path)
    bundles += 1
patient = {"resourceType": "Patient", "active": True}
entry = {"fullUrl": "urn:uuid:6d9a0f5e-0000-4000-8000-000000000001", "resource": patient}
entries = [
    {**entry, "request": {"method": "POST", "url": "Patient"}},
    {"request": {"method": "DELETE", "url": "Patient/nobody-at-all"}},
    {"request": {"method": "GET", "url": "Patient?_count=2"}},
    {"request": {"method": "GET", "url": "Patient/nobody-at-all"}},
]
for kind in ("transaction", "batch"):
    for prefer in ("minimal", "representation", "OperationOutcome"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
        status, answer = call("POST", "", bundle, Prefer=f"return={prefer}")
        assert status == 200, (kind, status, answer)
        assert answer["type"] == f"{kind}-response"
        assert len(answer["entry"]) == len(entries)
        taken(answer, f"a {kind}'s answer")
        bundles += 1
outcomes = 0
for method, path, body, expected in [
    ("GET", "/Patient/nobody", None, 404),
    ("GET", "/Unheard", None, 404),
    ("GET", "/Patient?name:unheard=1", None, 400),
    ("POST", "/Patient", b"{", 422),
    ("POST", "/Observation", {"resourceType": "Observation"}, 422),
    ("POST", "/Observation", {"resourceType": "Patient"}, 422),
    ("PUT", "/Patient/1", {"resourceType": "Patient", "id": "2"}, 422),
    ("PATCH", "/Patient/example", b"[]", 415),
    ("POST", "/Observation/$validate", {"resourceType": "Observation", "status": "final"}, 200),
    ("POST", "", {"resourceType": "Bundle", "type": "collection"}, 422),
    ("DELETE", "/Patient", None, 400),
]:
    status, answer = call(method, path, body)
    assert status == expected, (method, path, status, answer)
    assert answer["resourceType"] == "OperationOutcome"
    taken(answer, path)
    outcomes += 1
print(f"served: 1 statement, {bundles} bundles, {outcomes} outcomes")

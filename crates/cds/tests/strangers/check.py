"""CDS Hooks as HealthChain models it, and FHIR as fhir.resources does.

    check.py judge FOLDER...   judges services.json and each response-*.json of each folder
    check.py ask FOLDER...     writes what a client sends: requests with the prefetch of prefetch.json and the
                               draft orders of orders.json, and a feedback

Prints one line for each folder.
"""

import json
import sys
from pathlib import Path

from fhir.resources.R4B.servicerequest import ServiceRequest
from healthchain.models import CDSFeedback, CDSRequest, CDSResponse, CDSServiceInformation
from healthchain.models.hooks import OrderSignContext, PatientViewContext
from pydantic import ValidationError


class Refused(Exception):
    pass


def validated(model, document, name):
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise Refused(f"{name}: {where}: {first['msg']}") from None


def read(model, path):
    """A document as the model understands it, which must be all of it."""
    document = json.loads(path.read_text())
    # The specification lets a suggestion leave out isRecommended; the model wants its name to be there.
    completed = json.loads(path.read_text())
    for card in completed.get("cards", []):
        for suggestion in card.get("suggestions", []):
            suggestion.setdefault("isRecommended", None)
    understood = validated(model, completed, path.stem)
    if understood.model_dump(mode="json", exclude_none=True) != document:
        raise Refused(f"{path.stem}: it lacks what the model has, or has what the model lacks")
    return understood


def judge(folder):
    services = read(CDSServiceInformation, folder / "services.json").services
    responses = sorted(folder.glob("response-*.json"))
    cards = [(path.stem, card) for path in responses for card in read(CDSResponse, path).cards]
    orders = 0
    for name, card in cards:
        for suggestion in card.suggestions or []:
            for action in suggestion.actions:
                validated(ServiceRequest, action.resource, f"{name}: ServiceRequest")
                orders += 1
    return f"{len(services)} services, {len(cards)} cards, {orders} orders"


def ask(folder):
    prefetch = json.loads((folder / "prefetch.json").read_text())
    patient = prefetch["patient"]["id"]
    contexts = {
        "patient-view": PatientViewContext(userId="Practitioner/123", patientId=patient),
        "order-sign": OrderSignContext(
            patientId=patient, draftOrders=json.loads((folder / "orders.json").read_text())
        ),
    }
    for hook, context in contexts.items():
        request = CDSRequest(
            hook=hook,
            context=context,
            fhirServer="https://ehr.example/fhir",
            fhirAuthorization={
                "access_token": "some-opaque-token",
                "expires_in": 300,
                "scope": "user/Patient.read user/Observation.read",
                "subject": "cds-service",
            },
            prefetch=prefetch,
        )
        text = request.model_dump_json(serialize_as_any=True)
        (folder / f"request-{hook}.json").write_text(text)
    outcome = CDSFeedback(
        card="9368d37b-283f-44a0-93ea-547cebab93ed",
        outcome="overridden",
        outcomeTimestamp="2026-11-22T10:05:31Z",
    )
    feedback = {"feedback": [json.loads(outcome.model_dump_json())]}
    (folder / "feedback.json").write_text(json.dumps(feedback))
    return "asked"


for folder in sys.argv[2:]:
    try:
        print({"judge": judge, "ask": ask}[sys.argv[1]](Path(folder)))
    except Refused as refused:
        print(f"REFUSED {refused}")

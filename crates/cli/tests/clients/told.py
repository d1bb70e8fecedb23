"""What all clients write, and how they say what they did."""

MRN = "http://example.org/mrn"


def patient(name):
    """A patient whom nobody else writes."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": MRN, "value": name}],
        "active": True,
        "name": [{"use": "official", "family": "Zażółć-Ørsted", "given": ["Jane", "J."]}],
        "gender": "female",
        "birthDate": "2019-03-04",
    }


def observation(patient_id, number):
    """One of many: heart rates and temperatures in turn, a day after the other."""
    code, unit = (("8867-4", "/min"), ("8310-5", "Cel"))[number % 2]
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": f"2024-03-{number + 1:02}T08:00:00Z",
        "valueQuantity": {
            "value": 36.5 + number,
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def same(found, written):
    """A resource is what was written, but for what a server adds."""
    found = {name: value for name, value in found.items() if name not in ("id", "meta")}
    written = {name: value for name, value in written.items() if name not in ("id", "meta")}
    assert found == written, f"{found} is not {written}"


def told(client, **done):
    """The one line that the test reads."""
    print(f"{client}: " + ", ".join(f"{count} {what}" for what, count in done.items()))

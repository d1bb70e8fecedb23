"""FHIR as fhir.resources models it.

    check.py FOLDER     judges each document of the folder

Prints one line for each document: taken, or why not.
"""

import json
import sys
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError


def judge(path):
    """A document as the model understands it, which must be all of it."""
    document = json.loads(path.read_text())
    model = get_fhir_model_class(document["resourceType"])
    try:
        understood = model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        return f"REFUSED {where}: {first['msg']}"
    if sizes(json.loads(understood.model_dump_json())) != sizes(document):
        return "REFUSED it has what the model lacks"
    return "taken"


def sizes(value):
    """The shape of a document: names and lengths. The model writes times and decimals in its own way."""
    if isinstance(value, dict):
        return {name: sizes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [sizes(inner) for inner in value]
    return None


for path in sorted(Path(sys.argv[1]).glob("*.json")):
    print(f"{path.stem}: {' '.join(judge(path).split())}")

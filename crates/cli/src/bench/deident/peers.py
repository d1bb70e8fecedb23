"""What `ithaca bench deident` and the tests of crates/deident ask of other tools that are in Python.

fhir-diet DIR IN OUT        FHIR-Diet, a checkout of it, with its Safe Harbor rules
deidentify-fhir DIR IN OUT  josephbartlett's deidentify-fhir, a checkout of it, in its Safe Harbor mode

IN has one FHIR resource a line; OUT gets what came of each, `null` where the tool stopped with an error. Prints one JSON
object. One thread; each resource is read from JSON and written to JSON within its time, as ours is; start-up is not in
it. The tools' files are used as they are.
"""

import importlib
import json
import resource
import sys
import time

WARM_UP = 20


def fhir_diet(folder):
    sys.path.insert(0, f"{folder}/app")
    # Their module is cryptoHash.py and is imported in small letters: that works where file names have no case.
    try:
        importlib.import_module("actions.cryptohash")
    except ModuleNotFoundError:
        sys.modules["actions.cryptohash"] = importlib.import_module("actions.cryptoHash")
    config, processor = importlib.import_module("config"), importlib.import_module("processor")
    settings = config.Settings(f"{folder}/app/test/config/safe_harbor_redact.yaml")
    return lambda document: processor.process_data(document, settings)


def deidentify_fhir(folder):
    sys.path.insert(0, folder)
    tool = importlib.import_module("deidentify_fhir")
    return lambda document: tool.deidentify_resource(document, "bench", None, safe_harbor=True)


def through(tool, line):
    """What comes of a resource, and the error that it stopped with."""
    try:
        return json.dumps(tool(json.loads(line))), None
    except Exception as error:  # the tool's, whichever it is
        return "null", type(error).__name__


def run(tool, source, target):
    with open(source, encoding="utf-8", newline="\n") as file:
        lines = list(file)
    for line in lines[:WARM_UP]:
        through(tool, line)
    millis, errors, made = [], {}, []
    cpu, wall = time.process_time(), time.perf_counter()
    for line in lines:
        start = time.perf_counter()
        out, error = through(tool, line)
        millis.append((time.perf_counter() - start) * 1e3)
        made.append(out)
        if error:
            errors[error] = errors.get(error, 0) + 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    with open(target, "w", encoding="utf-8") as file:
        file.writelines(f"{out}\n" for out in made)
    return {"millis": millis, "errors": errors, "cpu_s": cpu, "wall_s": wall}


name, folder, source, target = sys.argv[1:]
answer = run({"fhir-diet": fhir_diet, "deidentify-fhir": deidentify_fhir}[name](folder), source, target)
answer["rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(answer))

# smart-fetch of PyPI (SMART's own bulk client) against a node: bulk_client.py BASE DATA GROUP. It proves itself by its
# key (SMART Backend Services), exports everything, all patients and a Group, and prints what it downloaded as JSON:
# {level: {type: [resource, ...]}}.

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import cumulus_fhir_support as cfs
import rich
from jwcrypto import jwk
from smart_fetch import bulk_utils, lifecycle

BASE, DATA, GROUP = sys.argv[1:]
TYPES = {"Patient", "Observation", "Condition", "Group", "Organization"}
# Its own words go where errors go.
rich.reconfigure(stderr=True)


def register(folder, name, generate):
    """Registers a client with a key of its own; the key set as smart-fetch reads it."""
    pair = jwk.JWK.generate(kid=f"{name}-1", use="sig", **generate)
    public = folder / "public.json"
    public.write_text(json.dumps({"keys": [pair.export_public(as_dict=True)]}))
    scopes = " ".join(f"system/{kind}.rs" for kind in sorted(TYPES))
    subprocess.run(
        [os.environ["ITHACA"], "client", "add", name, "--data", DATA, "--name", "Registry", "--kind", "keys"]
        + ["--jwks", public, "--service", "registry", "--service-role", "researcher", "--scopes", scopes],
        check=True,
        stdout=sys.stderr,
    )
    return {"keys": [{**pair.export_private(as_dict=True), "key_ops": ["sign"]}]}


async def export(client, url, folder):
    folder.mkdir()
    metadata = lifecycle.OutputMetadata(str(folder))
    await bulk_utils.BulkExporter(client, TYPES, url, str(folder), metadata=metadata).export()
    # It was ended there, too.
    assert metadata.get_bulk_status_url() is None
    log = [json.loads(line) for line in (folder / "log.ndjson").read_text().splitlines()]
    assert log[-1]["eventId"] == "export_complete", log
    found = {}
    for path in sorted(folder.glob("*.ndjson")):
        if path.name == "log.ndjson":
            continue
        with path.open(encoding="utf-8", newline="\n") as lines:
            found.setdefault(path.name.split(".")[0], []).extend(map(json.loads, lines))
    return found


async def main(folder):
    keys = {
        "registry-es": register(folder, "registry-es", {"kty": "EC", "crv": "P-384", "alg": "ES384"}),
        "registry-rs": register(folder, "registry-rs", {"kty": "RSA", "size": 2048, "alg": "RS384"}),
    }
    found = {}
    levels = {"system": BASE, "patients": f"{BASE}/Patient", "group": f"{BASE}/Group/{GROUP}"}
    for name, key in keys.items():
        async with cfs.FhirClient(BASE, TYPES, smart_client_id=name, smart_jwks=key) as client:
            for level, url in levels.items():
                told = await export(client, url, folder / f"{name}-{level}")
                # Whichever way it proves itself.
                assert found.setdefault(level, told) == told
    print(json.dumps(found))


with tempfile.TemporaryDirectory() as temporary:
    asyncio.run(main(pathlib.Path(temporary)))

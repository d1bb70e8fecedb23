"""What `ithaca bench privacy` asks of anjana and pycanon; one JSON object a call.

anjana FOLDER OUT K PERCENT COLUMN...   anonymises FOLDER/adult.csv and writes OUT
pycanon FILE SENSITIVE COLUMN...        measures a file
"""

import csv
import json
import resource
import sys
import time
from importlib.metadata import version

import pandas as pd


def anjana(folder, out, k, percent, *columns):
    from anjana.anonymity import k_anonymity

    data = pd.read_csv(f"{folder}/adult.csv", sep=";", dtype=str)
    hierarchies = {}
    for column in columns:
        with open(f"{folder}/adult_hierarchy_{column}.csv", newline="") as lines:
            rows = [row for row in csv.reader(lines, delimiter=";") if row]
        hierarchies[column] = {level: list(of) for level, of in enumerate(zip(*rows))}
    wall, cpu = time.perf_counter(), time.process_time()
    made = k_anonymity(data, [], list(columns), int(k), float(percent), hierarchies)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    made = made[[name for name in data.columns if name in made.columns]]
    made.to_csv(out, sep=";", index=False)
    return {"rows": len(made), "wall_s": wall, "cpu_s": cpu}


def pycanon(path, sensitive, *columns):
    from pycanon import anonymity

    data, columns = pd.read_csv(path, sep=";", dtype=str), list(columns)
    return {
        "k": int(anonymity.k_anonymity(data, columns)),
        "l": int(anonymity.l_diversity(data, columns, [sensitive])),
        "t": float(anonymity.t_closeness(data, columns, [sensitive])),
    }


answer = {"anjana": anjana, "pycanon": pycanon}[sys.argv[1]](*sys.argv[2:])
answer["version"] = version(sys.argv[1])
answer["rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(answer))

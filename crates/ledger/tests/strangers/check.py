"""Checks a folder in the C2SP tlog-tiles layout with pymerkle.

The folder also holds `checkpoint.old`, an older checkpoint, and `proofs.json`: proofs that the log's own
code made. Exits with 0 and `holds ...`, or with 1 and `REFUSED ...`.
"""

import base64
import json
import pathlib
import sys

from pymerkle import ConsistencyProof, InclusionProof, InmemoryTree, InvalidProof
from pymerkle import verify_consistency, verify_inclusion

WIDTH = 256


class Refused(Exception):
    pass


def check(holds, what):
    if not holds:
        raise Refused(what)


def checkpoint(path):
    text = path.read_bytes().split(b"\n\n")[0].decode()
    _, size, root = text.split("\n")
    return int(size), base64.b64decode(root, validate=True)


def numbered(index):
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03}")
    return "/".join(groups)


def resources(prefix, count):
    """Path and width of each tile or bundle of `count` hashes."""
    for index in range(count // WIDTH):
        yield f"{prefix}/{numbered(index)}", WIDTH
    if count % WIDTH:
        yield f"{prefix}/{numbered(count // WIDTH)}.p/{count % WIDTH}", count % WIDTH


def entries(folder, size):
    for path, width in resources("tile/entries", size):
        bundle = (folder / path).read_bytes()
        for _ in range(width):
            length = int.from_bytes(bundle[:2], "big")
            check(len(bundle) >= 2 + length, f"bundle {path} is cut short")
            yield bundle[2 : 2 + length]
            bundle = bundle[2 + length :]
        check(not bundle, f"bundle {path} is too long")


def hashes(folder, level, count):
    for path, width in resources(f"tile/{level}", count):
        tile = (folder / path).read_bytes()
        check(len(tile) == 32 * width, f"tile {path} has the wrong length")
        for at in range(0, len(tile), 32):
            yield tile[at : at + 32]


def tiles(folder, leaves, size):
    """Recomputes every tile from the leaves, level by level."""
    level, below = 0, leaves
    while below:
        check(list(hashes(folder, level, len(below))) == below, f"a tile of level {level} is not of these entries")
        roots = []
        for first in range(0, len(below) - WIDTH + 1, WIDTH):
            # The pairs of a complete subtree, hashed by pymerkle.
            row = below[first : first + WIDTH]
            while len(row) > 1:
                row = [TREE.hash_pair(row[at], row[at + 1]) for at in range(0, len(row), 2)]
            roots.append(row[0])
        level, below = level + 1, roots
    check(level >= 2, "too few levels to be worth a test")


def main(folder):
    size, root = checkpoint(folder / "checkpoint")
    old_size, old_root = checkpoint(folder / "checkpoint.old")
    check(0 < old_size < size, "the old checkpoint is not older")

    TREE.append_entries(entries(folder, size))
    check(TREE.get_size() == size, "the entries are not as many as the checkpoint says")
    check(TREE.get_root() == root, "the root over the entries is not the checkpoint's")
    check(TREE.get_root(old_size) == old_root, "the root over the first entries is not the old checkpoint's")
    leaves = [TREE.get_leaf(number) for number in range(1, size + 1)]
    tiles(folder, leaves, size)

    # What the log's own code proves, under pymerkle's rules for where each hash goes.
    proofs = json.loads((folder / "proofs.json").read_text())
    for proof in proofs["inclusion"]:
        number = proof["index"] + 1
        path = [leaves[number - 1]] + [bytes.fromhex(digest) for digest in proof["path"]]
        rule = TREE.prove_inclusion(number).rule
        made = InclusionProof("sha256", True, size, number, rule, path)
        verify_inclusion(leaves[number - 1], root, made, index=number, size=size, algorithm="sha256")
    check(len(proofs["inclusion"]) >= 5, "too few proofs to be worth a test")

    # From an odd size on, pymerkle's path is that of RFC 6962 with the first two hashes swapped.
    check(old_size % 2 == 1, "the old checkpoint has an even size")
    theirs = TREE.prove_consistency(old_size)
    ours = [bytes.fromhex(digest) for digest in proofs["consistency"]]
    path = ours[1::-1] + ours[2:]
    made = ConsistencyProof("sha256", True, size, old_size, theirs.rule, theirs.subset, path)
    verify_consistency(old_root, root, made, prior_size=old_size, later_size=size, algorithm="sha256")
    print(f"holds {size} leaves, {len(proofs['inclusion'])} inclusions, consistent with {old_size}")


TREE = InmemoryTree("sha256")
try:
    main(pathlib.Path(sys.argv[1]))
except (Refused, InvalidProof) as refused:
    print(f"REFUSED {refused}")
    sys.exit(1)

"""Reads a state file as strictly as the exporter does."""

import hashlib
import json


def read(path):
    """The first line, and the targets by name. Raises ValueError for a torn file."""
    head, _, lines = path.read_bytes().partition(b"\n")
    head = json.loads(head)
    if hashlib.sha256(lines).hexdigest() != head["sha256"]:
        raise ValueError("its checksum does not fit what it holds")
    targets = [json.loads(line) for line in lines.splitlines()]
    if len(targets) != head["targets"]:
        raise ValueError(f"it has {len(targets)} targets, its first line says {head['targets']}")
    return head, {target["name"]: target for target in targets}


def is_whole(path):
    try:
        read(path)
        return True
    except (OSError, ValueError, KeyError):
        return False

"""What was measured, one JSON file per measure, so that a long comparison can be done in pieces."""

import datetime
import json

from .workspace import ROOT, stop_with

DIRECTORY = ROOT / ".run" / "benchmarks"


def keep(name, table, machine):
    """`table` is a list of rounds, `machine` what `machine.describe` says."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    rounded = [
        {peer: {field: round(value, 4) for field, value in values.items()} for peer, values in measured.items()}
        for measured in table
    ]
    content = {"date": datetime.date.today().isoformat(), "machine": machine, "rounds": rounded}
    (DIRECTORY / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def kept(names):
    """Tables by name, of those that were measured; the dates; and the machine, which must be one and the same."""
    found = {name: json.loads(file.read_text()) for name in names if (file := DIRECTORY / f"{name}.json").exists()}
    if not found:
        stop_with("nothing was measured yet")
    machines = {part: None for content in found.values() for part in content["machine"]}
    for topic in {part.partition(":")[0] for part in machines}:
        variants = [part for part in machines if part.partition(":")[0] == topic]
        if len(variants) > 1:
            stop_with(f"results in {DIRECTORY} do not belong together: {'; '.join(variants)}. Remove it, measure again")
    dates = sorted({content["date"] for content in found.values()})
    return {name: content["rounds"] for name, content in found.items()}, dates, list(machines)

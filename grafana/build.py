#!/usr/bin/env python3
"""Writes the dashboards: python3 grafana/build.py, or with --check only says whether they are up to date.

The source is generator/, one file a dashboard; the JSON is made from it and never edited by hand. Two forms are written:

  import/      for Grafana's import page: asks which Prometheus to use (`__inputs`)
  dashboards/  for provisioning from files, which fills in no inputs: the data source is picked on the dashboard, and
               is the one with the uid `prometheus` on the status page, which must do without variables
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
from generator import exporter, overview, slo, status, target  # noqa: E402
from generator.dashboard import Form  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
BOARDS = {
    "uptime-overview": overview.build,
    "uptime-target": target.build,
    "uptime-status": status.build,
    "uptime-slo": slo.build,
    "uptime-exporter": exporter.build,
}


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    stale = []
    wanted = set()
    for form in Form:
        folder = HERE / form.value
        folder.mkdir(exist_ok=True)
        for name, build in BOARDS.items():
            path = folder / f"{name}.json"
            text = json.dumps(build().to_json(form), indent=2, ensure_ascii=False) + "\n"
            wanted.add(path)
            if path.exists() and path.read_text() == text:
                continue
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(text)
        stale += [path for path in folder.glob("*.json") if path not in wanted]
    names = ", ".join(str(path.relative_to(HERE)) for path in stale)
    if "--check" in sys.argv and stale:
        sys.exit(f"not up to date: {names}\nrun python3 grafana/build.py, and remove what no dashboard makes any more")
    print(f"{len(BOARDS)} dashboards in {len(Form)} forms: " + (f"wrote {names}" if stale else "up to date"))


if __name__ == "__main__":
    main()

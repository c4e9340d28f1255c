"""Sums a run up, and fails where an operation was left out or has never done its work.

    summary.py REPORT [DOCUMENT]

A check of what is refused or how a 404 looks passes for an operation that never gets further. So each must have
answered a valid request with a success once at least. With DOCUMENT it must be all of the document's operations.
"""

import json
import sys

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


def main(report, document=None):
    requests, findings, errors = 0, 0, 0
    succeeded = {}
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            errors += "NonFatalError" in event or "FatalError" in event
            recorder = event.get("ScenarioFinished", {}).get("recorder", {})
            if "cases" not in recorder:
                continue
            operation = recorder["label"]
            succeeded.setdefault(operation, False)
            requests += len(recorder["interactions"])
            for name, case in recorder["cases"].items():
                answer = (recorder["interactions"].get(name) or {}).get("response") or {}
                meta = case["value"].get("meta") or {}
                is_positive = meta.get("generation", {}).get("mode") == "positive"
                if is_positive and 200 <= answer.get("status_code", 0) < 400:
                    succeeded[operation] = True
            for checks in recorder["checks"].values():
                findings += sum(check["status"] == "failure" for check in checks)
    if document:
        with open(document, encoding="utf-8") as file:
            paths = json.load(file)["paths"]
        for path, item in paths.items():
            for method in METHODS:
                if method in item:
                    succeeded.setdefault(f"{method.upper()} {path}", False)
    print(f"{len(succeeded)} operations, {requests} requests, {findings} findings, {errors} errors")
    never = sorted(operation for operation, once in succeeded.items() if not once)
    for operation in never:
        print(f"never succeeded: {operation}")
    return 1 if never or findings or errors or not requests else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Checks the document by itself: it is OpenAPI 3.1, and every example is what its schema allows."""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate


def examples_in(node, at=""):
    """Each example with the schema that it stands beside, and where."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from examples_in(item, f"{at}/{index}")
        return
    if not isinstance(node, dict):
        return
    schema = node.get("schema")
    if isinstance(schema, dict):
        if "example" in node:
            yield at, node["example"], schema
        for name, example in (node.get("examples") or {}).items():
            yield f"{at}/examples/{name}", example["value"], schema
    for name, value in node.items():
        if name in ("example", "examples"):
            continue
        yield from examples_in(value, f"{at}/{name}")


def examples_of(schemas):
    """The examples that schemas have themselves."""
    for name, schema in schemas.items():
        own = [schema[key] for key in ("example",) if key in schema] + schema.get("examples", [])
        for example in own:
            yield f"schemas/{name}", example, schema


def main(path):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    validate(document)
    count, wrong = 0, 0
    for at, example, schema in [*examples_in(document), *examples_of(document["components"]["schemas"])]:
        count += 1
        # The schema with what it may refer to.
        whole = {**schema, "components": document["components"]}
        for error in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(example):
            wrong += 1
            print(f"{at}: {error.json_path}: {error.message}")
    print(f"{path}: OpenAPI {document['openapi']}, {count} examples checked, {wrong} of them wrong")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

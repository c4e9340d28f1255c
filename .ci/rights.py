"""What each role of template.yaml may do, spelled out for tests that know neither CloudFormation nor YAML."""

import json
import re
from pathlib import Path

RIGHTS = Path(__file__).resolve().parent.parent / "tests/testbed/src/rights/rights.json"
ROLES = ("Auth", "Management", "Messaging", "Webhooks", "Daemon")
# What stands in the rights for what only a deployment knows. Tests have a table, a bucket and queues of these names.
PLACE = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"}
NAMES = {"Table": "waxwing", "Bucket": "waxwing", "Network": "sandbox", "QueuePrefix": "waxwing"}


def arn(resources, name):
    """A resource's ARN in a deployment of the names above. What has no name of its own is called as in the template."""
    kind = resources[name]["Type"] if name in resources else "AWS::SecretsManager::Secret"
    of_account = lambda service, rest: f"arn:aws:{service}:{PLACE['AWS::Region']}:{PLACE['AWS::AccountId']}:{rest}"
    called = NAMES.get(name, name)
    match kind:
        case "AWS::DynamoDB::Table":
            return of_account("dynamodb", f"table/{called}")
        case "AWS::S3::Bucket":
            return f"arn:aws:s3:::{called}"
        case "AWS::KMS::Key":
            return of_account("kms", f"key/{called}")
        case "AWS::SQS::Queue":
            return of_account("sqs", resolved(resources, resources[name]["Properties"]["QueueName"]))
        case "AWS::Logs::LogGroup":
            return of_account("logs", f"log-group:{called}:*")
        case "AWS::SecretsManager::Secret":
            return of_account("secretsmanager", f"secret:{called}")
    raise ValueError(f"the ARN of a {kind}")


def resolved(resources, value):
    """A value of a policy as a deployment has it in which every condition holds; None for what is left out."""
    if not isinstance(value, dict):
        return value
    [(function, operand)] = value.items()
    match function:
        case "Fn::If":
            return resolved(resources, operand[1])
        case "Fn::GetAtt":
            return arn(resources, operand[0])
        case "Ref":
            return None if operand == "AWS::NoValue" else arn(resources, operand)
        case "Fn::Sub":
            named = lambda found: PLACE.get(found[1]) or (
                arn(resources, found[1][: -len(".Arn")]) if found[1].endswith(".Arn") else NAMES[found[1]]
            )
            return re.sub(r"\$\{([^}]+)\}", named, operand)
    raise ValueError(f"a policy with {function}")


def rights_of(resources, role, within):
    """What the policies of a role allow and deny, each statement with lists alone."""
    properties = resources[role]["Properties"]
    managed = [within(policy, "Ref") for policy in properties.get("ManagedPolicyArns", [])]
    names = [name for refs in managed for name in refs if name != "AWS::NoValue"]
    documents = [resources[name]["Properties"]["PolicyDocument"] for name in names]
    documents += [document for policy in properties.get("Policies", []) for document in within(policy, "PolicyDocument")]
    as_list = lambda value: value if isinstance(value, list) else [value]
    for document in documents:
        for statement in document["Statement"]:
            conditions = {
                operator: {key: [resolved(resources, one) for one in as_list(values)] for key, values in of_keys.items()}
                for operator, of_keys in statement.get("Condition", {}).items()
            }
            targets = [resolved(resources, target) for target in as_list(statement["Resource"])]
            yield {
                "effect": statement["Effect"],
                "actions": as_list(statement["Action"]),
                "resources": [target for target in targets if target],
                "conditions": conditions,
            }


def rights(resources, within):
    """The statements of each role."""
    return {role.lower(): list(rights_of(resources, f"{role}Role", within)) for role in ROLES}


def as_text(rights):
    """As JSON with a line for each statement."""
    roles = []
    for role, statements in rights.items():
        lines = ",\n".join(f"    {json.dumps(statement)}" for statement in statements)
        roles.append(f"  {json.dumps(role)}: [\n{lines}\n  ]")
    return "{\n" + ",\n".join(roles) + "\n}\n"

#!/usr/bin/env python3
"""Compares template.yaml with what localstack/init.sh made on the AWS stand-in, and checks what cfn-lint overlooks.

The stand-in's queues are compared with the code's own list by the test `deployed_queues`, so the three stay alike.
cfn-lint accepts any word for FifoThroughputLimit and any property of an HttpApi event.
"""

import json
import os
import sys

import botocore.session
from cfnlint.decode import cfn_yaml

EVENT_PROPERTIES = {"ApiId", "Auth", "Method", "Path", "PayloadFormatVersion", "RouteSettings", "TimeoutInMillis"}
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
NETWORK = os.environ.get("WAXWING_NETWORKS", "sandbox").split(",")[0]
PREFIX = os.environ.get("WAXWING_QUEUE_PREFIX", "waxwing")
TABLE = os.environ.get("WAXWING_TABLE", "waxwing")
BUCKET = os.environ.get("WAXWING_BUCKET", "waxwing")
# The stand-in's defaults and AWS's differ here, and neither is ours to choose.
NOT_COMPARED = {"QueueName", "SqsManagedSseEnabled"}

problems = []


def expect(what, actual, wanted):
    if actual != wanted:
        problems.append(f"{what}: {actual!r} in the template, {wanted!r} in the set-up")


def queues(resources, shards):
    """Each queue of the template under its full name, those of shards spelled out."""
    for key, resource in resources.items():
        if key.startswith("Fn::ForEach::"):
            variable, _, bodies = resource
            for shard in shards:
                for body in bodies.values():
                    name = body["Properties"]["QueueName"]["Fn::Sub"].replace("${" + variable + "}", shard)
                    yield name, body["Properties"]
        elif resource["Type"] == "AWS::SQS::Queue":
            yield resource["Properties"]["QueueName"]["Fn::Sub"], resource["Properties"]


def as_sqs_says(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_queues(template, session):
    sqs = session.create_client("sqs", endpoint_url=ENDPOINT)
    full = lambda name: name.replace("${QueuePrefix}", PREFIX).replace("${Network}", NETWORK)
    shards = template["Parameters"]["Shards"]["Default"].split(",")
    names = {}
    for key, resource in template["Resources"].items():
        if not key.startswith("Fn::ForEach::") and resource["Type"] == "AWS::SQS::Queue":
            names[key] = full(resource["Properties"]["QueueName"]["Fn::Sub"])
    found = set()
    for name, properties in queues(template["Resources"], shards):
        name = full(name)
        found.add(name)
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        made = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for attribute, value in properties.items():
            if attribute == "RedrivePolicy":
                policy = json.loads(made[attribute])
                target = names[value["deadLetterTargetArn"]["Fn::GetAtt"][0]]
                expect(f"{name} dead-letter queue", target, policy["deadLetterTargetArn"].rsplit(":", 1)[1])
                expect(f"{name} maxReceiveCount", value["maxReceiveCount"], int(policy["maxReceiveCount"]))
            elif attribute not in NOT_COMPARED:
                expect(f"{name} {attribute}", as_sqs_says(value), made.get(attribute))
    urls = sqs.list_queues(QueueNamePrefix=f"{PREFIX}-{NETWORK}-").get("QueueUrls", [])
    expect("queues", sorted(found), sorted(url.rsplit("/", 1)[1] for url in urls))
    return len(found)


def check_table(template, session):
    dynamodb = session.create_client("dynamodb", endpoint_url=ENDPOINT)
    properties = template["Resources"]["Table"]["Properties"]
    made = dynamodb.describe_table(TableName=TABLE)["Table"]
    by_name = lambda items: sorted(items, key=lambda item: item["AttributeName"])
    expect("table keys", properties["KeySchema"], made["KeySchema"])
    expect("table attributes", by_name(properties["AttributeDefinitions"]), by_name(made["AttributeDefinitions"]))
    wanted = [{key: index[key] for key in ("IndexName", "KeySchema", "Projection")} for index in made["GlobalSecondaryIndexes"]]
    expect("table indexes", properties["GlobalSecondaryIndexes"], wanted)
    expiry = dynamodb.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    expect("expiry attribute", properties["TimeToLiveSpecification"]["AttributeName"], expiry["AttributeName"])


def check_bucket(template, session):
    s3 = session.create_client("s3", endpoint_url=ENDPOINT)
    properties = template["Resources"]["Bucket"]["Properties"]
    wanted = {}
    for rule in properties["LifecycleConfiguration"]["Rules"]:
        wanted[rule["Id"]] = (
            rule.get("Prefix", ""),
            rule.get("ExpirationInDays"),
            rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        )
    made = {}
    for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]:
        made[rule["ID"]] = (
            rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")),
            rule.get("Expiration", {}).get("Days"),
            rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        )
    expect("bucket rules", wanted, made)


def check_events(template):
    for name, resource in template["Resources"].items():
        if name.startswith("Fn::ForEach::") or resource["Type"] != "AWS::Serverless::Function":
            continue
        for event_name, event in resource["Properties"].get("Events", {}).items():
            if event["Type"] != "HttpApi":
                continue
            unknown = set(event["Properties"]) - EVENT_PROPERTIES
            if unknown:
                problems.append(f"{name}.{event_name}: no such properties: {sorted(unknown)}")
            if ("Path" in event["Properties"]) != ("Method" in event["Properties"]):
                problems.append(f"{name}.{event_name}: Path and Method go together")


def main():
    template = cfn_yaml.load("template.yaml")
    session = botocore.session.get_session()
    count = check_queues(template, session)
    check_table(template, session)
    check_bucket(template, session)
    check_events(template)
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{count} queues, the table, the bucket and the API's routes checked, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

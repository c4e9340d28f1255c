#!/usr/bin/env python3
"""Deploys the functions of template.yaml on an AWS stand-in, behind its HTTP API and on its queues of events.

    localstack/deploy.py ID zips FOLDER     each as a zip of the binary of its name in FOLDER
    localstack/deploy.py ID at URL          each as what answers below URL, as `cargo lambda watch` does

ID is the HTTP API's: eight hexadecimal digits, which are in its address.

The template says what a function is called, which variables it has, which routes lead to it and which queues call it. Variables have
the values that they have in this process; those that are not set here are left out. The table, queues, bucket, key and secret must be
there: `localstack/init.sh` makes them.

Prints what it has deployed. Needs AWS_ENDPOINT_URL, and botocore and PyYAML, which ministack brings.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session
import yaml
from botocore.config import Config

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
# Who the functions are on a stand-in, which asks nobody for rights.
ROLE = "arn:aws:iam::000000000000:role/waxwing"
# While it builds a function, `cargo lambda watch` lets its caller wait: as many seconds as Lambda allows at most.
BUILD_TIMEOUT = 900


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the long ones: `!Ref Name` as `{"Ref": "Name"}`."""


def long_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", long_form)


def required(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"deploy.py: {name} is not set")
    return value


class Function:
    """A function of the template."""

    def __init__(self, template, resource):
        usual, own = template["Globals"]["Function"], resource["Properties"]
        of = lambda key: own.get(key, usual.get(key))
        self.name = resource["Metadata"]["BuildProperties"]["Binary"]
        self.runtime, self.handler = of("Runtime"), of("Handler")
        self.memory, self.timeout = of("MemorySize"), of("Timeout")
        names = {**usual["Environment"]["Variables"], **own.get("Environment", {}).get("Variables", {})}
        self.variables = {name: os.environ[name] for name in names if os.environ.get(name)}
        # Region and credentials are there already.
        self.variables["AWS_ENDPOINT_URL"] = required("AWS_ENDPOINT_URL")
        events = list(own.get("Events", {}).values())
        of_kind = lambda kind: [event["Properties"] for event in events if event["Type"] == kind]
        self.routes = [route(event) for event in of_kind("HttpApi")]
        self.queues = [(queue_name(template, event["Queue"]), event) for event in of_kind("SQS")]


def route(event):
    """The key of a route; without a path an event is of every request that no other takes."""
    return f"{event['Method']} {event['Path']}" if "Path" in event else "$default"


def queue_name(template, queue):
    """The name of the queue that an event names by its ARN."""
    resource = template["Resources"][queue["Fn::GetAtt"][0]]
    name = resource["Properties"]["QueueName"]["Fn::Sub"]
    names = {"QueuePrefix": required("WAXWING_QUEUE_PREFIX"), "Network": required("WAXWING_NETWORKS")}
    for parameter, value in names.items():
        name = name.replace("${" + parameter + "}", value)
    return name


def zipped(binary):
    """A zip with the binary as Lambda wants it. What only a debugger reads is left out: it is most of a debug build."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bootstrap"
        strip = shutil.which("strip")
        if strip is None or subprocess.run([strip, "-S", "-o", bare, binary], check=False).returncode != 0:
            bare = binary
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr(entry, bare.read_bytes(), compresslevel=1)
    return code.getvalue()


def code_in(folder):
    def code(function):
        binary = Path(folder) / function.name
        if not binary.is_file():
            sys.exit(f"deploy.py: {binary} is not there: build the functions first")
        return zipped(binary), function.timeout, function.variables

    return code


def code_at(url):
    """ministack hands events on to this address, and runs nothing itself. The zip is a formality."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\nexit 1\n")

    def proxied(function):
        there = f"{url.rstrip('/')}/2015-03-31/functions/{function.name}/invocations"
        return code.getvalue(), BUILD_TIMEOUT, {**function.variables, "MINISTACK_LAMBDA_PROXY_URL": there}

    return proxied


def deploy(session, function, api, code):
    client = lambda service: session.create_client(
        service, config=Config(connect_timeout=5, read_timeout=120, retries={"max_attempts": 0})
    )
    aws_lambda, gateway, sqs = client("lambda"), client("apigatewayv2"), client("sqs")
    zip_file, timeout, variables = code(function)
    arn = aws_lambda.create_function(
        FunctionName=function.name, Runtime=function.runtime, Handler=function.handler, Role=ROLE,
        Code={"ZipFile": zip_file}, Timeout=timeout, MemorySize=function.memory,
        Environment={"Variables": variables},
    )["FunctionArn"]
    if function.routes:
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        for key in function.routes:
            gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration}")
    for name, event in function.queues:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws_lambda.create_event_source_mapping(
            EventSourceArn=queue, FunctionName=function.name, BatchSize=event["BatchSize"],
            FunctionResponseTypes=event["FunctionResponseTypes"],
        )


def main():
    match sys.argv[1:]:
        case [api, "zips", folder]:
            code = code_in(folder)
        case [api, "at", url]:
            code = code_at(url)
        case _:
            sys.exit("deploy.py: say `ID zips FOLDER` or `ID at URL`")
    template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader)  # noqa: S506: a SafeLoader
    functions = [
        Function(template, resource)
        for resource in template["Resources"].values()
        if isinstance(resource, dict) and resource["Type"] == "AWS::Serverless::Function"
    ]
    session = botocore.session.get_session()
    gateway = session.create_client("apigatewayv2")
    gateway.create_api(Name="waxwing", ProtocolType="HTTP", Tags={"ms-custom-id": api})
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    with ThreadPoolExecutor() as several:
        list(several.map(lambda function: deploy(session, function, api, code), functions))
    print(f"functions {', '.join(function.name for function in functions)} behind the HTTP API {api}")


if __name__ == "__main__":
    main()

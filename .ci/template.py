#!/usr/bin/env python3
"""Checks of template.yaml what cfn-lint overlooks, and compares it with what localstack/init.sh made on the AWS stand-in.

Without AWS_ENDPOINT_URL there is no stand-in, and nothing is compared. The stand-in's queues are compared with the code's own
list by the test `deployed_queues`, so the three stay alike. cfn-lint accepts any word for FifoThroughputLimit and any property
of an HttpApi event.

What each role may do is written out in RIGHTS, for the tests that compare it with what functions and daemon do. With `--rights` it
is written anew.
"""

import json
import os
import re
import sys
from pathlib import Path

from cfnlint.decode import cfn_yaml
from rights import RIGHTS, as_text, rights

ROOT = Path(__file__).resolve().parent.parent
EVENT_PROPERTIES = {"ApiId", "Auth", "Method", "Path", "PayloadFormatVersion", "RouteSettings", "TimeoutInMillis"}
ENDPOINT = os.environ.get("AWS_ENDPOINT_URL")
NETWORK = os.environ.get("WAXWING_NETWORKS", "sandbox").split(",")[0]
PREFIX = os.environ.get("WAXWING_QUEUE_PREFIX", "waxwing")
TABLE = os.environ.get("WAXWING_TABLE", "waxwing")
BUCKET = os.environ.get("WAXWING_BUCKET", "waxwing")
# The stand-in's defaults and AWS's differ here, and neither is ours to choose.
NOT_COMPARED = {"QueueName", "SqsManagedSseEnabled"}

FUNCTION, QUEUE, ALARM, LOGS, SERVICE = (
    f"AWS::{name}" for name in ("Serverless::Function", "SQS::Queue", "CloudWatch::Alarm", "Logs::LogGroup", "ECS::Service")
)
# What joins a target group to a load balancer.
FORWARDERS = {f"AWS::ElasticLoadBalancingV2::{name}" for name in ("Listener", "ListenerRule")}
# Who reads the variables that a file of shared/src/config/ names.
READERS = {
    "bucket.rs": {"functions", "daemon"},
    "daemon.rs": {"daemon"},
    "feed.rs": {"functions"},
    "functions.rs": {"functions"},
    "mail.rs": {"functions"},
    "mod.rs": {"functions", "daemon"},
    "secret.rs": {"functions", "daemon"},
    "traces.rs": {"functions", "daemon"},
}
# What the template gives to nobody, or not to all who could read it, and why.
NOT_GIVEN = {
    ("WAXWING_JWT_SECRET", "functions"): "it is in Secrets Manager",
    ("WAXWING_JWT_SECRET", "daemon"): "it is in Secrets Manager",
    ("WAXWING_KEY_FILE", "functions"): "a KMS key wraps",
    ("WAXWING_KEY_FILE", "daemon"): "a KMS key wraps",
    ("WAXWING_FAULT", "functions"): "for builds with `fault-hooks`, which are tests' alone",
    ("WAXWING_FAULT", "daemon"): "for builds with `fault-hooks`, which are tests' alone",
    ("WAXWING_FAULT_ONCE", "functions"): "for builds with `fault-hooks`, which are tests' alone",
    ("WAXWING_FAULT_ONCE", "daemon"): "for builds with `fault-hooks`, which are tests' alone",
    ("WAXWING_TRUSTED_PROXIES", "functions"): "API Gateway says who calls; they have no listener",
    ("OTEL_SERVICE_NAME", "functions"): "each has a name of its own",
    ("OTEL_SERVICE_NAME", "daemon"): "it has a name of its own",
    ("WAXWING_PUBLIC_URL", "daemon"): "it makes no links to a bucket in S3",
    ("WAXWING_CLOCK", "daemon"): "a clock that is wrong is corrected",
}
# What an allowed action may do to the table; each of them names its keys.
OF_TABLE = {
    f"dynamodb:{action}"
    for action in (
        "GetItem BatchGetItem Query ConditionCheckItem PutItem UpdateItem DeleteItem BatchWriteItem".split()
    )
}
# Actions that are allowed of every resource, by the kind of resource that allows them, each with its reason beside it in the
# template.
OF_ALL_RESOURCES = {"AWS::IAM::Role": {"ecr:GetAuthorizationToken"}, "AWS::KMS::Key": {"kms:*"}}
# The metric by which daemons are scaled, as they print it. Each prints one value a minute, so the average of the values is that of a
# daemon. The dimensions must be those that daemons print and no others, or CloudWatch has no such metric.
SESSIONS = {
    "Namespace": "Waxwing",
    "MetricName": "waxwing_sessions_held",
    "Dimensions": [{"Name": "prefix", "Value": {"Ref": "QueuePrefix"}}, {"Name": "network", "Value": {"Ref": "Network"}}],
    "Statistic": "Average",
}
# Actions that a service checks against several kinds of resources for one call: the right to one kind alone is none.
OF_SEVERAL_KINDS = {"ses:SendEmail": {"identity", "configuration-set"}}

problems = []


def expect(what, actual, wanted):
    if actual != wanted:
        problems.append(f"{what}: {actual!r} in the template, {wanted!r} in the set-up")


def replaced(value, name, by):
    """The same with `${name}` replaced, in keys too."""
    if isinstance(value, str):
        return value.replace("${" + name + "}", by)
    if isinstance(value, list):
        return [replaced(one, name, by) for one in value]
    if isinstance(value, dict):
        return {replaced(key, name, by): replaced(one, name, by) for key, one in value.items()}
    return value


def expanded(template):
    """The template's resources by their names, those of loops spelled out for the default parameters."""
    resources = {}
    for key, resource in template["Resources"].items():
        if not key.startswith("Fn::ForEach::"):
            resources[key] = resource
            continue
        variable, values, body = resource
        if isinstance(values, dict):
            values = template["Parameters"][values["Ref"]]["Default"].split(",")
        for value in values:
            resources.update(replaced(body, variable, value))
    return resources


def of_type(resources, kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def within(value, key):
    """Everything under this key, however deep."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == key:
                yield one
            yield from within(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from within(one, key)


def as_sqs_says(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_queues(resources, session):
    sqs = session.create_client("sqs", endpoint_url=ENDPOINT)
    full = lambda name: name.replace("${QueuePrefix}", PREFIX).replace("${Network}", NETWORK)
    queues = of_type(resources, QUEUE)
    names = {key: full(properties["QueueName"]["Fn::Sub"]) for key, properties in queues.items()}
    for key, properties in queues.items():
        name = names[key]
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
    expect("queues", sorted(names.values()), sorted(url.rsplit("/", 1)[1] for url in urls))


def check_table(resources, session):
    dynamodb = session.create_client("dynamodb", endpoint_url=ENDPOINT)
    properties = resources["Table"]["Properties"]
    made = dynamodb.describe_table(TableName=TABLE)["Table"]
    by_name = lambda items: sorted(items, key=lambda item: item["AttributeName"])
    expect("table keys", properties["KeySchema"], made["KeySchema"])
    expect("table attributes", by_name(properties["AttributeDefinitions"]), by_name(made["AttributeDefinitions"]))
    wanted = [{key: index[key] for key in ("IndexName", "KeySchema", "Projection")} for index in made["GlobalSecondaryIndexes"]]
    expect("table indexes", properties["GlobalSecondaryIndexes"], wanted)
    expiry = dynamodb.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    expect("expiry attribute", properties["TimeToLiveSpecification"]["AttributeName"], expiry["AttributeName"])


def check_bucket(resources, session):
    s3 = session.create_client("s3", endpoint_url=ENDPOINT)
    properties = resources["Bucket"]["Properties"]
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


def check_events(resources):
    for name, function in of_type(resources, FUNCTION).items():
        for event_name, event in function.get("Events", {}).items():
            if event["Type"] != "HttpApi":
                continue
            unknown = set(event["Properties"]) - EVENT_PROPERTIES
            if unknown:
                problems.append(f"{name}.{event_name}: no such properties: {sorted(unknown)}")
            if ("Path" in event["Properties"]) != ("Method" in event["Properties"]):
                problems.append(f"{name}.{event_name}: Path and Method go together")


def check_environment(template, resources):
    """Each variable that a program reads is given to it, by a parameter or as the template has it."""
    all_functions = template["Globals"]["Function"]["Environment"]["Variables"]
    container = resources["DaemonTask"]["Properties"]["ContainerDefinitions"][0]
    given = {"functions": set(all_functions), "daemon": set()}
    for function in of_type(resources, FUNCTION).values():
        given["functions"] |= set(function["Environment"]["Variables"])
    for entries in (container["Environment"], container["Secrets"]):
        # One that stands under a condition counts: there is a way to it.
        given["daemon"] |= set(within(entries, "Name"))
    read = set()
    for file in sorted((ROOT / "shared/src/config").glob("*.rs")):
        if file.name == "tests.rs":
            continue
        if file.name not in READERS:
            problems.append(f"{file.name}: say in READERS who reads what it names")
        code = re.sub(r"^ *//.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE).split("#[cfg(test)]\nmod tests {")[0]
        for variable in set(re.findall(r'"((?:WAXWING|OTEL)_[A-Z_]+)"', code)):
            read |= {(variable, reader) for reader in READERS.get(file.name, ())}
    if not read:
        problems.append("no variable is found in shared/src/config/")
    for variable, reader in sorted(read):
        if variable not in given[reader] and (variable, reader) not in NOT_GIVEN:
            problems.append(f"{variable}: nothing gives it to {reader}")
    for variable, reader in NOT_GIVEN:
        if variable in given[reader]:
            problems.append(f"{variable}: it is given to {reader}, and NOT_GIVEN says that it is not")
    return len(read)


def check_logs(resources):
    """Each function and the daemon have a log of their own, which does not grow for ever."""
    kept = {name for name, properties in of_type(resources, LOGS).items() if "RetentionInDays" in properties}
    logs = {name: function.get("LoggingConfig", {}).get("LogGroup") for name, function in of_type(resources, FUNCTION).items()}
    container = resources["DaemonTask"]["Properties"]["ContainerDefinitions"][0]
    logs["DaemonTask"] = container["LogConfiguration"]["Options"]["awslogs-group"]
    of_whom = {}
    for name, log in logs.items():
        log = log and log.get("Ref")
        if log not in kept:
            problems.append(f"{name}: it has no log group with a term")
        elif log in of_whom:
            problems.append(f"{name}: it shares a log group with {of_whom[log]}")
        of_whom[log] = name
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("shared", "functions", "daemon")
        for path in (ROOT / folder / "src").rglob("*.rs")
    ]
    for name, properties in of_type(resources, "AWS::Logs::MetricFilter").items():
        for text in re.findall(r'"([^"]+)"', properties["FilterPattern"]):
            if not any(text in source for source in sources):
                problems.append(f"{name}: no program says {text!r}")


def check_expression(name, alarm, expression):
    """What comes late or not at all does not keep an alarm in its state."""
    if "FILL(" in expression and alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) >= alarm["EvaluationPeriods"]:
        problems.append(f"{name}: FILL makes up the latest data point, so DatapointsToAlarm has to be below EvaluationPeriods")
    series = [metric["Id"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    for one in series:
        if re.search(rf"FILL\({one}\b *,", expression):
            problems.append(f"{name}: FILL of {one} alone, which may have no data point at all")
        if not re.search(rf"\b{one}\b", expression):
            problems.append(f"{name}: {one} is not in its expression")


def check_alarms(resources):
    """Each queue and each index has an alarm, and each alarm tells somebody, but not before there is any data."""
    watched, indexes = set(), {}
    for name, alarm in of_type(resources, ALARM).items():
        if not alarm.get("AlarmActions"):
            problems.append(f"{name}: it tells nobody")
        missing = alarm.get("TreatMissingData", "missing")
        if missing == "breaching":
            problems.append(f"{name}: it goes off when it is made, since there is no data yet")
        if missing == "missing" and not alarm.get("InsufficientDataActions"):
            problems.append(f"{name}: it tells nobody that there is no data any more")
        for expression in within(alarm.get("Metrics", []), "Expression"):
            check_expression(name, alarm, expression)
        for dimensions in within(alarm, "Dimensions"):
            for dimension in dimensions:
                if dimension["Name"] == "QueueName":
                    value = dimension["Value"]
                    watched.add(value["Fn::GetAtt"][0] if "Fn::GetAtt" in value else value["Fn::Sub"])
        for metric in within(alarm, "Metric"):
            of_index = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}.get("GlobalSecondaryIndexName")
            indexes.setdefault(metric["MetricName"], set()).add(of_index)
    for name, properties in of_type(resources, QUEUE).items():
        if not watched & {name, properties["QueueName"]["Fn::Sub"]}:
            problems.append(f"{name}: it has no alarm")
    # None is the table without its indexes.
    parts = {None, *within(resources["Table"]["Properties"]["GlobalSecondaryIndexes"], "IndexName")}
    for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
        for part in parts - indexes.get(metric, set()):
            problems.append(f"{metric} of {f'the index {part}' if part else 'the table'}: it has no alarm")


def needs(resource):
    """The names that CloudFormation makes before this resource."""
    by_name = resource.get("DependsOn", [])
    by_attribute = [name[0] if isinstance(name, list) else name.split(".")[0] for name in within(resource, "Fn::GetAtt")]
    return {*within(resource, "Ref"), *by_attribute, *([by_name] if isinstance(by_name, str) else by_name)}


def check_services(resources):
    """Each service is made after what gives its target groups a load balancer: ECS refuses a group that has none."""
    forwarders = {name: needs(resource) for name, resource in resources.items() if resource["Type"] in FORWARDERS}
    for name, resource in resources.items():
        if resource["Type"] != SERVICE:
            continue
        for target in within(resource["Properties"].get("LoadBalancers", []), "TargetGroupArn"):
            group = target["Ref"]
            if not needs(resource) & {forwarder for forwarder, needed in forwarders.items() if group in needed}:
                problems.append(f"{name}: it does not wait for a listener or a rule that forwards to {group}")


def holds(expression, values):
    """Whether an expression of a rule is true of these parameters."""
    [(function, operands)] = expression.items()
    value = lambda operand: values[operand["Ref"]] if isinstance(operand, dict) else operand
    match function:
        case "Fn::And":
            return all(holds(operand, values) for operand in operands)
        case "Fn::Or":
            return any(holds(operand, values) for operand in operands)
        case "Fn::Not":
            return not holds(operands[0], values)
        case "Fn::Equals":
            return value(operands[0]) == value(operands[1])
        case "Fn::Contains":
            return value(operands[1]) in operands[0]
    raise ValueError(f"a rule with {function}")


def is_taken(template, **given):
    """Whether CloudFormation takes these parameters, and the defaults of the others."""
    parameters = template["Parameters"]
    for name, value in given.items():
        if value not in [str(allowed) for allowed in parameters[name].get("AllowedValues", [value])]:
            return False
    values = {name: str(parameter.get("Default", "")) for name, parameter in parameters.items()} | given
    return all(
        holds(assertion["Assert"], values)
        for rule in template.get("Rules", {}).values()
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], values)
        for assertion in rule["Assertions"]
    )


def check_counts(template):
    """Daemons are not fewer at most than at least, which ECS would refuse in the middle of a deployment."""
    most = [int(value) for value in template["Parameters"]["DaemonCountMax"].get("AllowedValues", range(100))]
    wrong = []
    for count in range(1, 100):
        for maximum in sorted({*most, count - 1}):
            wanted = maximum == 0 or maximum >= count
            if is_taken(template, DaemonCount=str(count), DaemonCountMax=str(maximum)) != wanted:
                wrong.append(f"DaemonCount {count} with DaemonCountMax {maximum} is {'refused' if wanted else 'taken'}")
    if wrong:
        problems.append(f"{wrong[0]}, and {len(wrong) - 1} more")


def chosen(template, value, values):
    """The branch of nested Fn::If that these parameters choose."""
    while isinstance(value, dict) and "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        value = then if holds(template["Conditions"][condition], values) else otherwise
    return value


def check_throttle(template, resources):
    """Each AuthApiRate has its own figures: API Gateway wants no text there, and CloudFormation gives a parameter as text."""
    [settings] = resources["Api"]["Properties"]["RouteSettings"].values()
    rates = template["Parameters"]["AuthApiRate"]["AllowedValues"]
    for rate in rates:
        wanted = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": 2 * rate}
        found = chosen(template, settings, {"AuthApiRate": str(rate)})
        if found != wanted or not all(type(figure) is int for figure in found.values()):
            problems.append(f"AuthApiRate {rate}: {found!r}, and not {wanted!r}")
    if len(rates) < 2:
        problems.append("AuthApiRate: it leaves no choice")


def check_scaling(template, resources):
    """Daemons are scaled by processors, memory and sessions, and the metric of sessions is one that daemons print."""
    by = {}
    for name, policy in of_type(resources, "AWS::ApplicationAutoScaling::ScalingPolicy").items():
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        by[policy["PolicyName"]] = tracking
        if policy["ScalingTargetId"] != {"Ref": "DaemonScaling"}:
            problems.append(f"{name}: it scales something else than daemons")
    if set(by) != {"cpu", "memory", "sessions"}:
        problems.append(f"daemons are scaled by {sorted(by)}")
        return
    metric = by["sessions"].get("CustomizedMetricSpecification")
    if metric != SESSIONS:
        problems.append(f"daemons are scaled by {metric!r}, and not by {SESSIONS!r}")
    source = lambda name: (ROOT / "daemon/src/web/metrics" / name).read_text(encoding="utf-8")
    # `gauge` has no label: one that has is another metric for each value, and none while that is 0.
    if not re.search(rf'\.gauge\(\s*"{SESSIONS["MetricName"]}"', source("families.rs")):
        problems.append(f"daemons have no gauge {SESSIONS['MetricName']} without a label")
    embedded = source("embedded.rs")
    [dimensions] = re.findall(r"const DEPLOYMENT: [^=]* = \[([^\]]*)\];", embedded)
    printed = re.findall(r'"([^"]+)"', dimensions)
    if printed != [dimension["Name"] for dimension in SESSIONS["Dimensions"]]:
        problems.append(f"daemons print metrics with the dimensions {printed}")
    if f'const NAMESPACE: &str = "{SESSIONS["Namespace"]}";' not in embedded:
        problems.append(f"daemons print no metrics in {SESSIONS['Namespace']}")
    for sessions in ("0", "500"):
        for metrics in ("", "off", "on"):
            wanted = sessions == "0" or metrics == "on"
            if is_taken(template, DaemonSessions=sessions, EmbeddedMetrics=metrics) != wanted:
                told = f"DaemonSessions {sessions} with EmbeddedMetrics {metrics!r}"
                problems.append(f"{told} is {'refused' if wanted else 'taken'}")


def check_rights(resources):
    """What policies allow is spelled out, and of the table it goes by keys."""
    count = 0
    for name, resource in resources.items():
        of_all = OF_ALL_RESOURCES.get(resource["Type"], set())
        for statements in within(resource.get("Properties", {}), "Statement"):
            for statement in statements:
                if statement["Effect"] != "Allow" or "Action" not in statement:
                    continue
                count += 1
                as_list = lambda value: value if isinstance(value, list) else [value]
                actions = set(as_list(statement["Action"]))
                targets = as_list(statement.get("Resource", []))
                if any("*" in action for action in actions - of_all):
                    problems.append(f"{name}: it allows {sorted(actions)}")
                if "*" in targets and not actions <= of_all:
                    problems.append(f"{name}: {sorted(actions)} of everything")
                arns = [target["Fn::Sub"] for target in targets if isinstance(target, dict) and "Fn::Sub" in target]
                kinds = {arn.split(":")[-1].split("/")[0] for arn in arns}
                for action in actions & set(OF_SEVERAL_KINDS):
                    if kinds != OF_SEVERAL_KINDS[action]:
                        problems.append(f"{name}: {action} of {sorted(kinds)}, not of {sorted(OF_SEVERAL_KINDS[action])}")
                if any(action.startswith("dynamodb:") for action in actions):
                    keys = list(within(statement.get("Condition", {}), "dynamodb:LeadingKeys"))
                    if not actions <= OF_TABLE or not keys:
                        problems.append(f"{name}: {sorted(actions)} of the table, not by keys")
    if not count:
        problems.append("no policy is found")


def check_written_rights(resources):
    """The rights that tests go by are the template's."""
    written = as_text(rights(resources, within))
    if "--rights" in sys.argv[1:]:
        RIGHTS.write_text(written, encoding="utf-8")
    if RIGHTS.read_text(encoding="utf-8") != written:
        problems.append(f"{RIGHTS.relative_to(ROOT)} is not what the template allows: call this with --rights")


def main():
    template = cfn_yaml.load(str(ROOT / "template.yaml"))
    resources = expanded(template)
    check_events(resources)
    count = check_environment(template, resources)
    check_logs(resources)
    check_alarms(resources)
    check_services(resources)
    check_counts(template)
    check_throttle(template, resources)
    check_scaling(template, resources)
    check_rights(resources)
    check_written_rights(resources)
    looked_at = f"routes, {count} variables, logs, alarms, services, scaling and rights looked at"
    if ENDPOINT:
        import botocore.session

        session = botocore.session.get_session()
        check_queues(resources, session)
        check_table(resources, session)
        check_bucket(resources, session)
        looked_at += f"; {len(of_type(resources, QUEUE))} queues, the table and the bucket compared with the set-up"
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{looked_at}: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

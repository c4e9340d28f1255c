#!/usr/bin/env bash
# Makes on an AWS stand-in what template.yaml makes on AWS: the table, the queues of every network, a KMS key, the
# bucket, and the secret of access tokens.
# May be run again at any time. Needs the AWS CLI; `localstack/compose.yaml` runs it inside LocalStack.
#
#   AWS_ENDPOINT_URL   where the stand-in answers            (default http://127.0.0.1:4566)
#   WAXWING_TABLE, WAXWING_NETWORKS, WAXWING_SHARDS, WAXWING_QUEUE_PREFIX, WAXWING_BUCKET   as the programs read them
set -euo pipefail

export AWS_ENDPOINT_URL="${AWS_ENDPOINT_URL:-http://127.0.0.1:4566}"
export AWS_REGION="${AWS_REGION:-us-east-1}" AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-${AWS_REGION:-us-east-1}}"
export AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-test}" AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-test}"
export AWS_PAGER=''
table="${WAXWING_TABLE:-waxwing}"
networks="${WAXWING_NETWORKS:-sandbox}"
shards="${WAXWING_SHARDS:-4}"
prefix="${WAXWING_QUEUE_PREFIX:-waxwing}"
key_alias='alias/waxwing'
bucket="${WAXWING_BUCKET:-waxwing}"
secret="$prefix-access-tokens"

day=86400
# The address is named at each call: version 1 of the CLI does not look at the variable for SQS in us-east-1.
call() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output text --cli-connect-timeout 5 --cli-read-timeout 30 "$@"; }

make_table() {
  if call dynamodb describe-table --table-name "$table" >/dev/null 2>&1; then return; fi
  call dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST \
    --attribute-definitions AttributeName=pk,AttributeType=S AttributeName=sk,AttributeType=S \
    AttributeName=shardKey,AttributeType=S AttributeName=listKey,AttributeType=S AttributeName=listSort,AttributeType=S \
    --key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE \
    --global-secondary-indexes 'IndexName=shard,KeySchema=[{AttributeName=shardKey,KeyType=HASH},{AttributeName=pk,KeyType=RANGE}],Projection={ProjectionType=KEYS_ONLY}' \
    'IndexName=list,KeySchema=[{AttributeName=listKey,KeyType=HASH},{AttributeName=listSort,KeyType=RANGE}],Projection={ProjectionType=ALL}' \
    >/dev/null
  call dynamodb wait table-exists --table-name "$table"
  call dynamodb update-time-to-live --table-name "$table" \
    --time-to-live-specification Enabled=true,AttributeName=exp >/dev/null
}

# make_queue NAME VISIBILITY RETENTION [DEAD-LETTER-ARN MAX-RECEIVES], both times in seconds. Prints the queue's ARN.
make_queue() {
  local name="$1" attributes url account
  url="$(grep "/$name\$" <<<"$existing" || true)"
  if [ -z "$url" ]; then
    attributes="\"VisibilityTimeout\": \"$2\", \"MessageRetentionPeriod\": \"$3\", \"MaximumMessageSize\": \"1048576\""
    if [[ $name == *.fifo ]]; then
      attributes+=', "FifoQueue": "true", "DeduplicationScope": "messageGroup"'
      attributes+=', "FifoThroughputLimit": "perMessageGroupId"'
    fi
    if [ $# -eq 5 ]; then
      attributes+=", \"RedrivePolicy\": \"{\\\"deadLetterTargetArn\\\": \\\"$4\\\", \\\"maxReceiveCount\\\": $5}\""
    fi
    url="$(call sqs create-queue --queue-name "$name" --attributes "{$attributes}" --query QueueUrl)" || return 1
  fi
  # A queue's URL ends with its account and its name.
  account="${url%/*}"
  printf 'arn:aws:sqs:%s:%s:%s\n' "$AWS_REGION" "${account##*/}" "$name"
}

# The attributes stand in shared/src/queue/deployment.rs; a test compares what this makes with them.
make_queues() {
  local base="$prefix-$1" shard dead dead_fifo existing
  existing="$(call sqs list-queues --queue-name-prefix "$base-" --query 'QueueUrls[]' | tr '\t' '\n')"
  dead_fifo="$(make_queue "$base-dead.fifo" 30 $((14 * day)))"
  dead="$(make_queue "$base-dead" 30 $((14 * day)))"
  make_queue "$base-events.fifo" 450 $((14 * day)) "$dead_fifo" 1000 >/dev/null
  make_queue "$base-events-retry" 450 $((14 * day)) "$dead" 1000 >/dev/null
  for ((shard = 0; shard < shards; shard++)); do
    make_queue "$base-sends-$shard.fifo" 10 $((4 * day)) "$dead_fifo" 1000
    make_queue "$base-queries-$shard" 30 900 "$dead" 5
  done >/dev/null
}

make_key() {
  local key
  if call kms describe-key --key-id "$key_alias" >/dev/null 2>&1; then return; fi
  key="$(call kms create-key --description 'Waxwing: wraps data keys' --query KeyMetadata.KeyId)"
  call kms create-alias --alias-name "$key_alias" --target-key-id "$key"
}

# Prefixes and terms stand in shared/src/bucket/name.rs; .ci/template.py compares template.yaml with what this makes.
make_bucket() {
  local where=()
  if ! call s3api head-bucket --bucket "$bucket" >/dev/null 2>&1; then
    if [ "$AWS_REGION" != us-east-1 ]; then
      where=(--create-bucket-configuration "LocationConstraint=$AWS_REGION")
    fi
    call s3api create-bucket --bucket "$bucket" "${where[@]}" >/dev/null
  fi
  call s3api put-bucket-lifecycle-configuration --bucket "$bucket" --lifecycle-configuration '{"Rules": [
    {"ID": "outgoing", "Status": "Enabled", "Filter": {"Prefix": "outgoing/"}, "Expiration": {"Days": 1}},
    {"ID": "later", "Status": "Enabled", "Filter": {"Prefix": "later/"}, "Expiration": {"Days": 34}},
    {"ID": "incoming", "Status": "Enabled", "Filter": {"Prefix": "incoming/"}, "Expiration": {"Days": 7}},
    {"ID": "events", "Status": "Enabled", "Filter": {"Prefix": "events/"}, "Expiration": {"Days": 14}},
    {"ID": "halves", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
  ]}' >/dev/null
}

# Programs read it where WAXWING_JWT_SECRET_ARN names it, as in the template.
make_secret() {
  local text
  if call secretsmanager describe-secret --secret-id "$secret" >/dev/null 2>&1; then return; fi
  text="$(call secretsmanager get-random-password --password-length 64 --exclude-punctuation --query RandomPassword)"
  call secretsmanager create-secret --name "$secret" --description 'Waxwing: signs access tokens' \
    --secret-string "$text" >/dev/null
}

# Side by side: most of the time is the CLI's own start.
making=()
IFS=',' read -r -a served <<<"$networks"
for network in "${served[@]}"; do make_queues "${network// /}" & making+=("$!"); done
for make in make_table make_key make_bucket make_secret; do "$make" & making+=("$!"); done
failed=''
for one in "${making[@]}"; do wait "$one" || failed=1; done
[ -z "$failed" ] || exit 1
printf 'table %s, queues %s-{%s}-* of %s shards, key %s, bucket %s, secret %s at %s\n' \
  "$table" "$prefix" "$networks" "$shards" "$key_alias" "$bucket" "$secret" "$AWS_ENDPOINT_URL"

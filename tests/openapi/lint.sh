#!/usr/bin/env bash
# The OpenAPI document under redocly's recommended rules.
#
#   tests/openapi/lint.sh                  docs/openapi.json
#   tests/openapi/lint.sh some/other.json
#
# Needs node 20.19 or later with npm. The linter comes from the npm registry that npm is set up with, by the version and
# hash of package-lock.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=.ci/lib.sh
. .ci/lib.sh
here="$PWD/tests/openapi"

npm_packages "$here"
# It tells nobody of its use and asks for no newer version of itself.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
"$here/node_modules/.bin/redocly" lint --config "$here/redocly.yaml" "${1:-docs/openapi.json}"

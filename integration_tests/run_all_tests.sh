#!/usr/bin/env bash
# run_all_tests.sh [incident|user|auth|forward_auth|tls|wire|judges|all] [--docker] [pytest options]
# Runs the integration tests against a gateway, Redis and backends of their own, or with --docker against the Compose stack.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

suite=all
docker=no
options=()
while [ "$#" -gt 0 ]; do
    case $1 in
        incident | user | auth | forward_auth | tls | wire | judges | all) suite=$1 ;;
        --docker) docker=yes ;;
        -h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
        *) options+=("$1") ;;
    esac
    shift
done

python=../.venv/bin/python
if [ ! -x "$python" ]; then
    echo "run_all_tests.sh: there is no .venv yet; run scripts/bootstrap first" >&2
    exit 1
fi

if [ "$docker" = yes ]; then
    SUITE=$suite exec ../scripts/docker-stage "${options[@]}"
fi
if [ "$suite" = all ]; then suites=(incident user auth forward_auth tls wire judges); else suites=("$suite"); fi
exec "$python" -m pytest -q "${suites[@]}" "${options[@]}"

#!/bin/sh
# Lints and renders the chart with its own values and with each file of its ci folder:
# check-chart.sh HELM CHART
set -eu
helm=$1 chart=$2

rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT

# A Helm that was built from source takes itself for one of an old Kubernetes.
kubernetes=1.30.0

check() {
    echo "chart with $1"
    shift
    "$helm" lint --strict --quiet --kube-version "$kubernetes" "$chart" "$@"
    "$helm" template reeve "$chart" --kube-version "$kubernetes" "$@" >"$rendered"
    deployments=$(grep -c '^kind: Deployment' "$rendered" || true)
    [ "$deployments" -ge 5 ] ||
        { echo "$deployments deployments were rendered, not one for each of five services" >&2; exit 1; }
}

if ls "$chart"/ci/*.yaml >/dev/null 2>&1; then
    for values in "$chart"/ci/*.yaml; do
        check "$values" --values "$values"
    done
else
    check "its own values"
fi

#!/usr/bin/env bash
# Writes vocabulary.rules.yml from the reasons in src/observation, so that alerts can say what to look at first.
# With --check it writes nothing, and fails when the file, a runbook of a reason, or a matcher of the reasons that say nothing of
# their target is missing or out of step.
set -euo pipefail
cd "$(dirname "$0")"
source=../../src/observation/mod.rs
rules=vocabulary.rules.yml

generate() {
    cat <<'HEAD'
# Generated from src/observation by vocabulary.sh; do not edit. The closed vocabulary of reasons, as series that
# annotations and dashboards look up: reason:look_first:info{reason, look_first}.
groups:
  - name: uptime-vocabulary
    interval: 1m
    rules:
HEAD
    # Variant "label" "meaning" "what to look at first";
    awk -F'"' '/^ *[A-Z][A-Za-z]* "[a-z_]+" ".*" ".*";$/ {
        gsub(/\047/, "\047\047", $6)
        printf "      - record: reason:look_first:info\n        expr: vector(1)\n"
        printf "        labels: {reason: %s, look_first: \047%s\047}\n", $2, $6
    }' "$source"
}

wanted=$(generate)
count=$(grep -c 'record:' <<<"$wanted" || true)
# Fewer than the first release had: the source was not understood.
if [ "$count" -lt 36 ]; then
    echo "vocabulary.sh: found only $count reasons in $source" >&2
    exit 1
fi
if [ "${1:-}" != --check ]; then
    printf '%s\n' "$wanted" >"$rules"
    echo "$rules: $count reasons"
    exit 0
fi

if ! diff -u "$rules" <(printf '%s\n' "$wanted"); then
    echo "alerting/prometheus/$rules is out of step with src/observation: run alerting/prometheus/vocabulary.sh" >&2
    exit 1
fi
while read -r reason; do
    if [ ! -s "../../docs/runbooks/$reason.md" ]; then
        echo "docs/runbooks/$reason.md is missing" >&2
        exit 1
    fi
done < <(sed -n 's/.*{reason: \([a-z_]*\),.*/\1/p' "$rules")
echo "$rules: $count reasons, each with a runbook"

# Runs with these reasons say nothing of their target: Reason::is_inconclusive, by the labels of its variants.
inconclusive=$(awk '
    /^ *[A-Z][A-Za-z]* "[a-z_]+" ".*" ".*";$/ {split($0, part, "\""); label[$1] = part[2]}
    /fn is_inconclusive\(/ {on = 1}
    on && /^    }/ {exit}
    on {
        while (match($0, /Self::[A-Za-z]+/)) {
            said = said separator label[substr($0, RSTART + 6, RLENGTH - 6)]
            separator = "|"
            $0 = substr($0, RSTART + RLENGTH)
        }
    }
    END {print said}' "$source")
matchers=$(grep -noE "reason[=!]~\"([a-z_]+\|)*(${inconclusive:?is_inconclusive was not found in $source})(\|[a-z_]+)*\"" ./*.rules.yml ../../grafana/generator/*.py)
if wrong=$(grep -vF "~\"$inconclusive\"" <<<"$matchers"); then
    echo "reasons that say nothing of their target are $inconclusive; not so in:" >&2
    echo "$wrong" >&2
    exit 1
fi
echo "$(wc -l <<<"$matchers") matchers of $inconclusive"

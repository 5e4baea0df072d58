#!/bin/sh
# What `promtool check metrics` takes for good metrics.
#
# Guess: silence and status 0 mean that the text is valid, in either format: "checks metrics for
#        consistency and correctness", says its help.
# Seen:  promtool 2.42 (Debian 12) passes over a series that comes twice with different values
#        (prometheus/prometheus#5242), a histogram without le="+Inf", buckets that decrease, a count
#        that is not the last bucket, a counter below 0, and a family in two parts. OpenMetrics it
#        does not know (#8932): `# EOF` is a comment to it, and the type info an error.
#        The strict parser of OpenMetrics in Python's prometheus_client 0.16 refuses all of these,
#        but for the series that comes twice.
#
# Fails if that changes. Takes Debian's prometheus and python3-prometheus-client.
set -eu

promtool --version | head -n 1
failed=0

# $1: the status of promtool; $2: that of the strict parser, "-" where it is not asked; $3: what is
# wrong; then the lines of the text.
expect() {
    by_promtool=$1 by_parser=$2 what=$3
    shift 3
    status=0
    printf '%s\n' "$@" | promtool check metrics >/dev/null 2>&1 || status=$?
    strict=-
    if [ "$by_parser" != - ]; then
        strict=0
        printf '%s\n' "$@" '# EOF' | sed '/^# /s/ a_total/ a/' | /usr/bin/python3 -c 'import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
list(parse(sys.stdin.read()))' 2>/dev/null || strict=$?
    fi
    echo "$what: promtool $status, strict parser $strict"
    [ "$status $strict" = "$by_promtool $by_parser" ] || failed=1
}

counter='# TYPE a_total counter'
histogram='# TYPE b_seconds histogram'
help_a='# HELP a_total x'
help_b='# HELP b_seconds x'
expect 0 0 'a good counter' "$help_a" "$counter" 'a_total{l="1"} 1'
expect 3 - 'a name that promtool dislikes' '# HELP a_ms x' '# TYPE a_ms gauge' 'a_ms 1'
expect 0 0 'a series twice' "$help_a" "$counter" 'a_total{l="1"} 1' 'a_total{l="1"} 2'
expect 0 1 'a counter below 0' "$help_a" "$counter" 'a_total -1'
expect 0 1 'a histogram without +Inf' "$help_b" "$histogram" 'b_seconds_bucket{le="1.0"} 3' \
    'b_seconds_sum 3' 'b_seconds_count 3'
expect 0 1 'buckets that decrease' "$help_b" "$histogram" 'b_seconds_bucket{le="1.0"} 3' \
    'b_seconds_bucket{le="2.0"} 2' 'b_seconds_bucket{le="+Inf"} 9' 'b_seconds_sum 3' \
    'b_seconds_count 9'
expect 0 1 'a count that is not the last bucket' "$help_b" "$histogram" \
    'b_seconds_bucket{le="1.0"} 3' 'b_seconds_bucket{le="+Inf"} 9' 'b_seconds_sum 3' \
    'b_seconds_count 4'
expect 0 1 'a family in two parts' "$help_a" "$counter" 'a_total{l="1"} 1' "$help_b" \
    '# TYPE b_seconds gauge' 'b_seconds 1' 'a_total{l="2"} 1'
expect 1 0 'the type info' '# HELP c x' '# TYPE c info' 'c_info{version="1"} 1'
exit "$failed"

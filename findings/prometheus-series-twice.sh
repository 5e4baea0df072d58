#!/bin/sh
# A series that comes twice in one scrape, and Prometheus.
#
# Guess: it warns of "samples with different value but same timestamp", and counts them in
#        prometheus_target_scrapes_sample_duplicate_timestamp_total.
# Seen:  2.42 (Debian 12) stores the first value and says nothing of the second one: no warning, no
#        count, up is 1. Only scrape_samples_scraped is higher than the number of series. From 2.52
#        on it warns (prometheus/prometheus#14089). So a test that a scrape has no duplicates has to
#        look for them itself.
#
# Fails if that changes. Takes Debian's prometheus, curl and python3.
set -eu

work=$(mktemp -d)
target=
server=
clean() {
    for pid in $target $server; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean EXIT
cd "$work"

mkdir www
printf '# TYPE a_total counter\na_total 1\na_total 2\n' >www/metrics
# Says where it listens, since it chooses a free port, when it does.
python3 -u -m http.server --directory www --bind 127.0.0.1 0 >target.log 2>&1 &
target=$!
wait_for() {
    for _ in $(seq 200); do
        grep -q "$2" "$1" && return
        sleep 0.1
    done
    echo "no $2 in $1:" >&2
    cat "$1" >&2
    exit 2
}
wait_for target.log 'Serving HTTP on'
port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' target.log | head -n 1)
printf '%s\n' 'global: {scrape_interval: 1s}' 'scrape_configs:' \
    "  - {job_name: j, static_configs: [{targets: ['127.0.0.1:$port']}]}" >prometheus.yml
prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=127.0.0.1:0 \
    >server.log 2>&1 &
server=$!
wait_for server.log 'Listening on'
address=$(sed -n 's/.*msg="Listening on" address=//p' server.log)
# The third request begins when the second scrape is stored, or nearly.
for _ in $(seq 200); do
    [ "$(grep -c 'GET /metrics' target.log)" -lt 3 ] || break
    sleep 0.1
done

value() {
    curl -s -G "http://$address/api/v1/query" --data-urlencode "query=$1" |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["data"]["result"][0]["value"][1])'
}
counted=$(curl -s "http://$address/metrics" |
    sed -n 's/^prometheus_target_scrapes_sample_duplicate_timestamp_total //p')
warnings=$(grep -c -v 'level=info' server.log) || true
prometheus --version 2>&1 | head -n 1
echo "value $(value a_total), up $(value up), samples $(value scrape_samples_scraped)," \
    "duplicates $counted, warnings $warnings"
[ "$(value a_total) $(value up) $(value scrape_samples_scraped) $counted $warnings" = '1 1 2 0 0' ]

# The parts of a canary with kubectl. Two Deployments, stable and canary, lie behind a
# Service each, and an HTTPRoute divides users between them by weight. Prometheus says
# how the canary does.

ns=$CUTOVER_NAMESPACE
app=$CUTOVER_SERVICE
weights=${WEIGHTS:-5 25 50 100}
pause=${PAUSE:-1}         # seconds between two looks; 60 in production
looks=${LOOKS:-4}         # good ones that a step must have
fails=${FAILS:-2}         # bad ones in a row that are enough
patience=${PATIENCE:-10}  # looks that may say nothing at all
window=${WINDOW:-4s}      # that rates are taken over; 1m in production, never longer than a step
most_errors=5             # per cent
slowest=0.25              # seconds, on average
pre_stop=${PRE_STOP:-3}   # seconds; 15 in production

die() { echo "$*" >&2; exit 1; }

# deploy TRACK IMAGE ENV REPLICAS brings up what a track runs; ENV is a list in YAML.
deploy() {
  kubectl apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $app-$1, labels: {app: $app, track: $1}}
spec:
  replicas: $4
  strategy: {rollingUpdate: {maxUnavailable: 0}}
  selector: {matchLabels: {app: $app, track: $1}}
  template:
    metadata: {labels: {app: $app, track: $1}}
    spec:
      containers:
        - name: app
          image: $2
          imagePullPolicy: IfNotPresent
          env: $3
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: $pre_stop}}}
YAML
}

# await_ready TRACK returns when all of its pods are ready.
await_ready() { kubectl rollout status "deployment/$app-$1" --timeout=30s; }

# shift_to WEIGHT gives the canary so many per cent of the users.
shift_to() {
  kubectl patch httproute "$app" --type=json -p "[
    {\"op\": \"replace\", \"path\": \"/spec/rules/0/backendRefs/0/weight\", \"value\": $((100 - $1))},
    {\"op\": \"replace\", \"path\": \"/spec/rules/0/backendRefs/1/weight\", \"value\": $1}]"
}

# scale_for WEIGHT gives the canary as many pods as its share of the users needs.
scale_for() {
  kubectl scale "deployment/$app-canary" --replicas=$((($1 * CUTOVER_REPLICAS + 99) / 100))
  await_ready canary
}

# ask QUERY prints what Prometheus answers to a PromQL expression.
ask() {
  query=$(printf %s "$1" | sed 's/%/%25/g; s/ /%20/g; s/"/%22/g; s/+/%2B/g; s/{/%7B/g; s/}/%7D/g; s/\[/%5B/g; s/\]/%5D/g; s/~/%7E/g; s/=/%3D/g; s/,/%2C/g')
  kubectl get --raw "/api/v1/namespaces/$ns/services/prometheus:9090/proxy/api/v1/query?query=$query"
}

# value_of cuts the value out of such an answer; nothing if there is none.
value_of() { sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p'; }

# await_watched returns when Prometheus has heard of the canary: nobody is to come in to
# what nobody watches.
await_watched() {
  for n in $(seq 30); do
    case $(ask 'max(up{track="canary"})') in
      *',"1"]'*) return 0 ;;
    esac
    sleep "$pause"
  done
  die "Prometheus does not find the canary"
}

# of_canary METRIC is how often a metric of the canary grows, each second.
of_canary() { printf 'sum(rate(%s[%s]))' "$1" "$window"; }

# errors is the share of the canary's answers that are the server's fault, in per cent.
errors() {
  ask "100 * (($(of_canary 'shop_requests_total{track="canary",code=~"5.."}') or vector(0)) / $(of_canary 'shop_requests_total{track="canary"}'))" | value_of
}

# slowness is how long an answer takes on average, in seconds.
slowness() {
  ask "$(of_canary 'shop_request_duration_seconds_sum{track="canary"}') / $(of_canary 'shop_request_duration_seconds_count{track="canary"}')" | value_of
}

# judge VALUE LIMIT says what a value is, good, bad or nothing: of what is no number
# nobody knows what it means.
judge() {
  awk -v value="$1" -v limit="$2" 'BEGIN {
    if (value !~ /^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$/) print "nothing"
    else if (value + 0 > limit) print "bad"
    else print "good"
  }'
}

# look asks once, and says what is worst.
look() {
  e=$(errors) s=$(slowness)
  verdict="$(judge "$e" "$most_errors") $(judge "$s" "$slowest")"
  echo "errors ${e:-none} %, $most_errors allowed; ${s:-no} s, $slowest allowed: $verdict" >&2
  case $verdict in
    *bad*) echo bad ;;
    *nothing*) echo nothing ;;
    *) echo good ;;
  esac
}

# observe looks until a step has had enough good looks, or too many others.
observe() {
  good=0 bad=0 nothing=0
  while [ "$good" -lt "$looks" ]; do
    sleep "$pause"
    case $(look) in
      good) good=$((good + 1)) bad=0 ;;
      bad) bad=$((bad + 1)) ;;
      *) nothing=$((nothing + 1)) ;;
    esac
    [ "$bad" -lt "$fails" ] || return 1
    [ "$nothing" -lt "$patience" ] || return 1
  done
}

# roll_back gives all users to stable, and only then takes the canary down.
roll_back() {
  shift_to 0
  retire canary
}

# retire TRACK takes a track down; its pods leave drained.
retire() { kubectl delete deployment "$app-$1" --ignore-not-found; }

# finish makes what the canary runs the stable one, while nobody comes in to that, and
# gives it the users: the next release finds things as this one did.
finish() {
  deploy stable "$CUTOVER_CANDIDATE_IMAGE" "$CANDIDATE_ENV" "$CUTOVER_REPLICAS"
  await_ready stable
  shift_to 0
  retire canary
}

# guard has an interrupted release go back.
guard() { trap 'trap "" TERM INT; roll_back; die "interrupted, and rolled back"' TERM INT; }

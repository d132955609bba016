# The parts of a blue-green release with kubectl. Two Deployments, blue and green, lie
# behind one Service, whose selector says which of them is live.

ns=$CUTOVER_NAMESPACE
app=$CUTOVER_SERVICE
pause=${PAUSE:-1}      # seconds between two looks; 5 in production
pre_stop=${PRE_STOP:-3} # seconds; 15 in production
probe=${PROBE:-/ready}

die() { echo "$*" >&2; exit 1; }

other() {
  case $1 in
    blue) echo green ;;
    green) echo blue ;;
    *) die "neither blue nor green: '$1'" ;;
  esac
}

# live_colour is what the Service selects.
live_colour() { kubectl get service "$app" -o 'jsonpath={.spec.selector.colour}'; }

# unverified is the colour that was live before a switch that nobody has verified yet:
# of a release that was interrupted.
unverified() { kubectl get service "$app" -o 'jsonpath={.metadata.annotations.unverified-after}'; }

# deploy COLOUR IMAGE ENV brings a colour up; ENV is a list in YAML.
deploy() {
  kubectl apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $app-$1, labels: {app: $app, colour: $1}}
spec:
  replicas: $CUTOVER_REPLICAS
  selector: {matchLabels: {app: $app, colour: $1}}
  template:
    metadata: {labels: {app: $app, colour: $1}}
    spec:
      terminationGracePeriodSeconds: ${GRACE:-30}
      $SHARED
      containers:
        - name: app
          image: $2
          imagePullPolicy: IfNotPresent
          env: $3
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: $probe, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: $pre_stop}}}
          $MOUNTS
YAML
}

# await_ready COLOUR returns when all of its pods are ready.
await_ready() { kubectl rollout status "deployment/$app-$1" --timeout=20s; }

pods() { kubectl get pods -l "app=$app,colour=$1" -o 'jsonpath={.items[*].metadata.name}'; }

# smoke_test COLOUR has every pod ask itself for what users will ask for.
smoke_test() {
  for pod in $(pods "$1"); do
    kubectl exec "$pod" -- /app/shop check "${SMOKE:-/cart}" || return 1
  done
}

# switch_to COLOUR FROM makes a colour live, and notes that it is not verified.
switch_to() {
  kubectl patch service "$app" -p "{\"metadata\":{\"annotations\":{\"unverified-after\":\"$2\"}},\"spec\":{\"selector\":{\"colour\":\"$1\"}}}"
}

# settle notes that the live colour is verified.
settle() { kubectl annotate service "$app" unverified-after-; }

switch_back() {
  kubectl patch service "$app" -p "{\"metadata\":{\"annotations\":{\"unverified-after\":null}},\"spec\":{\"selector\":{\"colour\":\"$1\"}}}"
}

ask() { kubectl get --raw "/api/v1/namespaces/$ns/services/$app:http/proxy/cart" > /dev/null; }

# verify asks five times, and one failure is enough.
verify() {
  for n in 1 2 3 4 5; do
    sleep "$pause"
    ask || return 1
  done
}

# retire COLOUR takes down what is not live any more; its pods leave drained.
retire() { kubectl delete deployment "$app-$1" --ignore-not-found; }

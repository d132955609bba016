# The parts of a canary by weights in an nginx configuration. Two pods of nginx, the
# front, stand before the Services of two Deployments, v1 and v2, and divide the requests
# by the weights of an upstream, which a ConfigMap has.

ns=$CUTOVER_NAMESPACE
app=$CUTOVER_SERVICE
pause=${PAUSE:-1} # seconds between two weights; minutes in production
drain=${DRAIN:-3} # seconds; 15 in production

die() { echo "$*" >&2; exit 1; }

# deploy VERSION IMAGE ENV brings a version up; ENV is a list in YAML.
deploy() {
  kubectl apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $app-$1, labels: {app: $app, version: $1}}
spec:
  replicas: $CUTOVER_REPLICAS
  selector: {matchLabels: {app: $app, version: $1}}
  template:
    metadata: {labels: {app: $app, version: $1}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: app
          image: $2
          imagePullPolicy: IfNotPresent
          env: $3
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: $drain}}}
YAML
}

# await_ready DEPLOYMENT returns when all of its pods are ready.
await_ready() { kubectl rollout status "deployment/$1" --timeout=40s; }

retire() { kubectl delete deployment "$app-$1" --ignore-not-found; }

# upstream WEIGHT is who serves when v2 has WEIGHT per cent. A Service is no single
# server, and is not taken out for one failure of it.
upstream() {
  [ "$1" = 100 ] || echo "server $app-v1:$CUTOVER_PORT weight=$((100 - $1)) max_fails=0;"
  [ "$1" = 0 ] || echo "server $app-v2:$CUTOVER_PORT weight=$1 max_fails=0;"
}

logging() { echo "access_log off;"; }

# configure WEIGHT writes the configuration, which says its weight under /weight.
configure() {
  kubectl apply -f - <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: front}
data:
  nginx.conf: |
    # weight $1
    daemon off;
    worker_processes 2;
    pid /tmp/nginx.pid;
    error_log stderr warn;
    events { worker_connections 1024; }
    http {
        $(logging "$1")
        client_body_temp_path /tmp/body;
        proxy_temp_path /tmp/proxy;
        fastcgi_temp_path /tmp/fastcgi;
        uwsgi_temp_path /tmp/uwsgi;
        scgi_temp_path /tmp/scgi;
        upstream app {
            $(echo $(upstream "$1"))
            keepalive 32;
        }
        server {
            listen $CUTOVER_PORT;
            location = /weight { return 200 "$1\n"; }
            location / {
                proxy_pass http://app;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_next_upstream off;
                proxy_connect_timeout 2s;
            }
        }
    }
YAML
}

fronts() { kubectl get pods -l app=front -o name; }

# refresh WEIGHT has kubelet give the pods the new file at once: it looks at the volumes
# of a pod that has changed, and else about once a minute.
refresh() { kubectl annotate pods -l app=front --overwrite "weight=$1"; }

# await_file POD WEIGHT returns when the pod has the new file. nginx -T tests it, as -t
# does, and shows it.
await_file() {
  for n in $(seq 60); do
    conf=$(kubectl exec "$1" -- nginx -T) || die "$1 refuses its configuration"
    case $conf in *"# weight $2
"*) return 0 ;; esac
    sleep 0.5
  done
  die "$1 did not get its configuration"
}

reload() { kubectl exec "$1" -- nginx -s reload; }

# await_live POD WEIGHT returns when new connections to the pod meet the new weight.
await_live() {
  for n in $(seq 20); do
    [ "$(kubectl get --raw "/api/v1/namespaces/$ns/pods/${1#pod/}:$CUTOVER_PORT/proxy/weight")" != "$2" ] || return 0
    sleep 0.5
  done
  die "$1 did not take up its configuration"
}

# take_up WEIGHT has each pod of the front work by the configuration of that weight.
take_up() {
  refresh "$1"
  for pod in $(fronts); do
    await_file "$pod" "$1"
    reload "$pod"
    await_live "$pod" "$1"
  done
}

# shift_to WEIGHT has v2 serve so many per cent of the requests.
shift_to() {
  configure "$1"
  take_up "$1"
}

# verify asks as users do, and one failure is enough.
verify() {
  sleep "$pause"
  for n in $(seq 20); do
    kubectl get --raw "/api/v1/namespaces/$ns/services/$app:http/proxy/cart" > /dev/null || return 1
  done
}

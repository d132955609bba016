#!/bin/sh
# What the release finds: stable serves everybody, and Prometheus watches the canary.
set -eu
. "${0%/*}/lib.sh"
service() {
  cat <<YAML
---
apiVersion: v1
kind: Service
metadata: {name: $app-$1, labels: {app: $app}}
spec:
  selector: {app: $app, track: $1}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http}]
YAML
}
deploy stable "$CUTOVER_BASELINE_IMAGE" "$BASELINE_ENV" "$CUTOVER_REPLICAS"
{
  service stable
  service canary
  cat <<YAML
---
# What Prometheus finds the pods by: Debian's asks the DNS and not Kubernetes.
apiVersion: v1
kind: Service
metadata: {name: $app-canary-pods}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: $app, track: canary}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $app}
spec:
  parentRefs: [{name: $CUTOVER_GATEWAY, namespace: $CUTOVER_GATEWAY_NAMESPACE}]
  hostnames: [$CUTOVER_HOST]
  rules:
    - backendRefs:
        - {name: $app-stable, port: $CUTOVER_PORT, weight: 100}
        - {name: $app-canary, port: $CUTOVER_PORT, weight: 0}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus}
data:
  prometheus.yml: |
    global: {scrape_interval: 1s, scrape_timeout: 1s}
    scrape_configs:
      - job_name: $app
        dns_sd_configs: [{names: [$app-canary-pods], type: A, port: $CUTOVER_PORT, refresh_interval: 1s}]
        relabel_configs: [{target_label: track, replacement: canary}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus}
spec:
  selector: {matchLabels: {app: prometheus}}
  template:
    metadata: {labels: {app: prometheus}}
    spec:
      containers:
        - name: prometheus
          image: $CUTOVER_IMAGE_PROMETHEUS
          imagePullPolicy: IfNotPresent
          command: [/usr/bin/prometheus, --config.file=/config/prometheus.yml, --storage.tsdb.path=/tmp/prometheus]
          ports: [{name: http, containerPort: 9090}]
          readinessProbe: {httpGet: {path: /-/ready, port: http}, periodSeconds: 1}
          volumeMounts: [{name: config, mountPath: /config}]
      volumes: [{name: config, configMap: {name: prometheus}}]
---
apiVersion: v1
kind: Service
metadata: {name: prometheus}
spec:
  selector: {app: prometheus}
  ports: [{name: http, port: 9090, targetPort: http}]
YAML
} | kubectl apply -f -
await_ready stable
kubectl rollout status deployment/prometheus --timeout=60s

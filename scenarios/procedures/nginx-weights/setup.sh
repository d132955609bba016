#!/bin/sh
# What the release finds: v1 serves alone, behind two pods of nginx.
set -eu
. "${0%/*}/lib.sh"
for version in v1 v2; do
  kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $app-$version, labels: {app: $app}}
spec:
  selector: {app: $app, version: $version}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http, appProtocol: http}]
YAML
done
deploy v1 "$CUTOVER_BASELINE_IMAGE" "$BASELINE_ENV"
configure 0
await_ready "$app-v1"
kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $app, labels: {app: front}}
spec:
  selector: {app: front}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http, appProtocol: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, labels: {app: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      containers:
        - name: nginx
          image: $CUTOVER_IMAGE_NGINX
          imagePullPolicy: IfNotPresent
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: /weight, port: http}, periodSeconds: 1}
          volumeMounts: [{name: conf, mountPath: /etc/nginx}]
      volumes: [{name: conf, configMap: {name: front}}]
YAML
await_ready front

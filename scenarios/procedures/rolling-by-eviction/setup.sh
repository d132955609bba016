#!/bin/sh
# What the release finds: a StatefulSet that replaces no pod by itself, with a budget.
set -eu
app=$CUTOVER_SERVICE
kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $app, labels: {app: $app}}
spec:
  selector: {app: $app}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http, appProtocol: http}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: $app, labels: {app: $app}}
spec:
  selector: {matchLabels: {app: $app}}
  $BUDGET
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $app, labels: {app: $app}}
spec:
  serviceName: $app
  replicas: $CUTOVER_REPLICAS
  podManagementPolicy: Parallel
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: $app}}
  template:
    metadata: {labels: {app: $app}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: app
          image: $CUTOVER_BASELINE_IMAGE
          imagePullPolicy: IfNotPresent
          env: $BASELINE_ENV
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 3}}} # 15 in production
YAML
kubectl wait "statefulset/$app" --for="jsonpath={.status.readyReplicas}=$CUTOVER_REPLICAS" --timeout=60s

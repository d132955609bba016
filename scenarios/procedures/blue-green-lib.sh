# deploy COLOUR IMAGE VERSION brings up a colour of the service and waits until all of
# its pods are ready.
deploy() {
  kubectl apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $CUTOVER_SERVICE-$1, labels: {app: $CUTOVER_SERVICE, colour: $1}}
spec:
  replicas: $CUTOVER_REPLICAS
  selector: {matchLabels: {app: $CUTOVER_SERVICE, colour: $1}}
  template:
    metadata: {labels: {app: $CUTOVER_SERVICE, colour: $1}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: app
          image: $2
          imagePullPolicy: IfNotPresent
          env: [{name: VERSION, value: $3}]
          ports: [{name: http, containerPort: $CUTOVER_PORT}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 3}}}
YAML
  kubectl rollout status "deployment/$CUTOVER_SERVICE-$1" --timeout=60s
}

#!/bin/sh
# What blue-green.sh expects to find: blue serves.
set -eu
here=${0%/*}
. "$here/blue-green-lib.sh"
deploy blue "$CUTOVER_BASELINE_IMAGE" v1
kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $CUTOVER_SERVICE, labels: {app: $CUTOVER_SERVICE}}
spec:
  selector: {app: $CUTOVER_SERVICE, colour: blue}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http, appProtocol: http}]
YAML

#!/bin/sh
# What the release finds: blue, or the colour in LIVE, serves.
set -eu
. "${0%/*}/lib.sh"
[ -z "${SETUP_PRE_STOP:-}" ] || pre_stop=$SETUP_PRE_STOP
live=${LIVE:-blue}
deploy "$live" "$CUTOVER_BASELINE_IMAGE" "$BASELINE_ENV"
await_ready "$live"
kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $app, labels: {app: $app}}
spec:
  selector: {app: $app, colour: $live}
  ports: [{name: http, port: $CUTOVER_PORT, targetPort: http, appProtocol: http}]
YAML

#!/usr/bin/env python3
"""Releases by changing the Deployment's template, and takes it back if its pods do not
become ready. Nothing but Python itself is needed."""

import base64
import json
import os
import ssl
import sys
import time
import urllib.request

with open(os.environ["KUBECONFIG"]) as file:
    config = json.load(file)
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
namespace, service = os.environ["CUTOVER_NAMESPACE"], os.environ["CUTOVER_SERVICE"]
deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{service}"


def ask(method, path, body=None, sort="application/json"):
    request = urllib.request.Request(cluster["server"] + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Authorization", "Bearer " + user["token"])
    request.add_header("Content-Type", sort)
    with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
        return json.load(answer)


def rolled_out(generation, patience):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        now = ask("GET", deployment)
        status, wanted = now["status"], now["spec"]["replicas"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        if status.get("observedGeneration", 0) >= generation and counts == [wanted] * 3:
            return True
        print("waiting:", counts, "of", wanted, flush=True)
        time.sleep(0.5)
    return False


def release(container):
    changed = ask("PATCH", deployment, {"spec": {"template": {"spec": {"containers": [container]}}}}, "application/strategic-merge-patch+json")
    return changed["metadata"]["generation"]


before = ask("GET", deployment)["spec"]["template"]["spec"]["containers"][0]
after = {"name": before["name"], "image": os.environ["CUTOVER_CANDIDATE_IMAGE"], "env": [{"name": "VERSION", "value": os.environ["RELEASE"]}]}
if rolled_out(release(after), patience=float(os.environ.get("PATIENCE", "60"))):
    print("released", os.environ["RELEASE"])
else:
    print("not ready in time: taking it back", file=sys.stderr)
    rolled_out(release(before), patience=60)
    sys.exit(1)

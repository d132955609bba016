#!/usr/bin/env python3
"""Releases by changing the Deployment's template, asks the new version for what users
ask for, and takes it back if it does not come up or does not answer well. Nothing but
Python itself is needed."""

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
    changed = ask("PATCH", deployment, {"spec": {"template": {"spec": {"containers": [container]}}}}, "application/merge-patch+json")
    return changed["metadata"]["generation"]


def serves(asked, allowed):
    """Asks as users do, by the name that the cluster's DNS has for the Service."""
    failed = 0
    for _ in range(asked):
        try:
            urllib.request.urlopen(f"http://{service}.{namespace}.svc:{os.environ['CUTOVER_PORT']}/cart", timeout=2).close()
        except OSError as error:
            print("asked as a user:", error, file=sys.stderr)
            failed += 1
    return failed <= allowed


before = ask("GET", deployment)["spec"]["template"]["spec"]["containers"][0]
variables = [{"name": name, "value": value} for name, value in (pair.split("=", 1) for pair in sys.argv[1:])]
after = before | {"image": os.environ["CUTOVER_CANDIDATE_IMAGE"], "env": variables}
if rolled_out(release(after), patience=60) and serves(asked=50, allowed=1):
    print("released", *sys.argv[1:])
else:
    print("not good enough: taking it back", file=sys.stderr)
    rolled_out(release(before), patience=60)
    sys.exit(1)

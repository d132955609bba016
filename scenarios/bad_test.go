package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write writes a file and the directories above it.
func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func edit(texts ...string) []string { return texts }

// with edits good so that it has a dependency, and whatever else.
func with(dependency string, more ...string) []string {
	return append(more, "release: {strategy", "dependencies:\n  - "+dependency+"\nrelease: {strategy")
}

// gate edits good so that its gate has another section.
func gate(section string) []string { return edit("min: 40}", "min: 40, "+section+"}") }

// replay edits good so that its load is a recording.
func replay(section string) []string {
	return edit("  rate: 200/s\n", "  "+section+"\n  arrivals: replay\n", "  requests:\n    - {path: /cart}\n", "")
}

// bad are scenarios with one mistake, and what must be said of it: the line, the
// key, and the way out.
var bad = []struct {
	edits []string // of good: old, new, …
	want  string
}{
	// A typing error in a key.
	{edit("steps:", "stpes:"), `:12: release.stpes: unknown key; known here: deadline, hold, match, maxSurge, maxUnavailable, mirrorWrites, partitions, progressDeadline, router, steps, strategy, supersede, watch; did you mean "steps"?`},
	// A key that is in the wrong section.
	{edit("  rate: 200/s", "  rate: 200/s\n  min: 3"), ":16: load.min: unknown key; known here: arrivals, "},
	// A key twice.
	{edit("  service: shop", "  service: shop\n  service: cart"), ":8: app.service: given twice, first on line 7"},
	// A key that is needed.
	{edit("  service: shop\n", ""), ":5: app.service: missing"},
	{edit("path: /cart", "weight: 1"), ":18: load.requests[0]: path is missing"},
	{edit("why: It shows what is wrong with the others.\n", ""), ":1: why: missing"},
	// A key without a value.
	{edit("  service: shop", "  service:"), ":7: app.service: no value"},
	// Values of the wrong sort.
	{edit("labels: [canary]", "labels: canary"), `:3: metadata.labels: "canary" instead of a list`},
	{edit("{http: 8080}", "8080"), `:8: app.ports: "8080" instead of keys`},
	{edit("http: 8080", "http: web"), `:8: app.ports.http: "web" instead of a whole number`},
	{edit("http: 8080", "http: 80.5"), `:8: app.ports.http: "80.5" instead of a whole number`},
	{edit("service: shop", "service: [shop]"), ":7: app.service: a list instead of a text"},
	{edit("VERSION: v1", "VERSION: 1"), `:10: app.baseline.env.VERSION: 1 is not a text: put it in quotes, "1"`},
	{edit("  rate: 200/s", "  rate: 200/s\n  keepAlive: yes"), `:16: load.keepAlive: "yes" instead of true or false`},
	{edit("hold: 4s", "hold: 4"), ":12: release.hold: bad duration \"4\": write a number and a unit"},
	{edit("hold: 4s", "hold: -4s"), ":12: release.hold: bad duration \"-4s\": it is negative"},
	{edit("hold: 4s", "hold: [4s]"), ":12: release.hold: a list instead of a value"},
	{edit("max: 1%", "max: 1"), ":13: gate.errors.max: bad percentage \"1\""},
	{edit("rate: 200/s", "rate: 200"), ":15: load.rate: "},
	// YAML's own ways to say it twice.
	{edit("  service: shop", "  service: shop\n  <<: {replicas: 1}"), ":8: app.<<: merge keys are not supported"},
	{edit("spec: {action", "spec: {action: delay, action"), ":25: faults[0].chaos.spec.action: given twice"},
	{edit("spec: {action: delay, delay: {latency: 600ms}}", "spec: [delay]"), ":25: faults[0].chaos.spec: a list instead of keys"},

	// The format has it, this version does not.
	{edit("  service: shop", "  service: shop\n  chart: ./chart"), ":8: app.chart: not supported yet; supported: app.image"},
	{edit("baseline: {", "baseline: {patch: x, "), ":10: app.baseline.patch: not supported yet; supported: image, env, command, args and replicas"},
	{edit("{header: X-Version}", "{digest: true}"), ":9: app.version.digest: not supported yet"},
	{edit("{step: weight-50}", "{write: 4}"), ":20: faults[0].at.write: only a procedure has writes to count"},
	{edit("    for: 20s", "    repeat: {every: 1s, times: 3}"), ":21: faults[0].repeat: not supported yet"},
	{edit("target: candidate", "target: procedure"), `:22: faults[0].target: a NetworkChaos is on pods, and the procedure is none`},
	{edit("target: candidate", "target: database"), ":22: faults[0].target: unknown word \"database\"; known here: candidate, baseline, both, procedure, apiserver (a workload by its name is not supported yet)"},
	{edit("{path: /cart}", "{path: /cart, method: POST, body: {fromFile: cart.json}}"), ":18: load.requests[0].body: fromFile is not supported yet"},
	{edit("{path: /cart}", "{path: /cart, headers: {Authorization: {fromSecret: token}}}"), ":18: load.requests[0].headers.Authorization: fromSecret is not supported yet"},
	{edit("min: 40", "kind: threshold"), ":13: gate.kind: not supported yet; supported: errors and latency limits"},

	// Who and why.
	{edit("name: good", "name: Not_Good"), `:3: metadata.name: "Not_Good" names no namespace`},
	{edit("[canary]", "[Two Words]"), `:3: metadata.labels[0]: "Two Words" is no label`},
	{edit("why: It shows what is wrong with the others.", "why: ' '"), ":4: why: empty"},

	// The app.
	{edit("ko://./scenarios/testdata/prog", "ko://./scenarios/testdata"), ":6: app.image: no Go program in "},
	{edit("ko://./scenarios/testdata/prog", "ko://example.com/podinfo@latest"), `:6: app.image: "ko://example.com/podinfo@latest" is no Go program: write ko://./dir`},
	{edit("ko://./scenarios/testdata/prog", "'oci-archive:'"), `:6: app.image: "oci-archive:" names no file: write oci-archive:FILE`},
	{edit("ko://./scenarios/testdata/prog", "https://example.com/shop"), ":6: app.image: \"https://example.com/shop\" is no image: write ko://"},
	{edit("candidate: {env", "candidate: {image: 'two words', env"), ":11: app.candidate.image: "},
	{edit("service: shop", "service: 9shop"), `:7: app.service: "9shop" names no Service`},
	{edit("{http: 8080}", "{web: 8080}"), ":8: app.ports: no port named http"},
	{edit("8080", "80800"), ":8: app.ports.http: 80800 is no port"},
	{edit("{header: X-Version}", "\n    header: X-Version\n    json: version"), ":9: app.version: header (line 10) and json (line 11) are both given"},
	{edit("  service: shop", "  service: shop\n  readiness: {period: 500ms}"), ":8: app.readiness.period: 500ms: Kubernetes counts whole seconds"},
	{edit("  service: shop", "  service: shop\n  drain: 30s"), ":8: app.drain: 30s of waiting leaves nothing of grace, 30s"},
	{edit("  service: shop", "  service: shop\n  writable: [tmp]"), `:8: app.writable[0]: "tmp" is no folder of a container: write an absolute path`},
	{edit("  service: shop", "  service: shop\n  writable: [/]"), `:8: app.writable[0]: "/" is no folder of a container`},
	{edit("  service: shop", "  service: shop\n  writable: [/tmp, /tmp]"), `:8: app.writable[1]: "/tmp" is given twice`},
	{edit("candidate: {env", "candidate: {replicas: 0, env"), ":11: app.candidate.replicas: 0: write 1 or more"},

	// What it depends on.
	{with("{name: db}"), ":13: dependencies[0].image: missing"},
	{with("{name: DB, image: redis:7}"), `:13: dependencies[0].name: "DB" is no name: write up to 63 small letters`},
	{with("{name: db, image: redis:7}\n  - {name: db, image: redis:8}"), `:14: dependencies[1].name: "db" is also the name on line 13`},
	{with("{name: db, image: 'two words'}"), `:13: dependencies[0].image: "two words" is no image: write ko://`},
	{with("{name: db, image: redis:7, ports: {Redis: 6379}}"), `:13: dependencies[0].ports.Redis: "Redis" is no name of a port`},
	{with("{name: db, image: redis:7, ports: {redis: 0}}"), ":13: dependencies[0].ports.redis: 0 is no port"},
	{with("{name: db, image: redis:7, port: 6379}"), ":13: dependencies[0].port: unknown key; known here: args, command, env, files, image, name, ports, wait; did you mean \"ports\"?"},
	{with("{name: db, image: redis:7, files: {redis.conf: x}}"), `:13: dependencies[0].files.redis.conf: "redis.conf" is no file of a container`},
	{with("{name: db, image: redis:7, wait: {timeout: 0s}}"), ":13: dependencies[0].wait.timeout: 0s is over before anything can be ready"},
	{with("{name: db, image: redis:7, wait: {times: 2}}"), ":13: dependencies[0].wait.times: only with log"},
	{with("{name: db, image: redis:7, wait: {log: x, times: 0}}"), ":13: dependencies[0].wait.times: 0: write 1 or more"},
	{with("{name: db, image: redis:7, wait: {log: ''}}"), ":13: dependencies[0].wait.log: empty"},
	{with("{name: db, image: redis:7, wait: {exec: []}}"), ":13: dependencies[0].wait.exec: empty"},
	{with("{name: db, image: redis:7, wait: {http: {}}}"), ":13: dependencies[0].wait.http.path: missing"},
	{with("{name: db, image: redis:7, wait: {http: {path: /}}}"), ":13: dependencies[0].wait.http: db has 0 ports: name the one to ask as port"},
	{with("{name: db, image: redis:7, ports: {admin: 80}, wait: {http: {path: /, port: amin}}}"), `:13: dependencies[0].wait.http.port: no port "amin"; its ports: admin; did you mean "admin"?`},
	{with("{name: db, image: redis:7, ports: {admin: 80}, wait: {http: {path: up}}}"), `:13: dependencies[0].wait.http.path: "up" must begin with /`},

	// References to it.
	{edit("VERSION: v2", "STORE: '${dependencies.db.host}'"), ":11: app.candidate.env.STORE: ${dependencies.db.host}: no dependency is there yet"},
	{with("{name: db, image: redis:7, ports: {redis: 6379}}", "VERSION: v2", "STORE: '${dependencies.dv.host}:1'"),
		`:11: app.candidate.env.STORE: ${dependencies.dv.host} stands for nothing; known here: ${dependencies.db.host}, ${dependencies.db.port.redis}, ${dependencies.db.port}; did you mean "${dependencies.db.host}"?`},
	{with("{name: db, image: redis:7, ports: {a: 1, b: 2}}", "VERSION: v2", "PORT: '${dependencies.db.port}'"),
		":11: app.candidate.env.PORT: ${dependencies.db.port} stands for nothing; known here: ${dependencies.db.host}, ${dependencies.db.port.a}, ${dependencies.db.port.b}"},
	{with("{name: db, image: redis:7}", "  service: shop", "  service: shop\n  args: [--db, '${dependencies.db.host']"), ":8: app.args[1]: ${dependencies.db.host stands for nothing"},
	{with("{name: db, image: redis:7}", "path: /cart", "path: '/${dependencies.db.host}'"), ":20: load.requests[0].path: ${dependencies.db.host} is not filled in here"},
	{with("{name: a, image: redis:7, env: {B: '${dependencies.b.host}'}}\n  - {name: b, image: redis:7}"), ":13: dependencies[0].env.B: ${dependencies.b.host}: no dependency is there yet; write it under dependencies, above what refers to it"},

	// The release.
	{edit("canary, steps", "canry, steps"), `:12: release.strategy: unknown strategy "canry"; known: a-b, blue-green, canary`},
	{edit("[10, 50, 100]", "[10, 50]"), ":12: release.steps: strategy canary: the last step is 50: it must be 100"},
	{edit("[10, 50, 100]", "[50, 50, 100]"), ":12: release.steps: strategy canary: step 50 does not follow 50"},
	{edit("[10, 50, 100]", "[0, 50, 100]"), ":12: release.steps: strategy canary: step 0 does not follow 0"},
	{edit("[10, 50, 100]", "[]"), ":12: release.steps: strategy canary: steps are missing"},
	{edit("canary, steps: [10, 50, 100]", "canry, steps: []"), ":12: release.strategy: unknown strategy"},
	{edit("canary, steps", "rolling, steps"), ":12: release.steps: strategy rolling has no use for it: leave it out"},
	{edit("canary, steps: [10, 50, 100]", "rolling, maxSurge: many", "step: weight-50", "step: promote"), `:12: release.maxSurge: bad number of pods "many": write a whole number such as 1, or a share up to 100%`},
	{edit("canary, steps: [10, 50, 100]", "rolling, maxSurge: 0, maxUnavailable: 0"), ":12: release.maxUnavailable: with maxSurge 0 too no pod could ever be replaced"},
	{edit("canary, steps: [10, 50, 100]", "rolling, progressDeadline: 1500ms", "step: weight-50", "step: promote"), ":12: release.progressDeadline: 1.5s: Kubernetes counts whole seconds here"},
	{edit("canary, steps: [10, 50, 100]", "rolling, partitions: [1, 0]"), ":12: release.partitions: only a StatefulSet has partitions"},
	{edit("canary, steps: [10, 50, 100]", "blue-green, router: replicas"), `:12: release.router: strategy blue-green has no router "replicas"; it has: service, gateway`},
	{edit("canary, steps", "canary, router: envoy, steps"), `:12: release.router: unknown word "envoy"; known here: gateway, service, replicas`},
	{edit("canary, steps: [10, 50, 100]", "a-b"), ":12: release.match: strategy a-b: missing"},
	{edit("canary, steps: [10, 50, 100]", "a-b, match: {header: X-Group}"), ":12: release.match.value: missing"},
	{edit("canary, steps: [10, 50, 100]", "a-b, match: {header: X-Group, value: beta}", "step: weight-50", "step: promote"), ":12: release.match: no request of the load carries it"},
	{edit("canary, steps: [10, 50, 100]", "shadow, steps: []", "step: weight-50", "step: promote"), ":12: release.steps: strategy shadow: steps are missing"},
	{edit("canary, steps: [10, 50, 100]", "shadow, steps: [50, 10]", "step: weight-50", "step: promote"), ":12: release.steps: strategy shadow: step 10 does not follow 50"},
	{edit("canary, steps", "canary, mirrorWrites: true, steps"), ":12: release.mirrorWrites: strategy canary has no use for it: leave it out"},
	{edit("canary, steps: [10, 50, 100]", "shadow, steps: [50]", "step: weight-50", "step: mirror-50", "{path: /cart}", "{path: /orders, method: POST}"),
		":12: release.mirrorWrites: no request of the load is GET, HEAD, OPTIONS, and others are not copied"},
	{edit("canary, steps: [10, 50, 100]", "shadow, steps: [10, 50]", "step: weight-50", "step: mirror-50"), ":13: gate: nothing is judged at mirror-10, mirror-50: users meet the baseline there"},
	{edit("canary, steps: [10, 50, 100]", "shadow, steps: [10, 50]", "step: weight-50", "step: mirror-50", "min: 40", "command: [{run: [./ok], steps: [mirror-50]}]"),
		":13: gate: nothing is judged at mirror-10: users meet"},
	{edit("  service:", "  kind: StatefulSet\n  service:"), ":13: release.strategy: strategy canary cannot release a StatefulSet; strategies that can: rolling"},
	{edit("  service:", "  kind: DaemonSet\n  service:"), `app.kind: unknown word "DaemonSet"; known here: Deployment, StatefulSet`},
	{edit("hold: 4s", "hold: 4s, supersede: {step: rollback, by: {env: {VERSION: v3}}}"), `:12: release.supersede.step: no step "rollback" that a third version could arrive at; those: deploy-candidate, weight-10`},
	{edit("hold: 4s", "hold: 4s, supersede: {step: weight-10, by: {replicas: 0}}"), ":12: release.supersede.by.replicas: 0: write 1 or more"},
	{edit("hold: 4s", "hold: 4s, supersede: {step: weight-10}"), ":12: release.supersede.by: missing"},
	{edit("hold: 4s", "hold: 4s, deadline: 12s"), ":12: release.deadline: 12s is over before 3 steps have held 4s each, which takes 12s"},

	// The gate.
	{edit("errors: {max: 1%}, ", ""), ":13: gate: limits nothing: set errors.max"},
	{edit("errors: {max: 1%}", "latency: {p98: 1s}"), ":13: gate.latency.p98: is not a known quantile: use one of p50, p90, p95, p99, p99.9"},
	{edit("min: 40", "noData: promote"), `:13: gate.noData: unknown word "promote"; known here: rollback, hold, proceed`},
	{edit("min: 40", "min: 0"), ":13: gate.min: 0: a reading without requests says nothing"},
	{edit("min: 40", "min: 201"), ":13: gate.min: 201 requests take the candidate 10s at weight-10 (20/s of 200/s); a reading may take 10 times every, 10s"},

	// What else gates ask.
	{gate("prometheus: {url: 'http://a', query: up, max: 1}"), `:13: gate.prometheus: keys instead of a list: write [a, b]`},
	{gate("prometheus: [{query: up, max: 1}]"), ":13: gate.prometheus[0].url: missing"},
	{gate("prometheus: [{url: 'http://a', max: 1}]"), ":13: gate.prometheus[0].query: missing"},
	{gate("prometheus: [{url: 'http://a', query: up}]"), ":13: gate.prometheus[0]: limits nothing: set max, min or both"},
	{gate("prometheus: [{url: a:9090, query: up, max: 1}]"), `:13: gate.prometheus[0].url: is "a:9090", which is no address: write http://HOST:PORT`},
	{gate("prometheus: [{url: 'http://prometheus.svc:9090', query: up, max: 1}]"), `:13: gate.prometheus[0].url: is "http://prometheus.svc:9090": a Service of the cluster is SERVICE.NAMESPACE.svc`},
	{gate("prometheus: [{url: 'http://a', query: 'sum(up', max: 1}]"), ":13: gate.prometheus[0].query: is no PromQL: "},
	{gate("prometheus: [{url: 'http://a', query: ' ', max: 1}]"), ":13: gate.prometheus[0].query: is empty"},
	{gate("prometheus: [{url: 'http://a', query: 'up{n=\"{{.Namspace}}\"}', max: 1}]"), ":13: gate.prometheus[0].query: cannot be filled in ("},
	{gate("prometheus: [{url: 'http://a', query: up, max: lots}]"), `:13: gate.prometheus[0].max: bad limit "lots": write a number such as 0.01, a percentage such as 1%, or seconds`},
	{gate("prometheus: [{url: 'http://a', query: up, max: .inf}]"), `:13: gate.prometheus[0].max: bad limit ".inf"`},
	{gate("prometheus: [{url: 'http://a', query: up, max: 1%, min: 2%}]"), ":13: gate.prometheus[0].min: is 2% and max is 1%: nothing lies between"},
	{gate("prometheus: [{url: 'http://a', query: up, max: 1, maxAge: 0s}]"), ":13: gate.prometheus[0].maxAge: is 0s: write how old"},
	{gate("prometheus: [{url: 'http://a', query: up, max: 1, timeout: 0s}]"), ":13: gate.prometheus[0].timeout: is 0s: write how long"},
	{gate("prometheus: [{url: 'http://a', query: up, max: 1, step: [x]}]"), `:13: gate.prometheus[0].step: unknown key; known here: absent, headers, max, maxAge, min, name, query, steps, timeout, url; did you mean "steps"?`},
	{gate("sequential: {alpha: 1%}"), ":13: gate.sequential.alpha: unknown key; known here: harm, metrics, promote, ratio, slack, slower, soak, tolerate"},
	{gate("sequential: {metrics: [cpu]}"), `:13: gate.sequential.metrics: has "cpu": what can be compared is errors, latency`},
	{gate("sequential: {metrics: []}"), ":13: gate.sequential.metrics: is empty: name what is compared"},
	{gate("sequential: {metrics: [errors, errors]}"), ":13: gate.sequential.metrics: has errors twice"},
	{gate("sequential: {harm: 0%}"), ":13: gate.sequential.harm: is 0%: write the chance of a wrong decision"},
	{gate("sequential: {promote: 60%}"), ":13: gate.sequential.promote: is 60%: write the chance of a wrong decision"},
	{gate("sequential: {harm: 0.01}"), `:13: gate.sequential.harm: bad percentage "0.01"`},
	{gate("sequential: {ratio: 1}"), ":13: gate.sequential.ratio: is 1: write how many times the baseline's rate"},
	{gate("sequential: {ratio: twice}"), `:13: gate.sequential.ratio: bad limit "twice"`},
	{gate("sequential: {tolerate: 0%}"), ":13: gate.sequential.tolerate: is 0%: write a rate that is acceptable"},
	{gate("sequential: {slower: 20}"), `:13: gate.sequential.slower: bad percentage "20"`},
	{gate("sequential: {slack: -5ms}"), `:13: gate.sequential.slack: bad duration "-5ms": it is negative`},
	{gate("sequential: {soak: 0s}"), ":13: gate.sequential.soak: is 0s: write how long a step may wait"},
	{gate("sequential: {soak: 3m}"), ":13: gate.sequential.soak: is 3m0s: the release is over after 3m0s, its deadline"},
	{gate("compare: {metrics: [cpu]}"), `:13: gate.compare.metrics: has "cpu": what can be compared is errors, latency`},
	{gate("compare: {tolerate: 100%}"), ":13: gate.compare.tolerate: is 100%: write a share of errors that is borne"},
	{gate("compare: {slower: 20}"), `:13: gate.compare.slower: bad percentage "20"`},
	{gate("compare: {slack: 5}"), `:13: gate.compare.slack: bad duration "5"`},
	{gate("compare: {confidence: 100%}"), ":13: gate.compare.confidence: is 100%: write how sure a failing reading is"},
	{gate("compare: {max: 20%}"), ":13: gate.compare.max: unknown key; known here: confidence, metrics, slack, slower, tolerate"},
	{edit("errors: {max: 1%}, min: 40", "compare: {}, min: 400"), ":13: gate.min: 400 requests take the candidate 20s at weight-10"},
	{gate("webhook: [{}]"), ":13: gate.webhook[0].url: missing"},
	{gate("webhook: [{url: 'ftp://a'}]"), `:13: gate.webhook[0].url: is "ftp://a", which is no address`},
	{gate("webhook: [{url: 'http://a', statusOnly: sure}]"), `:13: gate.webhook[0].statusOnly: "sure" instead of true or false`},
	{gate("webhook: [{url: 'http://a', headers: {'a(b': c}}]"), `:13: gate.webhook[0].headers.a(b: "a(b" is no header name`},
	{gate("webhook: [{url: 'http://a', steps: [weight-25]}]"), `:13: gate.webhook[0].steps[0]: no gate is asked at a step "weight-25" of this release; it is at weight-10, weight-50, weight-100, promote`},
	{gate("webhook: [{url: 'http://a', steps: [deploy-candidate]}]"), `:13: gate.webhook[0].steps[0]: no gate is asked at a step "deploy-candidate"`},
	{gate("webhook: [{url: 'http://a', steps: []}]"), ":13: gate.webhook[0].steps: empty: it would never be asked"},
	{gate("webhook: [{url: 'http://a', name: a}, {url: 'http://b', name: a}]"), `:13: gate.webhook[1].name: "a" is also the name of gate.webhook[0]`},
	{gate("webhook: [{url: 'http://a', name: threshold}]"), `:13: gate.webhook[0].name: "threshold" is also the name of the limits`},
	{gate("command: [{}]"), ":13: gate.command[0]: has to have exactly one of run and job"},
	{gate("command: [{run: ['true'], job: {image: 'registry.example.com/a:1'}}]"), ":13: gate.command[0]: has to have exactly one of run and job"},
	{gate("command: [{run: ['']}]"), ":13: gate.command[0].run: begins with an empty text"},
	{gate("command: [{run: [a, '{{.Pod}}']}]"), ":13: gate.command[0].run[1]: cannot be filled in"},
	{gate("command: [{run: [a], env: {CUTOVER_STEP: b}}]"), ":13: gate.command[0].env.CUTOVER_STEP: is given by cutover: choose another name"},
	{gate("command: [{run: [a], env: {'A=B': b}}]"), ":13: gate.command[0].env.A=B: is no name of a variable"},
	{gate("command: [{run: [a], timeout: 4m}]"), ":13: gate.command[0].timeout: 4m0s: the release is over after 3m0s, its deadline"},
	{gate("command: [{job: {}}]"), ":13: gate.command[0].job.image: missing"},
	{gate("command: [{job: {image: 'two words'}}]"), `:13: gate.command[0].job.image: "two words" is no image: write ko://`},
	{gate("approval: [{timeout: 1m}]"), ":13: gate.approval: a list instead of keys"},
	{gate("approval: {timeout: 0s}"), ":13: gate.approval.timeout: is 0s: write how long"},
	{gate("approval: {ask: 'look at {{.Dashboard}}'}"), ":13: gate.approval.ask: cannot be filled in"},

	// The load.
	{edit("rate: 200/s", "rate: 0/s"), ":15: load.rate: "},
	{edit("99.9%", "100%"), ":16: load.slo.availability: 100% cannot be judged"},
	{edit("latency: 500ms", "latency: 0s"), ":16: load.slo.latency: "},
	{edit("latency: 500ms", "latency: 6s"), ":14: load.timeout: 5s is shorter than load.slo.latency 6s"},
	{edit("  rate: 200/s", "  rate: 200/s\n  warmup: 1h"), ":16: load.warmup: 1h0m0s: write more than 0s and at most 5m0s"},
	{edit("  rate: 200/s", "  rate: 200/s\n  arrivals: bursts"), `:16: load.arrivals: unknown word "bursts"; known here: poisson, constant`},
	{edit("requests:\n    - {path: /cart}", "requests: []"), ":17: load.requests: is empty: write at least one"},
	{edit("path: /cart", "path: cart"), `:18: load.requests[0]: path "cart" must begin with a slash`},
	{edit("path: /cart", "path: /cart, method: get"), `:18: load.requests[0].method: unknown word "get"; known here: GET, HEAD`},
	{edit("path: /cart", "path: /cart, weight: -1"), ":18: load.requests[0].weight: -1 sends nothing: write 1 or more"},
	{edit("path: /cart", "path: /cart, weight: 0"), ":18: load.requests[0].weight: 0 sends nothing"},
	{edit("path: /cart", "path: /cart, write: true"), ":18: load.requests[0].write: GET writes nothing"},
	// Requests that once came, in place of those that are written down.
	{edit("  rate: 200/s\n", ""), ":14: load.rate: is missing"},
	{edit("  requests:\n    - {path: /cart}\n", ""), ":14: load.requests: is empty"},
	{edit("  rate: 200/s", "  rate: 200/s\n  replay: {file: a.har}", "  requests:\n    - {path: /cart}\n", ""), ":15: load.rate: the recording says what is sent, and when"},
	{replay("replay: {speed: 2}"), ":15: load.replay.file: missing"},
	{replay("replay: {file: none.har}"), ":15: load.replay.file: there is no file "},
	{replay("replay: {file: scenarios/testdata/prog/main.go}"), "main.go:1: no HAR, no line of Traefik's"},
	{replay("replay: {file: scenarios/recordings/shop.ndjson, methods: [HEAD]}"), "shop.ndjson:1: no request to send again among "},
	{replay("replay: {file: scenarios/recordings/shop.ndjson, speed: fast}"), `:15: load.replay.speed: bad speed "fast"`},
	{replay("replay: {file: scenarios/recordings/shop.ndjson, speed: 1000}"), "cannot be sent from here: lower speed"},
	{replay("replay: {file: scenarios/recordings/shop.ndjson, then: stop}"), `:15: load.replay.then: unknown word "stop"; known here: loop, end`},
	{edit("  rate: 200/s", "  rate: 200/s\n  arrivals: replay"), ":14: load.replay: is missing: write the file that holds the requests"},
	{edit("  rate: 200/s\n", "  replay: {file: scenarios/recordings/shop.ndjson}\n", "  requests:\n    - {path: /cart}\n", ""), ":15: load.replay: is not sent with arrivals: poisson"},
	{edit("  rate: 200/s", "  rate: 200/s\n  targets: none.txt", "  requests:\n    - {path: /cart}\n", ""), ":16: load.targets: there is no file "},
	{edit("  rate: 200/s", "  rate: 200/s\n  targets: go.mod", "  requests:\n    - {path: /cart}\n", ""), "go.mod: target 1: bad method: module"},
	{edit("  rate: 200/s", "  rate: 200/s\n  targets: none.txt"), ":18: load.requests: the targets say what is sent: leave this out, or targets"},
	{edit("  rate: 200/s", "  rate: 200/s\n  protocol: h2"), `:16: load.protocol: unknown word "h2"; known here: http1, h2c, grpc`},
	{edit("  rate: 200/s", "  rate: 200/s\n  descriptors: shop.pb"), ":16: load.descriptors: is for protocol: grpc: leave it out"},
	{edit("  rate: 200/s", "  rate: 200/s\n  protocol: grpc"), ":19: load.requests[0]: grpc is written with protocol: grpc"},
	{edit("  rate: 200/s", "  rate: 200/s\n  protocol: grpc\n  descriptors: none.pb"), ":17: load.descriptors: there is no file "},
	{edit("  rate: 200/s", "  rate: 200/s\n  protocol: grpc\n  descriptors: go.mod"), "go.mod is no set of descriptors: make it with protoc"},
	{edit("{path: /cart}", "{grpc: {method: shop.Cart/Get}}"), `:18: load.requests[0]: grpc.method "shop.Cart/Get" was not looked up: load.descriptors is missing`},
	{edit("{path: /cart}", "{grpc: {message: {}}}"), ":18: load.requests[0].grpc.method: missing"},
	{edit("{path: /cart}", "{path: /cart, expect: {grpcStatus: [5]}}"), ":18: load.requests[0]: expect.grpcStatus is of calls"},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {}"), ":16: load.shape: has 0 forms: write exactly one of ramp, sine and steps"},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {ramp: {to: 0/s, over: 60s}}"), `:16: load.shape.ramp.to: bad rate "0/s": it must be above zero`},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {ramp: {to: 400/s}}"), ":16: load.shape.ramp.over: missing"},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {sine: {amplitude: 200/s, period: 60s}}"), ":16: load.shape.sine.amplitude: 200/s is not below load.rate 200/s"},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {steps: [{at: 30s, rate: -1/s}]}"), `:16: load.shape.steps[0].rate: bad rate "-1/s": it must be above zero`},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {steps: [{at: 30s, rate: 3/s}, {at: 20s, rate: 5/s}]}"), ":16: load.shape.steps[1].at: 20s is not after 30s"},
	{edit("  rate: 200/s", "  rate: 60000/s\n  shape: {sine: {amplitude: 50000/s, period: 60s}}"), ":16: load.shape: comes to 110000 requests a second, and more than 100000"},
	{edit("  rate: 200/s", "  rate: 200/s\n  shape: {ramp: {to: 5/s, over: 60s}}"), "(0.5/s of 5/s); a reading may take 10 times every"},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {share: 0%}"), ":16: load.diff.share: 0% compares nothing"},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {ignore: [status, total]}"), `:16: load.diff.ignore[1]: "total" is no field of an answer: write status, format, header.NAME, body or a path below it`},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {}", "{path: /cart}", "{path: /cart, method: POST}"), ":16: load.diff: compares nothing: load.requests has no GET or HEAD"},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {}", "  service: shop", "  service: shop\n  replicas: 1"), ":8: app.replicas: 1: load.diff compares two pods of the baseline"},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {}", "baseline: {", "baseline: {replicas: 1, "), ":10: app.baseline.replicas: 1: load.diff compares two pods of the baseline"},
	{edit("  rate: 200/s", "  rate: 200/s\n  diff: {}", "{strategy: canary, steps: [10, 50, 100], hold: 4s}", "{strategy: recreate}", "step: weight-50", "step: recreate"), ":16: load.diff: a release by recreate has no two versions at a time"},
	{edit("path: /cart", "path: /cart, expect: {status: [20]}"), ":18: load.requests[0]: expect.status 20 is no status"},
	{edit("path: /cart", "path: /cart, headers: {'a b': c}"), `:18: load.requests[0].headers.a b: "a b" is no header name`},

	// The faults.
	{edit("{step: weight-50}", "{step: weight-25}"), `:20: faults[0].at.step: no step "weight-25" in this release; its steps: deploy-candidate, weight-10, weight-50, weight-100, promote, rollback`},
	{edit("{step: weight-50}", "{step: promotes}"), `did you mean "promote"?`},
	{edit("{step: weight-50}", "{}"), ":20: faults[0].at: 0 of step, write, request, after and event are given"},
	{edit("{step: weight-50}", "{step: weight-50, after: 2s}"), ":20: faults[0].at: 2 of step, write, request, after and event are given"},
	{edit("{step: weight-50}", "{after: 2s, when: live}"), ":20: faults[0].at.when: only with step"},
	{edit("{step: weight-50}", "{step: weight-50, when: later}"), ":20: faults[0].at.when: unknown word \"later\"; known here: before, begin, live, after"},
	{edit("{step: weight-50}", "{event: promotion}"), `:20: faults[0].at.event: unknown word "promotion"; known here: rollback`},
	{edit("spec: {action: delay", "spec: {duration: 9s, action: delay"), ":21: faults[0].for: the duration is also given as chaos.spec.duration on line 25"},
	{edit("kind: NetworkChaos", "kind: NetwrkChaos"), `:24: faults[0].chaos.kind: unknown kind "NetwrkChaos"`},
	{edit("kind: NetworkChaos", "kind: TimeChaos"), ":24: faults[0].chaos.kind: TimeChaos is not supported yet"},
	{edit("latency: 600ms}}", "\n        latency: 600x}}"), `:26: faults[0].chaos.spec.delay.latency: bad duration "600x"`},
	{edit("delay: {latency", "selector: {}, delay: {latency"), ":25: faults[0].chaos.spec.selector: the fault's target gives the selector"},
	{edit("    for: 20s\n", ""), ":22: faults[0].chaos: the fault lasts and nothing says how long: add for: 20s"},
	{edit("NetworkChaos", "PodChaos", "action: delay, delay: {latency: 600ms}", "action: pod-kill"), ":23: faults[0].chaos: "},
	{edit("NetworkChaos", "PodChaos", "action: delay, delay: {latency: 600ms}", "action: pod-kill", "    for: 20s\n", "", "mttr: 15s", "recoverAfterFault: 5s"),
		":25: expect.recoverAfterFault: not measured without a fault that lasts"},

	// What is expected, and how it is judged.
	{edit("outcome: rolled-back", "outcome: rolledback"), `:26: expect.outcome: unknown word "rolledback"; known here: promoted, rolled-back, stuck, failed; did you mean "rolled-back"?`},
	{edit("{outcome: rolled-back, mttr: 15s}", "{}"), ":26: expect: nothing is expected"},
	{edit("mttr: 15s", "lostWrites: 0"), ":26: expect.lostWrites: not measured without a request that is read back"},
	{edit("mttr: 15s", "lostWrites: -1", "{path: /cart}", "{path: '/a/{{.ID}}', method: PUT, write: true, readBack: {path: '/a/{{.ID}}'}}"), ":26: expect.lostWrites: fewer than none"},
	{edit("path: /cart", "path: '/a/{{.ID}}', method: PUT, write: true, readBack: {}"), ":18: load.requests[0].readBack.path: missing"},
	{edit("path: /cart", "path: '/a', method: PUT, write: true, readBack: {path: '/a/{{.ID}}'}"), ":18: load.requests[0]: readBack takes writes that can be told apart"},
	{edit("mttr: 15s", "diff: none"), ":26: expect.diff: not measured without load.diff"},
	{edit("mttr: 15s", "diff: 0", "  rate: 200/s", "  rate: 200/s\n  diff: {}"), `:27: expect.diff: 0 is not a text`},
	{edit("mttr: 15s", "diff: some", "  rate: 200/s", "  rate: 200/s\n  diff: {}"), `:27: expect.diff: unknown word "some"; known here: none`},
	{edit("mttr: 15s", "mttr: 0s"), ":26: expect.mttr: 0s cannot be met"},
	{edit("mttr: 15s", "availability: 0%"), ":26: expect.availability: 0% is always met"},
	{edit("gate: {errors: {max: 1%}, min: 40}\n", "", "mttr: 15s", "detection: 5s"), ":25: expect.detection: not measured without a gate"},
	{edit("rolled-back, mttr: 15s", "promoted, detection: 5s"), ":26: expect.detection: not measured in a release that is promoted"},
	{edit("expect:", "recover: {confirm: 0s}\nexpect:"), ":26: recover.confirm: 0s confirms nothing"},
	{edit("expect:", "recover: {confirm: 10s, within: 5s}\nexpect:"), ":26: recover.within: 5s is over before confirm, 10s"},
	{edit("expect:", "control: {verdict: pass}\nexpect:"), ":26: control.verdict: unknown word \"pass\"; known here: fail, invalid"},
	{edit("expect:", "control: {verdict: fail, step: weight-5}\nexpect:"), `:26: control.step: no step "weight-5" in this release; its steps: deploy-candidate`},
	{edit("expect:", "control: {verdict: invalid, step: weight-50}\nexpect:"), ":26: control.step: only a run that fails went wrong at a step"},
	{edit("labels:", "flaw: no drain, labels:"), ":3: metadata.flaw: of which subject? write metadata.subject too"},
	{edit("labels:", "subject: a script, flaw: no drain, labels:"), ":3: metadata.flaw: a scenario whose subject has a flaw must fail: write control"},
	{edit("expect:", "control: {verdict: fail, check: mtr}\nexpect:"), `:26: control.check: unknown word "mtr"`},
	{edit("expect:", "control: {verdict: fail, check: availability}\nexpect:"), ":26: control.check: availability is not judged: expect.availability is not given"},
	{edit("mttr: 15s", "procedure: {exit: 0}"), ":26: expect.procedure: there is no procedure"},
	{edit("strategy: canary, steps: [10, 50, 100], hold: 4s", "strategy: procedure", "{step: weight-50}", "{after: 2s}"), ":12: release.strategy: the procedure is missing"},

	{edit("expect:", "seed: today\nexpect:"), `:26: seed: "today" instead of a whole number`},
}

func TestMistakesAreExplained(t *testing.T) {
	for _, row := range bad {
		text := good
		for i := 0; i < len(row.edits); i += 2 {
			text = strings.Replace(text, row.edits[i], row.edits[i+1], 1)
		}
		_, err := decode(text)
		switch {
		case text == good:
			t.Errorf("%q changes nothing", row.edits)
		case err == nil:
			t.Errorf("%q: accepted, want %s", row.edits, row.want)
		case !strings.Contains(err.Error(), row.want):
			t.Errorf("%q:\n got %v\nwant %s", row.edits, err, row.want)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%q: one mistake, and more than one problem:\n%v", row.edits, err)
		}
	}
}

func TestFilesThatAreNoScenario(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		// Nothing.
		{"", ":1: empty: begin with apiVersion: cutover.dev/v1alpha1"},
		{"# later\n", ":1: empty"},
		// Nothing again.
		{"---\n", "instead of keys"},
		// Not a mapping.
		{"- a\n- b\n", ":1: a list instead of keys: begin with apiVersion"},
		// Somebody else's object is called that, once.
		{"apiVersion: apps/v1\nkind: Scenario\nspec: {}\n", `:1: apiVersion: "apps/v1" is nothing this version can read: write apiVersion: cutover.dev/v1alpha1`},
		{"kind: Scenario\n", ":1: apiVersion: missing: write apiVersion: cutover.dev/v1alpha1"},
		{"apiVersion: cutover.dev/v1alpha1\nkind: Deployment\n", `:2: kind: "Deployment" is nothing this version can read`},
		// Two scenarios.
		{good + "---\n" + good, ":27: a second document begins here"},
		// Tabs.
		{"apiVersion: cutover.dev/v1alpha1\napp:\n\timage: x\n", ":3: a tab in the indentation"},
		// Not YAML.
		{"apiVersion: {\n", "not YAML: "},
		{"a: b: c\n", ": not YAML: mapping values are not allowed"},
		// No page.
		{strings.Repeat("# long\n", 1<<18), "larger than 262144 bytes"},
	} {
		_, err := decode(row.text)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q:\n got %v\nwant %s", row.text, err, row.want)
		}
	}
}

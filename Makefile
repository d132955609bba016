# Everything a fresh Linux machine needs is behind `make e2e` and `make test`.
# `make help` lists the targets.

SHELL      := /bin/bash
GO         ?= go
CLUSTER    ?= embedded
# The corpus takes as long as all the others: `make corpus` runs it.
LABELS     ?= !corpus
ARTIFACTS  ?= $(CURDIR)/artifacts
N          ?= 100
SEED       ?=

# One program that runs on any Linux; a dynamic one works on this machine only.
export CGO_ENABLED := 0
# One way to compile, so that programs, tests and checks share what is compiled.
export GOFLAGS := $(GOFLAGS) -trimpath

.PHONY: help build e2e corpus gate-matrix gate-test kill-test conformance test check clean deps components bench bench-full bench-cluster bench-delay bench-canary images node-image chaos-mesh-images ready ready-embedded ready-kind
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  CLUSTER=$(CLUSTER) chooses the provider, LABELS='smoke && canary' the scenarios (Ginkgo label filter)"
	@echo "  N=$(N) rounds of the kill test; SEED=… repeats the draw of one that was printed"

build: ## build bin/cutover
	$(GO) build -o bin/cutover ./cmd/cutover

deps: ## check what else the host needs; as root on Debian, install it
	@hack/deps

components: build deps ## build Kubernetes, containerd and the others into the cache
	@bin/cutover cluster components >/dev/null

# What a cluster of the sort CLUSTER needs before the first one is started. The nodes
# of kind have a published image where one is on the machine or can be pulled; else
# they and Chaos Mesh are built here, and what was built here is kept up to date.
ready: ready-$(CLUSTER)
ready-embedded: components
ready-kind: build deps
	@image=$$(bin/cutover cluster check --cluster kind 2>/dev/null); \
	case "$$image" in \
	  ''|cutover.local/*) $(MAKE) -s --no-print-directory node-image chaos-mesh-images && bin/cutover cluster components --cluster kind >/dev/null;; \
	  *) echo "kind: nodes are $$image, Chaos Mesh is the published one";; \
	esac

# Not every host has apt, or reaches a mirror: what is not packed is not released, and
# its scenario says so.
PACKED := bin/images/nginx-v1.oci.tar bin/images/nginx-v2.oci.tar bin/images/nginx.oci.tar bin/images/redis.oci.tar bin/images/prometheus.oci.tar
images: build ## pack servers from Debian packages, which some scenarios release or depend on
	@$(MAKE) -s --no-print-directory $(PACKED) || echo "images: not all are packed (see above); scenarios that need the others are skipped"

bin/images/nginx: hack/debian-root
	@rm -rf $@
	@hack/debian-root nginx $@
	@touch $@ # the folder has its time from a package

bin/images/redis: hack/debian-root
	@rm -rf $@
	@hack/debian-root redis-server $@
	@touch $@

# Without its usual protection, which answers nobody but the same machine.
bin/images/redis.oci.tar: bin/images/redis
	@bin/cutover image pack --root $< --owner 0:0 --user 65532:65532 --port 6379 --entrypoint /usr/bin/redis-server \
		--cmd --protected-mode --cmd no --cmd --save --cmd '' -o $@

# The program alone: pages and other programs of its packages are a quarter of a gigabyte.
bin/images/prometheus: hack/debian-root
	@rm -rf $@
	@hack/debian-root prometheus $@
	@find $@/usr/share $@/usr/bin $@/usr/sbin -mindepth 1 -not -name prometheus -delete 2>/dev/null || true
	@touch $@

bin/images/prometheus.oci.tar: bin/images/prometheus $(shell find apps/prometheus -type f)
	@bin/cutover image pack --root $< --root apps/prometheus --owner 0:0 --user 65532:65532 --port 9090 \
		--entrypoint /usr/bin/prometheus --entrypoint --config.file=/etc/prometheus/prometheus.yml --entrypoint --storage.tsdb.path=/tmp/prometheus -o $@

bin/images/nginx-%.oci.tar: bin/images/nginx $(shell find apps/nginx -type f)
	@bin/cutover image pack --root $< --root apps/nginx/$* --owner 0:0 --user 65532:65532 --port 8080 --stop-signal SIGQUIT \
		--entrypoint /usr/sbin/nginx --entrypoint -e --entrypoint stderr -o $@

# With no configuration of its own: whoever runs it as a proxy brings one along.
bin/images/nginx.oci.tar: bin/images/nginx
	@bin/cutover image pack --root $< --owner 0:0 --user 65532:65532 --port 8080 --stop-signal SIGQUIT \
		--entrypoint /usr/sbin/nginx --entrypoint -e --entrypoint stderr -o $@

# What the daemon of Chaos Mesh starts when it makes a fault. Its image is made of this
# folder and of components, by cutover itself, when a cluster is to have it.
CHAOS_DEBIAN := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cutover/debian/chaos-daemon
chaos-mesh-images: $(CHAOS_DEBIAN) ## unpack what the images of Chaos Mesh need beside components

$(CHAOS_DEBIAN): hack/debian-root
	@rm -rf $@
	@hack/debian-root base-files iptables ipset iproute2 stress-ng util-linux coreutils dash $@
	@touch $@

# Debian's packages are unpacked once for each list of them; all else that the image is
# made of is compared by its content.
node-image: build deps bin/kind-node/node bin/kind-node/proxy ## build the image of kind's nodes, where no registry can be reached
	@bin/cutover cluster node-image --node bin/kind-node/node --proxy bin/kind-node/proxy

bin/kind-node/%: kind-config/node/%.packages hack/debian-root
	@rm -rf $@
	@hack/debian-root $$(cat $<) $@
	@touch $@ # the folder has its time from a package

corpus: ready images ## release in ways with known flaws, and say which were found; half an hour
	@mkdir -p $(ARTIFACTS)
	bin/cutover corpus --cluster $(CLUSTER) --out $(ARTIFACTS)/corpus

gate-matrix: ## break the source of every gate in every way; UPDATE=1 writes the table of docs/gates.md
	$(GO) test -count=1 -run TestFailOpen ./experiment $(if $(UPDATE),-update)

# A quarter of an hour. Whether all are caught is for the table to say, not for make.
gate-test: ready ## release bad and harmless candidates under the gate of GATE and count what it catches; UPDATE=1 writes the table of docs/gates.md
	@mkdir -p $(ARTIFACTS)
	bin/cutover gate test $(or $(GATE),scenarios/gate-mutants.yaml) --cluster $(CLUSTER) --output markdown --out $(ARTIFACTS)/gate-test >$(ARTIFACTS)/gate-test.md; code=$$?; test $$code -le 2
	@cat $(ARTIFACTS)/gate-test.md
	$(if $(UPDATE),awk -v table=$(ARTIFACTS)/gate-test.md '/<!-- gate-test -->/ {print; while ((getline line < table) > 0) print line; skip = 1} /<!-- end of gate-test -->/ {skip = 0} !skip' docs/gates.md >bin/gates.md && mv bin/gates.md docs/gates.md)

e2e: ready images gate-matrix ## release real applications on a real cluster and judge them
	@mkdir -p $(ARTIFACTS)
	CUTOVER_BINARY=$(CURDIR)/bin/cutover CUTOVER_ARTIFACTS=$(ARTIFACTS) CLUSTER=$(CLUSTER) \
	$(GO) test ./suites -v -count=1 -timeout=70m -ginkgo.timeout=60m -ginkgo.label-filter='$(LABELS)' -ginkgo.fail-on-empty -ginkgo.fail-on-pending \
		-ginkgo.v -ginkgo.no-color -ginkgo.trace -ginkgo.poll-progress-after=3m \
		-ginkgo.junit-report=$(ARTIFACTS)/e2e-junit.xml -ginkgo.json-report=$(ARTIFACTS)/e2e.json; \
	code=$$?; echo "reports: $(ARTIFACTS)/index.html"; exit $$code

# A round takes half a minute on an embedded cluster, and up to three on one of kind.
KILL_MINUTES := $(if $(filter kind,$(CLUSTER)),420,140)
kill-test: ready ## kill one process or another at drawn instants of N runs and look for what is left
	@mkdir -p $(ARTIFACTS)
	@rm -f $(ARTIFACTS)/kill-test.*
	CUTOVER_KILLS=$(N) CUTOVER_BINARY=$(CURDIR)/bin/cutover CUTOVER_ARTIFACTS=$(ARTIFACTS) CLUSTER=$(CLUSTER) \
	$(GO) test ./suites -v -count=1 -timeout=0 -ginkgo.timeout=$(KILL_MINUTES)m -ginkgo.label-filter=kill -ginkgo.fail-on-empty \
		-ginkgo.v -ginkgo.no-color -ginkgo.trace $(if $(SEED),-ginkgo.seed=$(SEED)) \
		-ginkgo.junit-report=$(ARTIFACTS)/kill-test-junit.xml; \
	code=$$?; cat $(ARTIFACTS)/kill-test.md; exit $$code

# DRIVER says who does the faults: agent or chaos-mesh; both that the cluster has, one
# after the other, if it is not set.
conformance: ready ## measure what each fault does to pods, by each driver; UPDATE=1 writes the tables of docs/faults.md
	@mkdir -p $(ARTIFACTS)
	@rm -f $(ARTIFACTS)/conformance.*
	CUTOVER_CONFORMANCE=$(or $(DRIVER),all) CUTOVER_BINARY=$(CURDIR)/bin/cutover CUTOVER_ARTIFACTS=$(ARTIFACTS) CLUSTER=$(CLUSTER) \
	$(GO) test ./suites -v -count=1 -timeout=70m -ginkgo.timeout=60m -ginkgo.label-filter=conformance -ginkgo.fail-on-empty \
		-ginkgo.v -ginkgo.no-color -ginkgo.trace $(if $(SEED),-ginkgo.seed=$(SEED)) $(if $(UPDATE),-update) \
		-ginkgo.junit-report=$(ARTIFACTS)/conformance-junit.xml; \
	code=$$?; cat $(ARTIFACTS)/conformance.md; exit $$code

# What measures time, or starts clusters, runs again without -short: alone, one
# package after the other, and without the race detector's slowness.
test: components ready ## unit tests with the race detector, and the tests that need root or a cluster; CLUSTER=kind adds those on kind
	CGO_ENABLED=1 $(GO) test -race -short -timeout=20m $$($(GO) list ./... | grep -v '/suites$$')
	CUTOVER_BINARY=$(CURDIR)/bin/cutover CLUSTER=$(CLUSTER) $(GO) test -count=1 -p 1 -timeout=30m ./loadgen ./cluster/... ./dependencies ./faults/... ./bench/delay

bench-cluster: components ## how fast a cluster is to have, and its memory, beside kind's where its node image is present
	$(GO) build -o bin/bench-cluster ./bench/cluster
	bin/bench-cluster -cutover bin/cutover -out $(ARTIFACTS)/bench-cluster.json

# Built first: beside a compiler nothing is exact.
bench-delay: ## how exact, fast and cheap the agent's delays are, beside netem's where the kernel has it; 10 minutes, as root
	$(GO) build -o bin/bench-delay ./bench/delay
	bin/bench-delay -out $(ARTIFACTS)/bench-delay.json

# Built first: beside a compiler nothing is exact. What they measure in virtual time is the
# same on every machine; the rest (4 minutes of mttr among it) wants one that is idle.
BENCHES := percentiles mttr canary mirror attack
FULL_mirror := -rounds 15 -freezes 3 -frozen 30s -runs 1000
FULL_attack := -full
bench: ## how exact, fast and reliable the measuring itself is, beside what others do; a quarter of an hour, no cluster
	@$(MAKE) -s --no-print-directory bin/images/nginx || echo "bench: nginx is not there; rows beside it are without a peer"
	@$(MAKE) -s --no-print-directory bin/bench-peers || echo "bench: wrk and hey are not there; unless they are installed, rows beside them are without a peer"
	@for name in $(BENCHES) gather; do $(GO) build -o bin/bench-$$name ./bench/$$name || exit 1; done
	@mkdir -p $(ARTIFACTS)
	@$(foreach name,$(BENCHES),bin/bench-$(name) $(if $(PAGE),$(FULL_$(name))) -out $(ARTIFACTS)/bench-$(name).json >$(ARTIFACTS)/bench-$(name).txt &&) true
	@bin/bench-gather -out $(ARTIFACTS)/bench.json $(if $(PAGE),-page $(PAGE)) $(BENCHES:%=$(ARTIFACTS)/bench-%.json)

# Peers that are programs. They are unpacked, not installed.
bin/bench-peers: hack/debian-root
	@rm -rf $@
	@hack/debian-root wrk hey $@
	@touch $@

bench-full: ## the same, some of it longer, and write the tables of docs/benchmarks.md; half an hour
	@$(MAKE) -s --no-print-directory bench PAGE=docs/benchmarks.md

bench-canary: ## how soon and how reliably a worse candidate is told from the baseline, beside what others do
	$(GO) build -o bin/bench-canary ./bench/canary
	bin/bench-canary -out $(ARTIFACTS)/bench-canary.json

check: deps ## vet, lint, import table, formatting
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod golangci-lint run
	$(GO) test -count=1 -run TestImports .

clean: ## undo what killed runs left and remove what was built here (the component cache stays)
	@if [ -x bin/cutover ]; then bin/cutover clean; fi
	rm -rf bin

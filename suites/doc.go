// Package suites holds the Ginkgo suites that `make e2e` runs: every scenario of
// scenarios/ on one real cluster, what must be left of clusters and runs that are
// killed, and nothing else. It is the only place that knows Ginkgo.
package suites

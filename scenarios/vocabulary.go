package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/verdict"
)

// required are the keys a section cannot do without.
var required = map[reflect.Type][]string{
	reflect.TypeFor[Scenario]():             {"apiVersion", "kind", "metadata", "why", "app", "load", "expect"},
	reflect.TypeFor[Metadata]():             {"name"},
	reflect.TypeFor[release.App]():          {"image", "service", "ports"},
	reflect.TypeFor[dependencies.Spec]():    {"name", "image"},
	reflect.TypeFor[dependencies.HTTP]():    {"path"},
	reflect.TypeFor[release.Manifests]():    {"baseline", "candidate"},
	reflect.TypeFor[release.Match]():        {"value"},
	reflect.TypeFor[release.Supersede]():    {"step", "by"},
	reflect.TypeFor[gates.ErrorLimit]():     {"max"},
	reflect.TypeFor[gates.Prometheus]():     {"url", "query"},
	reflect.TypeFor[gates.Webhook]():        {"url"},
	reflect.TypeFor[gates.Job]():            {"image"},
	reflect.TypeFor[loadgen.Spec]():         {"slo"},
	reflect.TypeFor[loadgen.RampSpec]():     {"to", "over"},
	reflect.TypeFor[loadgen.SineSpec]():     {"amplitude", "period"},
	reflect.TypeFor[loadgen.StepSpec]():     {"at", "rate"},
	reflect.TypeFor[loadgen.ReplaySpec]():   {"file"},
	reflect.TypeFor[history.SLO]():          {"latency", "availability"},
	reflect.TypeFor[loadgen.GRPCSpec]():     {"method"},
	reflect.TypeFor[loadgen.ReadBackSpec](): {"path"},
	reflect.TypeFor[faults.Spec]():          {"at", "target", "chaos"},
	reflect.TypeFor[faults.Chaos]():         {"kind", "spec"},
	reflect.TypeFor[history.Control]():      {"verdict"},
}

// choice is a key whose value is one of a few words.
type choice struct {
	known   []string
	planned []string // words of the format that nothing implements yet
	others  string   // what else the format allows there, but nothing implements yet
}

// choices are those keys, by their path with every index as [].
var choices = map[string]choice{
	"apiVersion":             {known: []string{APIVersion}},
	"kind":                   {known: []string{Kind}},
	"app.kind":               {known: []string{release.KindDeployment, release.KindStatefulSet}},
	"release.router":         {known: []string{"gateway", "service", "replicas"}},
	"gate.noData":            {known: []string{gates.NoDataRollback, gates.NoDataHold, gates.NoDataProceed}},
	"load.arrivals":          {known: []string{loadgen.Poisson, loadgen.Constant, loadgen.Replay}},
	"load.protocol":          {known: []string{loadgen.HTTP1, loadgen.H2C, loadgen.GRPC}},
	"load.replay.then":       {known: []string{loadgen.ThenLoop, loadgen.ThenEnd}},
	"load.requests[].method": {known: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}},
	"faults[].at.when":       {known: []string{"before", "begin", "live", "after"}},
	"faults[].at.event":      {known: []string{"rollback"}},
	"faults[].at.request.verb": {known: []string{
		"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "exec", "attach", "port-forward", "proxy",
	}},
	"faults[].target": {
		known:   []string{"candidate", "baseline", "both", faults.TargetProcedure, faults.TargetAPIServer},
		planned: []string{"gate"},
		others:  "a workload by its name",
	},
	"expect.outcome": {known: []string{
		string(verdict.Promoted), string(verdict.RolledBack), string(verdict.Stuck), string(verdict.Failed),
	}},
	"expect.diff": {known: []string{"none"}},
	"control.verdict": {known: []string{
		string(verdict.Fail), string(verdict.Invalid), string(verdict.Skipped), string(verdict.Error),
	}},
	"control.check": {known: expectations},
}

// expectations are the checks of what a scenario expects: each is named after its key.
var expectations = []string{"outcome", "mttr", "detection", "availability", "recoverAfterFault", "procedure", "lostWrites", "diff"}

// judge says what is wrong with word; "" if nothing is.
func (c choice) judge(word string) string {
	if slices.Contains(c.known, word) {
		return ""
	}
	if slices.Contains(c.planned, word) {
		return fmt.Sprintf("%q is not supported yet; supported: %s", word, strings.Join(c.known, ", "))
	}
	text := fmt.Sprintf("unknown word %q; known here: %s", word, strings.Join(c.known, ", "))
	if c.others != "" {
		text += fmt.Sprintf(" (%s is not supported yet)", c.others)
	}
	return text + didYouMean(word, c.known)
}

// planned are keys of the format that nothing implements yet, by their path with
// every index as [], and what does the job meanwhile.
var planned = map[string]string{
	"app.manifests":        "app.image makes the Deployment and the Service",
	"app.chart":            "app.image makes the Deployment and the Service",
	"app.kustomize":        "app.image makes the Deployment and the Service",
	"app.workload":         "app.image makes the Deployment and the Service",
	"app.container":        "app.image makes the Deployment and the Service",
	"app.version.digest":   "header, json, or neither: then the gateway's access log tells",
	"app.version.image":    "header, json, or neither: then the gateway's access log tells",
	"app.baseline.values":  variants,
	"app.baseline.patch":   variants,
	"app.candidate.values": variants,
	"app.candidate.patch":  variants,
	"release.procedure":    "procedure, beside release",
	"gate.kind":            thresholds,
	"load.capture":         "load.replay, of a HAR or an access log",
	"load.mirror":          "load.diff, which asks both versions directly",
	"load.requests[].auth": "headers, with " + literal,
	"faults[].repeat":      "one entry under faults for each time",
}

const (
	variants   = "image, env, command, args and replicas differ between the versions"
	thresholds = "errors and latency limits, sequential, compare, prometheus, webhook, command and approval"
	literal    = "the text itself"
)

// measured is what can be expected.
var measured = strings.Join(expectations, ", ")

// indirect are the keys that fetch a text from somewhere else.
var indirect = []string{"fromEnv", "fromFile", "fromSecret"}

// didYouMean suggests the known word that is nearest to a mistyped one.
func didYouMean(word string, known []string) string {
	if near, ok := nearest(word, known); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// nearest finds the known word that a mistyped one most likely stands for.
func nearest(word string, known []string) (string, bool) {
	best, bestDistance := "", 3
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d < bestDistance && d*2 < len(k) {
			best, bestDistance = k, d
		}
	}
	return best, best != ""
}

// distance is how many letters must be added, dropped or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

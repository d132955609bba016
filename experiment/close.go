package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/reports"
	"github.com/cutover-dev/cutover/safety"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// healWithin bounds the end of a run: undoing, looking for residue, reports.
const healWithin = 2 * time.Minute

// close ends everything the run started, undoes what it did, proves that nothing
// is left, and judges the record.
func (r *run) close(ctx context.Context, broken error, interrupted bool) (verdict.Run, error) {
	r.phase("heal")
	if broken != nil && !interrupted {
		r.tell(history.Broken{Because: broken.Error()})
	}
	// Faults go first, so that the last answers of the load are of a healed service.
	r.faults.heal(ctx)
	r.endLoad()
	r.diagnose(ctx)
	if r.stopBack != nil {
		r.stopBack()
	}
	r.background.Wait()
	r.procedure.end()
	undoing := r.undoAll(ctx, broken)
	r.tell(history.RunEnded{Interrupted: interrupted})
	run, err := r.judge(errors.Join(undoing, r.closeLedger()))
	if !interrupted && (err != nil || !run.OK()) {
		r.keepNodeLogs(ctx)
	}
	return run, err
}

// undoAll undoes what is not undone yet and looks for what is left. What fails is in
// the record: the ledger reports every undo to it. The cluster may die before it, or
// in the middle of it.
func (r *run) undoAll(ctx context.Context, broken error) error {
	var undoing error
	if !r.lost(ctx) {
		for _, err := range r.failed.all() {
			r.tell(history.Broken{Because: err.Error()})
		}
		undoing = r.ledger.Replay(ctx, nil)
	}
	if !r.lost(ctx) {
		r.scan(ctx)
	}
	if !r.lost(ctx) {
		return undoing
	}
	if !errors.Is(broken, errLost) {
		r.tell(history.Broken{Because: errLost.Error()})
	}
	// ctx ended with the cluster, and what was beside it is still there.
	beside, cancel := context.WithTimeout(context.WithoutCancel(ctx), healWithin)
	defer cancel()
	return r.ledger.Replay(beside, gone())
}

func (r *run) closeLedger() error {
	err := r.ledger.Close()
	removeEmpty(r.ledgers)
	return err
}

func (r *run) endLoad() {
	if r.stopLoad == nil {
		return
	}
	r.stopLoad()
	if err := <-r.loadEnded; err != nil {
		r.tell(history.Broken{Because: "load: " + err.Error()})
	}
}

// scan records what is left of the run.
func (r *run) scan(ctx context.Context) {
	scanners := []safety.Scanner{func(ctx context.Context) ([]string, error) { return residue(ctx, r.client, r.id) }}
	if len(r.scenario.Dependencies) > 0 {
		scanners = append(scanners, func(ctx context.Context) ([]string, error) { return dependencies.Residue(ctx, r.id) })
	}
	if nodes, reachable := r.Cluster.(nodesReachable); reachable {
		scanners = append(scanners, func(ctx context.Context) ([]string, error) { return nodeResidue(ctx, r.client, nodes) })
	}
	left, err := safety.Scan(ctx, scanners...)
	if r.lost(ctx) {
		return // nothing is left of what was there
	}
	if err != nil {
		r.tell(history.Broken{Because: "the search for residue failed: " + err.Error()})
		if len(left) == 0 {
			return // to have found nothing would mean nothing
		}
	}
	r.tell(history.Residue{Items: append([]string{}, left...)})
}

// nodesReachable is a cluster that can run the cutover program in the network of
// each of its nodes. It gives what was printed, by node; a node that is down has
// printed nothing.
type nodesReachable interface {
	OnNodes(ctx context.Context, arguments ...string) (map[string]string, error)
}

// nodeResidue lists what is on the nodes for faults that no object asks for. Other
// runs may have faults of their own there, and one that was injected while we
// looked is known to the second look.
func nodeResidue(ctx context.Context, c client.Client, nodes nodesReachable) ([]string, error) {
	left, err := orphansOnNodes(ctx, c, nodes)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	return orphansOnNodes(ctx, c, nodes)
}

func orphansOnNodes(ctx context.Context, c client.Client, nodes nodesReachable) ([]string, error) {
	living, err := faults.Living(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("list the living faults: %w", err)
	}
	look := []string{agent.ResidueCommand}
	for _, uid := range living {
		look = append(look, string(uid))
	}
	printed, err := nodes.OnNodes(ctx, look...)
	if err != nil {
		return nil, fmt.Errorf("look at the nodes' networks: %w", err)
	}
	var left []string
	for _, node := range slices.Sorted(maps.Keys(printed)) {
		for item := range strings.Lines(printed[node]) {
			left = append(left, node+": "+strings.TrimSpace(item))
		}
	}
	return left, nil
}

// judge closes the record and computes everything else from it alone.
func (r *run) judge(undone error) (verdict.Run, error) {
	if err := r.record.Close(); err != nil {
		return verdict.Run{}, err
	}
	run, err := Report(r.Out)
	if err == nil && undone != nil && run.Verdict != verdict.Error {
		err = undone
	}
	return run, err
}

// Report judges the record in dir and writes all reports beside it. It needs no
// cluster, and can be done again.
func Report(dir string) (verdict.Run, error) {
	h, err := history.Read(dir)
	if err != nil {
		return verdict.Run{}, fmt.Errorf("read the record %s: %w", dir, err)
	}
	if _, planned := history.First[history.Plan](h.Events); !planned {
		return verdict.Run{}, fmt.Errorf("the record %s has no plan, which is written in a run's first quarter of a second: there is nothing to judge", dir)
	}
	run := verdict.Judge(h)
	for name, report := range map[string]reports.Reporter{
		"run.json":    reports.JSON(run),
		"report.html": reports.HTML(h, run),
		"report.md":   reports.Markdown(h, run),
		"junit.xml":   reports.JUnit(h, run),
	} {
		if err := WriteReport(filepath.Join(dir, name), report); err != nil {
			return run, err
		}
	}
	return run, nil
}

// WriteReport writes a report as a whole or not at all.
func WriteReport(path string, report reports.Reporter) error {
	var content bytes.Buffer
	if err := report(&content); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	aside := path + ".partial"
	if err := os.WriteFile(aside, content.Bytes(), 0o644); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(aside))
	}
	return os.Rename(aside, path)
}

// IndexEntry is a run's row in the page that links many. link leads from that page
// to the run's report.
func IndexEntry(scenario scenarios.Scenario, run verdict.Run, link string) reports.IndexEntry {
	return reports.IndexEntry{
		Plan: history.Plan{Scenario: scenario.Metadata.Name, Why: scenario.Why, Labels: scenario.Metadata.Labels, Expect: scenario.Expect, Control: scenario.Control},
		Run:  run, Link: link,
	}
}

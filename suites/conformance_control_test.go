package suites_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	chaosv1alpha1 "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/safety"
	"github.com/cutover-dev/cutover/suites/conformance"
)

// The negative controls of conformance: trials that must fail, each for its own
// reason. They are run each time, with each driver.

// control records a trial that must fail, and that it did so for the reason.
func (t *conformanceTest) control(name string, driver faults.Driver, row conformance.Row, reasons ...string) {
	GinkgoHelper()
	tell(row)
	caught := row.Result == conformance.Failed
	for _, reason := range reasons {
		caught = caught && slices.ContainsFunc(row.Because, func(why string) bool { return strings.Contains(why, reason) })
	}
	t.report.Controls = append(t.report.Controls, conformance.Control{Name: name, Driver: string(driver), Caught: caught, Row: row})
	Expect(row.Result).To(Equal(conformance.Failed))
	for _, reason := range reasons {
		Expect(row.Because).To(ContainElement(ContainSubstring(reason)))
	}
}

// unserved is an API group that nobody serves.
const unserved = "conformance.cutover.dev"

// fakeStatus tries a delay whose object says that it is in effect, because we wrote
// so into it: nobody serves it.
func (t *conformanceTest) fakeStatus(ctx SpecContext, driver faults.Driver) {
	for _, crd := range faults.CRDs(unserved) {
		Expect(client.IgnoreAlreadyExists(t.api.Create(ctx, crd))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(t.api.Delete(ctx, crd))).To(Succeed()) }, NodeTimeout(time.Minute))
	}
	delay := caseOf("NetworkChaos delay")
	stage := t.stage(faults.Service{Driver: driver, Group: unserved})
	lying, stop := context.WithCancel(ctx)
	lied := make(chan error, 1)
	go func() { lied <- t.lie(lying, stage.Ground) }()
	row := conformance.Judge(stage.Try(ctx, delay))
	stop()
	Expect(<-lied).NotTo(HaveOccurred())
	t.control("a status without an effect", driver, row, "its object says AllInjected", "its own proof does not see it")
}

// caseOf is the first case of a fault.
func caseOf(fault string) conformance.Case {
	GinkgoHelper()
	for _, c := range conformance.Cases() {
		if c.Fault == fault {
			return c
		}
	}
	Fail("no case of " + fault)
	return conformance.Case{}
}

// lie waits for the object and writes a status into it, as if every pod of the target
// were under the fault.
func (t *conformanceTest) lie(ctx context.Context, g *conformance.Ground) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: unserved, Version: "v1alpha1", Kind: chaosv1alpha1.KindNetworkChaos + "List"})
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if err := t.api.List(ctx, list, client.InNamespace(g.Namespace)); err != nil || len(list.Items) == 0 {
			return false, nil // the kind is not served yet, or there is no object
		}
		pods, err := g.Pods(ctx, conformance.Target)
		if err != nil {
			return false, err
		}
		var records []any
		for _, pod := range pods {
			records = append(records, map[string]any{"id": pod.Namespace + "/" + pod.Name, "phase": string(chaosv1alpha1.Injected), "selectorKey": "."})
		}
		condition := func(name chaosv1alpha1.ChaosConditionType) any {
			return map[string]any{"type": string(name), "status": "True"}
		}
		object := &list.Items[0]
		object.Object["status"] = map[string]any{
			"conditions": []any{condition(chaosv1alpha1.ConditionSelected), condition(chaosv1alpha1.ConditionAllInjected)},
			"experiment": map[string]any{"desiredPhase": string(chaosv1alpha1.RunningPhase), "containerRecords": records},
		}
		return true, t.api.Update(ctx, object)
	})
}

// served is the first case of a lasting fault of the network that the driver serves
// here, and by whom.
func (t *conformanceTest) served(driver faults.Driver) (conformance.Case, faults.Service) {
	GinkgoHelper()
	for _, c := range conformance.Cases() {
		fault, err := c.Parse()
		Expect(err).NotTo(HaveOccurred())
		by, err := serving(driver, c)
		if err == nil && fault.Kind() == chaosv1alpha1.KindNetworkChaos && !fault.OneShot() {
			return c, by
		}
	}
	Fail(fmt.Sprintf("%s serves no fault of the network here", driver))
	return conformance.Case{}, faults.Service{}
}

// endless tries a fault that is left on when it is to end, and denies that its object
// is there when nodes are searched.
func (t *conformanceTest) endless(ctx SpecContext, driver faults.Driver) {
	c, by := t.served(driver)
	stage := t.stage(by)
	stage.End = func(context.Context, safety.Undo) error { return nil }
	stage.Residue = func(ctx context.Context) ([]string, error) { return t.orphans(ctx) }
	row := conformance.Judge(stage.Try(ctx, c))
	// What is on the node or in the pod's network, and the object.
	t.control("a fault that does not end", driver, row, "after, target", "left behind: ", "left behind: NetworkChaos ")
	Expect(len(row.Left)).To(BeNumerically(">", 1), "only the object was found: %v", row.Left)
	Expect(faults.Residue(ctx, t.api, stage.Ground.RunID)).To(BeEmpty(), "the trial left it on")
}

// planted tries a fault, ends it, and leaves an object of the run.
func (t *conformanceTest) planted(ctx SpecContext, driver faults.Driver) {
	c, by := t.served(driver)
	stage := t.stage(by)
	plant := &unstructured.Unstructured{}
	plant.SetGroupVersionKind(schema.GroupVersionKind{Group: by.Group, Version: "v1alpha1", Kind: chaosv1alpha1.KindNetworkChaos})
	plant.SetNamespace(stage.Ground.Namespace)
	plant.SetName("planted")
	plant.SetLabels(map[string]string{faults.RunLabel: stage.Ground.RunID})
	plant.Object["spec"] = map[string]any{ // of pods that there are not
		"action": "partition", "mode": "all", "direction": "to", "duration": "1m",
		"selector": map[string]any{"namespaces": []any{stage.Ground.Namespace}, "labelSelectors": map[string]any{"nobody": "has-this"}},
	}
	stage.End = func(ctx context.Context, undo safety.Undo) error {
		return errors.Join(undo(ctx), t.api.Create(ctx, plant))
	}
	row := conformance.Judge(stage.Try(ctx, c))
	Expect(client.IgnoreNotFound(t.api.Delete(ctx, plant))).To(Succeed())
	t.control("an object that is planted", driver, row, "left behind: NetworkChaos "+stage.Ground.Namespace+"/planted")
	Expect(row.Because).To(HaveLen(1), "it fails for more than what was planted")
	Eventually(func() ([]string, error) { return faults.Residue(ctx, t.api, stage.Ground.RunID) }).WithTimeout(cleanWithin).Should(BeEmpty())
}

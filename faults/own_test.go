package faults

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
)

func ownSpec(kind, target, spec string, at At) Spec {
	return Spec{At: at, Target: target, Chaos: Chaos{Kind: kind, Spec: json.RawMessage(spec)}}
}

var somePatch = At{Request: &Request{Verb: "patch", Kind: "Service", Name: "shop", Nth: 2}, When: "before"}

type victim struct {
	killed int
	grace  time.Duration // that it was interrupted with
	err    error
}

func (v *victim) Interrupt(grace time.Duration) error {
	v.grace = grace
	return v.err
}

func (v *victim) Kill() error {
	v.killed++
	return v.err
}

func TestAProcedureIsKilled(t *testing.T) {
	for _, failure := range []error{nil, errors.New("it does not run")} {
		fault, err := Parse(ownSpec(KindProcedure, TargetProcedure, `{"action":"kill"}`, At{Write: 2}))
		if err != nil {
			t.Fatal(err)
		}
		v, told := &victim{err: failure}, []history.Payload{}
		undo, err := fault.Inject(t.Context(), Target{Fault: 3, Procedure: v, Emit: func(p history.Payload) { told = append(told, p) }})
		if v.killed != 1 || (err != nil) != (failure != nil) || undo(t.Context()) != nil {
			t.Errorf("killed %d times, %v", v.killed, err)
		}
		effect, err := fault.Prove(t.Context())
		if err != nil || effect.Proven != (failure == nil) || (len(told) == 1) != (failure == nil) {
			t.Errorf("when Kill says %v: proven %+v, %v, told %v", failure, effect, err, told)
		}
	}
}

func TestAProcedureIsInterrupted(t *testing.T) {
	for spec, want := range map[string]time.Duration{
		`{"action":"interrupt"}`:               10 * time.Second, // what runners give
		`{"action":"interrupt","grace":"30s"}`: 30 * time.Second, // a patient one
	} {
		fault, err := Parse(ownSpec(KindProcedure, TargetProcedure, spec, At{Write: 2}))
		if err != nil {
			t.Fatal(err)
		}
		v := &victim{}
		if _, err := fault.Inject(t.Context(), Target{Procedure: v}); err != nil || v.grace != want || v.killed != 0 {
			t.Errorf("%s: %v, %+v", spec, err, v)
		}
		if effect, err := fault.Prove(t.Context()); err != nil || !effect.Proven || !strings.Contains(effect.Because, want.String()) {
			t.Errorf("%s: proven %+v, %v", spec, effect, err)
		}
	}
}

func TestARequestIsRuledOn(t *testing.T) {
	for _, c := range []struct {
		spec, name string
		ruling     apiproxy.Ruling
	}{
		{`{"action":"delay","delay":"2s"}`, "RequestChaos delay 2s", apiproxy.Ruling{Delay: 2 * time.Second}},
		{`{"action":"fail"}`, "RequestChaos fail 503", apiproxy.Ruling{Fail: 503}},
		{`{"action":"fail","status":409}`, "RequestChaos fail 409", apiproxy.Ruling{Fail: 409}},
	} {
		fault, err := Parse(ownSpec(KindRequest, TargetAPIServer, c.spec, somePatch))
		if err != nil {
			t.Fatal(err)
		}
		var got apiproxy.Ruling
		if _, err := fault.Inject(t.Context(), Target{Rule: func(r apiproxy.Ruling) { got = r }}); err != nil {
			t.Fatal(err)
		}
		effect, err := fault.Prove(t.Context())
		if got != c.ruling || fault.Name() != c.name || !effect.Proven || err != nil {
			t.Errorf("%s: %q rules %+v, proven %+v, %v", c.spec, fault.Name(), got, effect, err)
		}
	}
}

func TestARequestIsHeldUntilTheUndo(t *testing.T) {
	fault, err := Parse(ownSpec(KindRequest, TargetAPIServer, `{"action":"hold"}`, somePatch))
	if err != nil {
		t.Fatal(err)
	}
	var got apiproxy.Ruling
	undo, err := fault.Inject(t.Context(), Target{Rule: func(r apiproxy.Ruling) { got = r }})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-got.Hold:
		t.Fatal("it was let go at once")
	default:
	}
	for range 2 { // again, it does nothing
		if err := undo(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	<-got.Hold
}

func TestSpecsOfOurOwnKindsAreRead(t *testing.T) {
	late := somePatch
	late.When = "after"
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{ownSpec(KindProcedure, TargetProcedure, `{"action":"maim"}`, At{Write: 1}), `no action "maim"; known are ProcedureChaos interrupt, ProcedureChaos kill`},
		{ownSpec(KindProcedure, TargetProcedure, `{"action":"kill","mode":"all"}`, At{Write: 1}), `unknown key "mode"`},
		{ownSpec(KindProcedure, TargetProcedure, `{"action":"interrupt","grace":"0s"}`, At{Write: 1}), "chaos.spec.grace: write how long"},
		{ownSpec(KindProcedure, "candidate", `{"action":"kill"}`, At{Write: 1}), "write target: procedure"},
		{ownSpec(KindRequest, TargetProcedure, `{"action":"hold"}`, somePatch), "write target: apiserver"},
		{ownSpec(KindRequest, TargetAPIServer, `{"action":"hold"}`, At{Write: 1}), "on one request"},
		{ownSpec(KindRequest, TargetAPIServer, `{"action":"hold"}`, late), "at.when"},
		{ownSpec(KindRequest, TargetAPIServer, `{"action":"delay"}`, somePatch), "chaos.spec.delay: write how late"},
		{ownSpec(KindRequest, TargetAPIServer, `{"action":"fail","status":200}`, somePatch), "200 is no failure"},
		{ownSpec(KindRequest, TargetAPIServer, `[]`, somePatch), "write keys and values"},
		{ownSpec("PodChaos", TargetProcedure, `{"action":"pod-kill"}`, At{Write: 1}), "a PodChaos is on pods"},
	} {
		if _, err := Parse(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s on %s: %v, want %s", c.spec.Chaos.Kind, c.spec.Chaos.Spec, c.spec.Target, err, c.want)
		}
	}
	for _, spec := range []Spec{
		{For: 1, At: At{Write: 1}, Target: TargetProcedure, Chaos: Chaos{Kind: KindProcedure, Spec: json.RawMessage(`{"action":"kill"}`)}},
		{For: 1, At: At{Write: 1}, Target: TargetProcedure, Chaos: Chaos{Kind: KindProcedure, Spec: json.RawMessage(`{"action":"interrupt"}`)}},
		{For: 1, At: somePatch, Target: TargetAPIServer, Chaos: Chaos{Kind: KindRequest, Spec: json.RawMessage(`{"action":"hold"}`)}},
		{For: 1, At: somePatch, Target: TargetAPIServer, Chaos: Chaos{Kind: KindRequest, Spec: json.RawMessage(`{"action":"fail"}`)}},
		{For: 1, At: somePatch, Target: TargetAPIServer, Chaos: Chaos{Kind: KindRequest, Spec: json.RawMessage(`{"action":"delay","delay":"1s"}`)}},
	} {
		if _, err := Parse(spec); err == nil || !strings.HasPrefix(err.Error(), "for: ") {
			t.Errorf("%s for a while: %v", spec.Chaos.Spec, err)
		}
	}
}

func TestRequestsMatch(t *testing.T) {
	patch := apiproxy.Request{Verb: "patch", Kind: "Service", Name: "shop"}
	for _, c := range []struct {
		want  Request
		match bool
		text  string
	}{
		{Request{Verb: "patch"}, true, "patch"},
		{Request{Kind: "Service", Nth: 2}, true, "Service (number 2)"},
		{Request{Verb: "patch", Kind: "Service", Name: "shop"}, true, "patch Service/shop"},
		{Request{Verb: "get", Kind: "Service"}, false, "get Service"},
		{Request{Name: "cart"}, false, "/cart"},
	} {
		if got := c.want.Matches(patch); got != c.match || c.want.String() != c.text {
			t.Errorf("%+v: matches %v, is called %q, want %v, %q", c.want, got, c.want.String(), c.match, c.text)
		}
	}
}

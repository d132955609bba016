package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// journal plays all parts of a release and writes down, in order, what was asked.
// An entry that is in fails is answered with an error; one in rollbacks, with the
// decision to roll back.
type journal struct {
	entries   []string
	fails     []string
	rollbacks []string
	last      Generation

	third    string // the step at which a third version arrives
	arrivals int
}

var errPlayed = errors.New("played")

func (j *journal) note(format string, words ...any) error {
	entry := fmt.Sprintf(format, words...)
	j.entries = append(j.entries, entry)
	if slices.Contains(j.fails, entry) {
		return errPlayed
	}
	return nil
}

func (j *journal) Deploy(_ context.Context, v history.Version) error { return j.note("deploy %s", v) }
func (j *journal) AwaitReady(_ context.Context, v history.Version) error {
	return j.note("ready %s", v)
}
func (j *journal) AwaitPods(_ context.Context, v history.Version, n int) error {
	return j.note("%d-ready %s", n, v)
}

// Arrivals: a third version comes at the step that is named so.
func (j *journal) Arrivals() int { return j.arrivals }

func (j *journal) AwaitGone(_ context.Context, v history.Version) error { return j.note("gone %s", v) }
func (j *journal) Replicas(history.Version) int                         { return 3 }
func (j *journal) Partition(_ context.Context, ordinal int) error {
	return j.note("partition %d", ordinal)
}
func (j *journal) smoke(_ context.Context, v history.Version) error  { return j.note("smoke %s", v) }
func (j *journal) Retire(_ context.Context, v history.Version) error { return j.note("retire %s", v) }
func (j *journal) Shift(_ context.Context, split Split) (Generation, error) {
	j.last++
	if m := split.Mirror; m != nil {
		return j.last, j.note("shift %d copying %d%% writes=%t", split.Candidate, m.Percent, m.Writes)
	}
	if m := split.Match; m != nil {
		return j.last, j.note("shift %d for %s=%s", split.Candidate, m.Header, m.Value)
	}
	return j.last, j.note("shift %d", split.Candidate)
}
func (j *journal) Serving(_ context.Context, g Generation) error { return j.note("serving %d", g) }

func (j *journal) Step(ctx context.Context, step Step, do func(context.Context) error) (Decision, error) {
	j.entries = append(j.entries, "["+step.Name)
	if err := do(ctx); err != nil {
		return "", err
	}
	j.entries = append(j.entries, "]")
	if step.Name == j.third {
		j.arrivals = 1
	}
	if slices.Contains(j.rollbacks, step.Name) {
		return Rollback, nil
	}
	return Proceed, nil
}

func canaryOf(t *testing.T, j *journal) Release {
	t.Helper()
	return releaseOf(t, j, Spec{Strategy: "canary", Steps: []int{25, 100}}, shop())
}

func releaseOf(t *testing.T, j *journal, spec Spec, app App) Release {
	t.Helper()
	release, err := New(spec, app, Deps{Versions: j, Router: j, Smoke: j.smoke, Live: answering{}})
	if err != nil {
		t.Fatal(err)
	}
	return release
}

const (
	deployed1 = "[deploy-candidate deploy candidate ready candidate ]"
	at25      = " [weight-25 shift 25 serving 1 ]"
	at100     = " [weight-100 shift 100 serving 2 ]"
)

func TestCanaryRun(t *testing.T) {
	for _, test := range []struct {
		name             string
		rollbacks, fails []string
		want             string
		err              error
	}{
		// HAPPY PATH: the baseline goes last, after the watch
		{"promoted", nil, nil, deployed1 + at25 + at100 + " [promote ] retire baseline", nil},
		// rolled back: the candidate goes after the traffic has
		{"back at 25", []string{"weight-25"}, nil, deployed1 + at25 + " [rollback shift 0 serving 2 ] retire candidate", nil},
		// rolled back in the watch: the baseline must still be there
		{"back in the watch", []string{"promote"}, nil, deployed1 + at25 + at100 + " [promote ] [rollback shift 0 serving 3 ] retire candidate", nil},
		// decided before any traffic moved
		{"back at once", []string{"deploy-candidate"}, nil, deployed1 + " [rollback shift 0 serving 1 ] retire candidate", nil},
		// never came up: no traffic to bring back
		{"never ready", nil, []string{"ready candidate"}, "[deploy-candidate deploy candidate ready candidate retire candidate", ErrCandidateNotReady},
		// the shift was refused: stopped where it stands, for the caller to abort
		{"no shift", nil, []string{"shift 100"}, deployed1 + at25 + " [weight-100 shift 100", errPlayed},
		// accepted but never observed
		{"not serving", nil, []string{"serving 1"}, deployed1 + " [weight-25 shift 25 serving 1", errPlayed},
		// a candidate with traffic on it is not taken down
		{"no way back", []string{"weight-25"}, []string{"serving 2"}, deployed1 + at25 + " [rollback shift 0 serving 2", errPlayed},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := &journal{rollbacks: test.rollbacks, fails: test.fails}
			err := canaryOf(t, j).Run(t.Context(), j)
			if !errors.Is(err, test.err) {
				t.Errorf("got error %v, want %v", err, test.err)
			}
			if got := strings.Join(j.entries, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// At the deadline the release stops at once: bringing things back needs time that
// only the caller's abort has.
func TestCanaryDeadline(t *testing.T) {
	j := &journal{fails: []string{"ready candidate"}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := canaryOf(t, j).Run(ctx, j); err == nil || slices.Contains(j.entries, "retire candidate") {
		t.Errorf("%v after %v", err, j.entries)
	}
}

func TestCanaryAbort(t *testing.T) {
	for _, test := range []struct {
		name  string
		ran   bool // to the end, before the abort
		fails []string
		want  string
		err   bool
	}{
		// from wherever it was
		{"on the way", false, nil, "shift 0 serving 1 retire candidate", false},
		// the baseline was retired and comes back first
		{"promoted", true, nil, "deploy baseline ready baseline shift 0 serving 3 retire candidate", false},
		// no load, nobody to show it: said, and the candidate goes all the same
		{"unseen", false, []string{"serving 1"}, "shift 0 serving 1 retire candidate", true},
		// the traffic could not be moved: the candidate must stay
		{"no shift", false, []string{"shift 0"}, "shift 0", true},
		// there is nothing to go back to: nor may the traffic go there
		{"no baseline", true, []string{"ready baseline"}, "deploy baseline ready baseline", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := &journal{}
			release := canaryOf(t, j)
			if test.ran {
				if err := release.Run(t.Context(), j); err != nil {
					t.Fatal(err)
				}
			}
			j.entries, j.fails = nil, test.fails
			err := release.Abort(t.Context())
			if got := strings.Join(j.entries, " "); got != test.want || (err != nil) != test.err {
				t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestStepNames(t *testing.T) {
	for _, test := range []struct {
		name string
		spec Spec
		app  App
		want string // names, or words of the error
		ok   bool
	}{
		// the usual one
		{"canary", Spec{Strategy: "canary", Steps: []int{5, 50, 100}}, App{}, "deploy-candidate weight-5 weight-50 weight-100 promote rollback", true},
		// all at once is a canary too
		{"one step", Spec{Strategy: "canary", Steps: []int{100}}, App{}, "deploy-candidate weight-100 promote rollback", true},
		// it would never end
		{"no 100", Spec{Strategy: "canary", Steps: []int{5, 50}}, App{}, "the last step is 50", false},
		// falling back is the gate's business
		{"falling", Spec{Strategy: "canary", Steps: []int{50, 25, 100}}, App{}, "step 25 does not follow 50", false},
		// two steps of one name could not be told apart
		{"twice", Spec{Strategy: "canary", Steps: []int{50, 50, 100}}, App{}, "step 50 does not follow 50", false},
		// more than all
		{"too much", Spec{Strategy: "canary", Steps: []int{50, 150}}, App{}, "step 150", false},
		// zero is where it starts
		{"zero", Spec{Strategy: "canary", Steps: []int{0, 100}}, App{}, "step 0 does not follow 0", false},
		// nothing said
		{"no steps", Spec{Strategy: "canary"}, App{}, "steps are missing", false},
		// a slip of the pen
		{"unknown", Spec{Strategy: "cannary"}, App{}, `unknown strategy "cannary"; known: a-b, blue-green, canary`, false},
		// a third of three pods is one pod
		{"by replicas", Spec{Strategy: "canary", Router: "replicas", Steps: []int{30, 60, 100}}, App{Replicas: 3}, "weight-30 weight-60 weight-100", true},
		// two steps that would be the same pod
		{"too few pods", Spec{Strategy: "canary", Router: "replicas", Steps: []int{5, 25, 100}}, App{Replicas: 3}, "of 3 pods the steps up to 25% have 1", false},
		// the selector of a Service has no shares
		{"no such router", Spec{Strategy: "canary", Router: "service", Steps: []int{100}}, App{}, `release.router: strategy canary has no router "service"; it has: gateway, replicas`, false},
		// a key of another strategy
		{"foreign keys", Spec{Strategy: "canary", Steps: []int{100}, Partitions: []int{0}, Match: &Match{}}, App{}, "release.match: strategy canary has no use for it", false},
		// its pods have names and data
		{"a StatefulSet", Spec{Strategy: "canary", Steps: []int{100}}, App{Kind: "StatefulSet"}, "cannot release a StatefulSet; strategies that can: rolling", false},
		// switched at once
		{"blue-green", Spec{Strategy: "blue-green"}, App{}, "deploy-candidate smoke-test switch promote drain retire rollback", true},
		// by shares is what a canary does
		{"blue-green steps", Spec{Strategy: "blue-green", Steps: []int{50, 100}}, App{}, "release.steps: strategy blue-green has no use for it", false},
		// the beta group first
		{"a-b", Spec{Strategy: "a-b", Match: &Match{Cookie: "group", Value: "beta"}}, App{}, "deploy-candidate split everyone promote rollback", true},
		// nobody would get it
		{"a-b of nobody", Spec{Strategy: "a-b"}, App{}, "release.match: strategy a-b: missing", false},
		// which of the two?
		{"a-b of both", Spec{Strategy: "a-b", Match: &Match{Cookie: "c", Header: "h", Value: "v"}}, App{}, "write a header or a cookie", false},
		// its controller sets the pace
		{"rolling", Spec{Strategy: "rolling"}, App{Replicas: 3}, "update halfway updated promote rollback", true},
		// it would stand still for ever
		{"rolling nowhere", Spec{Strategy: "rolling", MaxSurge: amount("0"), MaxUnavailable: amount("0%")}, App{Replicas: 3}, "no pod could ever be replaced", false},
		// from the highest ordinal down
		{"partitions", Spec{Strategy: "rolling", Partitions: []int{2, 0}}, App{Kind: "StatefulSet", Replicas: 3}, "partition-2 partition-0 promote rollback", true},
		// it would never end
		{"partitions up to 1", Spec{Strategy: "rolling", Partitions: []int{2, 1}}, App{Kind: "StatefulSet", Replicas: 3}, "the last one is 1: it must be 0", false},
		// there is no pod 3 of three
		{"partition too high", Spec{Strategy: "rolling", Partitions: []int{3, 0}}, App{Kind: "StatefulSet", Replicas: 3}, "3 does not follow 3", false},
		// by which?
		{"no partitions", Spec{Strategy: "rolling"}, App{Kind: "StatefulSet", Replicas: 3}, "release.partitions: missing", false},
		// of a Deployment
		{"partitions of a Deployment", Spec{Strategy: "rolling", Partitions: []int{0}}, App{Replicas: 3}, "only a StatefulSet has partitions", false},
		// copies first, then all at once
		{"shadow", Spec{Strategy: "shadow", Steps: []int{10, 100}, MirrorWrites: true}, App{}, "deploy-candidate mirror-10 mirror-100 switch promote rollback", true},
		// a part of the traffic may be shadow enough
		{"shadow of a part", Spec{Strategy: "shadow", Steps: []int{20}}, App{}, "deploy-candidate mirror-20 switch promote rollback", true},
		// it would be a blue-green release
		{"shadow of nothing", Spec{Strategy: "shadow"}, App{}, "release.steps: strategy shadow: steps are missing", false},
		// two steps of one name could not be told apart
		{"shadow twice", Spec{Strategy: "shadow", Steps: []int{10, 10}}, App{}, "step 10 does not follow 10", false},
		// more than all
		{"shadow of too much", Spec{Strategy: "shadow", Steps: []int{101}}, App{}, "step 101 does not follow 0", false},
		// a Service copies nothing
		{"shadow by Service", Spec{Strategy: "shadow", Router: "service", Steps: []int{10}}, App{}, `strategy shadow has no router "service"; it has: gateway`, false},
		// a canary's requests go one way or the other
		{"canary with copies", Spec{Strategy: "canary", Steps: []int{100}, MirrorWrites: true}, App{}, "release.mirrorWrites: strategy canary has no use for it", false},
		// nobody is served meanwhile
		{"recreate", Spec{Strategy: "recreate"}, App{}, "recreate promote rollback", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, err := StepNames(test.spec, test.app)
			if (err == nil) != test.ok {
				t.Fatalf("got %v, %v", names, err)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCanarySteps(t *testing.T) {
	steps, complete := canaryOf(t, &journal{}).Steps()
	want := []Step{
		{Name: "deploy-candidate", Weight: NoWeight}, {Name: "weight-25", Weight: 25, Gated: true}, {Name: "weight-100", Weight: 100, Gated: true},
		{Name: "promote", Weight: 100, Gated: true}, {Name: "rollback", Weight: 0},
	}
	if !complete || !slices.Equal(steps, want) {
		t.Errorf("got %v", steps)
	}
}

func TestRegisterTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second canary was taken")
		}
	}()
	register("canary", strategy{})
}

func amount(text string) *Amount {
	a := &Amount{}
	if err := a.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return a
}

func TestAmount(t *testing.T) {
	for text, ok := range map[string]bool{"0": true, "3": true, "25%": true, "100%": true, "101%": false, "-1": false, "": false, "%": false, "1.5": false, "3 %": false} {
		a := &Amount{}
		err := a.UnmarshalText([]byte(text))
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if got, _ := a.MarshalText(); ok && string(got) != text {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}

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
func (j *journal) Retire(_ context.Context, v history.Version) error { return j.note("retire %s", v) }
func (j *journal) Shift(_ context.Context, split Split) (Generation, error) {
	j.last++
	return j.last, j.note("shift %d", split.Candidate)
}
func (j *journal) Serving(_ context.Context, g Generation) error { return j.note("serving %d", g) }

func (j *journal) Step(ctx context.Context, step Step, do func(context.Context) error) (Decision, error) {
	j.entries = append(j.entries, "["+step.Name)
	if err := do(ctx); err != nil {
		return "", err
	}
	j.entries = append(j.entries, "]")
	if slices.Contains(j.rollbacks, step.Name) {
		return Rollback, nil
	}
	return Proceed, nil
}

func canaryOf(t *testing.T, j *journal) Release {
	t.Helper()
	release, err := New(Spec{Strategy: "canary", Steps: []int{25, 100}}, Deps{Versions: j, Router: j})
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
		want string // names, or words of the error
		ok   bool
	}{
		// the usual one
		{"canary", Spec{Strategy: "canary", Steps: []int{5, 50, 100}}, "deploy-candidate weight-5 weight-50 weight-100 promote rollback", true},
		// all at once is a canary too
		{"one step", Spec{Strategy: "canary", Steps: []int{100}}, "deploy-candidate weight-100 promote rollback", true},
		// it would never end
		{"no 100", Spec{Strategy: "canary", Steps: []int{5, 50}}, "the last step is 50", false},
		// falling back is the gate's business
		{"falling", Spec{Strategy: "canary", Steps: []int{50, 25, 100}}, "step 25 does not follow 50", false},
		// two steps of one name could not be told apart
		{"twice", Spec{Strategy: "canary", Steps: []int{50, 50, 100}}, "step 50 does not follow 50", false},
		// more than all
		{"too much", Spec{Strategy: "canary", Steps: []int{50, 150}}, "step 150", false},
		// zero is where it starts
		{"zero", Spec{Strategy: "canary", Steps: []int{0, 100}}, "step 0 does not follow 0", false},
		// nothing said
		{"no steps", Spec{Strategy: "canary"}, "steps are missing", false},
		// the format knows it, the program does not
		{"unbuilt", Spec{Strategy: "blue-green"}, "not supported yet; supported: canary", false},
		// a slip of the pen
		{"unknown", Spec{Strategy: "cannary"}, `unknown strategy "cannary"; known: canary`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, err := StepNames(test.spec)
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
		{"deploy-candidate", NoWeight, false}, {"weight-25", 25, true}, {"weight-100", 100, true}, {"promote", 100, true}, {"rollback", 0, false},
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

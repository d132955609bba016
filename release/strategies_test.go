package release

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// answering is a view in which a version alone answers, or none.
type answering struct{ version history.Version }

var clockStart = time.Now()

func (answering) Now() history.Micros { return history.Micros(time.Since(clockStart).Microseconds()) }
func (a answering) Window(_, _ history.Micros) history.Window {
	return history.Window{Versions: map[history.Version]history.Tally{a.version: {N: 1}}}
}
func (answering) Serving(int64) <-chan struct{} { return nil }

// The ways of the strategies, as they are walked. The canary's is in TestCanaryRun.
func TestRuns(t *testing.T) {
	blueGreen := Spec{Strategy: "blue-green"}
	ab := Spec{Strategy: "a-b", Match: &Match{Header: "X-Group", Value: "beta"}}
	shadow := Spec{Strategy: "shadow", Steps: []int{10, 100}}
	recreate := Spec{Strategy: "recreate"}
	rolling := Spec{Strategy: "rolling"}
	partitions := Spec{Strategy: "rolling", Partitions: []int{2, 0}}
	set := App{Kind: KindStatefulSet, Replicas: 3}
	const (
		deployed = "[deploy-candidate deploy candidate ready candidate ]"
		smoked   = deployed + " [smoke-test smoke candidate ]"
		switched = smoked + " [switch shift 100 serving 1 ]"
		copied   = deployed + " [mirror-10 shift 0 copying 10% writes=false serving 1 ]"
		undone   = "[rollback deploy baseline ready baseline ] gone candidate"
	)
	for _, test := range []struct {
		name             string
		spec             Spec
		app              App
		rollbacks, fails []string
		want             string
		err              error
	}{
		// HAPPY PATH: the baseline is left alone until it is silent
		{"blue-green", blueGreen, App{}, nil, nil, switched + " [promote ] [drain ] [retire retire baseline ] retire baseline", nil},
		// one bad pod is enough, and nobody has met it
		{"smoke", blueGreen, App{}, nil, []string{"smoke candidate"}, deployed + " [smoke-test smoke candidate retire candidate", ErrCandidateNotReady},
		// switched back
		{"back after the switch", blueGreen, App{}, []string{"switch"}, nil, switched + " [rollback shift 0 serving 2 ] retire candidate", nil},
		// for some, then for all
		{"a-b", ab, App{}, nil, nil, deployed + " [split shift 0 for X-Group=beta serving 1 ] [everyone shift 100 serving 2 ] [promote ] retire baseline", nil},
		// those who have it get the old one again
		{"back from beta", ab, App{}, []string{"split"}, nil, deployed + " [split shift 0 for X-Group=beta serving 1 ] [rollback shift 0 serving 2 ] retire candidate", nil},
		// copies, and then users
		{"shadow", shadow, App{}, nil, nil, copied + " [mirror-100 shift 0 copying 100% writes=false serving 2 ] [switch shift 100 serving 3 ] [promote ] retire baseline", nil},
		// no more copies: then it may go
		{"back from the shadow", shadow, App{}, []string{"mirror-10"}, nil, copied + " [rollback shift 0 serving 2 ] retire candidate", nil},
		// it answers no copy
		{"a shadow that is dumb", shadow, App{}, nil, []string{"serving 1"}, deployed + " [mirror-10 shift 0 copying 10% writes=false serving 1", errPlayed},
		// as it was told
		{"shadow of writes", Spec{Strategy: "shadow", Steps: []int{5}, MirrorWrites: true}, App{}, []string{"mirror-5"}, nil, deployed + " [mirror-5 shift 0 copying 5% writes=true serving 1 ] [rollback shift 0 serving 2 ] retire candidate", nil},
		// one workload: there is nothing to retire
		{"recreate", recreate, App{}, nil, nil, "[recreate deploy candidate ready candidate ] [promote ] gone baseline", nil},
		// it does not come up: the old one is gone, so it must come back
		{"recreate in vain", recreate, App{}, nil, []string{"ready candidate"}, "[recreate deploy candidate ready candidate " + undone, nil},
		// at its controller's pace
		{"rolling", rolling, App{Replicas: 3}, nil, nil, "[update deploy candidate 1-ready candidate ] [halfway 2-ready candidate ] [updated ready candidate ] [promote ] gone baseline", nil},
		// undone half-way
		{"back half-way", rolling, App{Replicas: 3}, []string{"halfway"}, nil, "[update deploy candidate 1-ready candidate ] [halfway 2-ready candidate ] " + undone, nil},
		// the first pod never is ready: the progress deadline says so
		{"no progress", rolling, App{Replicas: 3}, nil, []string{"1-ready candidate"}, "[update deploy candidate 1-ready candidate " + undone, nil},
		// from the highest ordinal down
		{"partitions", partitions, set, nil, nil, "[partition-2 deploy candidate partition 2 1-ready candidate ] [partition-0 partition 0 3-ready candidate ] [promote ] gone baseline", nil},
		// only one pod ever had it
		{"back from a partition", partitions, set, []string{"partition-2"}, nil, "[partition-2 deploy candidate partition 2 1-ready candidate ] " + undone, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &journal{rollbacks: test.rollbacks, fails: test.fails}
				err := releaseOf(t, j, test.spec, test.app).Run(t.Context(), j)
				if !errors.Is(err, test.err) || test.err == nil && err != nil {
					t.Errorf("got error %v, want %v", err, test.err)
				}
				if got := strings.Join(j.entries, " "); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			})
		})
	}
}

// What replaces in place goes back in place, however far it got.
func TestInPlaceAbort(t *testing.T) {
	for _, spec := range []Spec{{Strategy: "rolling"}, {Strategy: "recreate"}} {
		j := &journal{}
		if err := releaseOf(t, j, spec, App{Replicas: 3}).Abort(t.Context()); err != nil {
			t.Error(err)
		}
		if got := strings.Join(j.entries, " "); got != "deploy baseline ready baseline" {
			t.Errorf("%s: %s", spec.Strategy, got)
		}
	}
}

// Nothing is known of a candidate that takes the place of another: all steps are taken again.
func TestThirdVersion(t *testing.T) {
	for _, test := range []struct {
		name  string
		spec  Spec
		third string
		want  string
	}{
		// the traffic that the second one had goes back first
		{"canary", Spec{Strategy: "canary", Steps: []int{25, 100}}, "weight-25",
			deployed1 + at25 + " [deploy-candidate shift 0 serving 2 deploy candidate ready candidate ] [weight-25 shift 25 serving 3 ] [weight-100 shift 100 serving 4 ] [promote ] retire baseline"},
		// before any had: nothing to bring back
		{"before traffic", Spec{Strategy: "canary", Steps: []int{100}}, "deploy-candidate",
			deployed1 + " " + deployed1 + " [weight-100 shift 100 serving 1 ] [promote ] retire baseline"},
		// while all are on the second one and it is watched
		{"recreate", Spec{Strategy: "recreate"}, "promote",
			"[recreate deploy candidate ready candidate ] [promote ] [recreate deploy candidate ready candidate ] [promote ] gone baseline"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := &journal{third: test.third}
			if err := releaseOf(t, j, test.spec, App{}).Run(t.Context(), j); err != nil {
				t.Error(err)
			}
			if got := strings.Join(j.entries, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

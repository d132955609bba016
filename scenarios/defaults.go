package scenarios

import (
	"reflect"
	"time"

	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
)

// defaults are what a section says where the file says nothing. They are laid down
// before the file is decoded over them, so that a zero that is written stays zero:
// "hold: 0s" holds not at all, no hold at all holds 5s.
//
// A section that may be left out altogether (gate, control) has its defaults only
// where it stands.
var defaults = map[reflect.Type]any{
	reflect.TypeFor[release.App]():         release.App{}.WithDefaults(),
	reflect.TypeFor[dependencies.Wait]():   dependencies.Wait{}.WithDefaults(),
	reflect.TypeFor[release.Spec]():        release.Spec{}.WithDefaults(),
	reflect.TypeFor[release.Helm]():        release.Helm{}.WithDefaults(),
	reflect.TypeFor[release.Manifests]():   release.Manifests{}.WithDefaults(),
	reflect.TypeFor[gates.Spec]():          gates.Spec{}.WithDefaults(),
	reflect.TypeFor[gates.Sequential]():    gates.Sequential{}.WithDefaults(),
	reflect.TypeFor[gates.Compare]():       gates.Compare{}.WithDefaults(),
	reflect.TypeFor[gates.Prometheus]():    gates.Prometheus{}.WithDefaults(),
	reflect.TypeFor[gates.Webhook]():       gates.Webhook{}.WithDefaults(),
	reflect.TypeFor[gates.Command]():       gates.Command{}.WithDefaults(),
	reflect.TypeFor[gates.Approval]():      gates.Approval{}.WithDefaults(),
	reflect.TypeFor[loadgen.Spec]():        loadgen.Spec{}.WithDefaults(),
	reflect.TypeFor[loadgen.RequestSpec](): loadgen.Spec{Requests: make([]loadgen.RequestSpec, 1)}.WithDefaults().Requests[0],
	reflect.TypeFor[loadgen.DiffSpec]():    loadgen.DiffSpec{}.WithDefaults(),
	reflect.TypeFor[loadgen.ReplaySpec]():  loadgen.ReplaySpec{}.WithDefaults(),
	reflect.TypeFor[history.Recover](): history.Recover{
		Confirm: seconds(10),
		Within:  seconds(60),
	},
}

func seconds(n int) history.Duration { return history.Duration(n) * history.Duration(time.Second) }

// fillDefaults lays the defaults down in v and in the sections below it.
func fillDefaults(v reflect.Value) {
	if d, ok := defaults[v.Type()]; ok {
		v.Set(reflect.ValueOf(d))
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		if field := v.Field(i); field.Kind() == reflect.Struct {
			fillDefaults(field)
		}
	}
}

// finish fills in what depends on something else in the file.
func (s *Scenario) finish() {
	if s.Procedure != nil && s.Release.Strategy == "" {
		s.Release.Strategy = release.StrategyProcedure
	}
	s.App.H2C = s.Load.Protocol == loadgen.H2C || s.Load.Protocol == loadgen.GRPC
	for i := range s.Faults {
		at := &s.Faults[i].At
		if (at.Step != "" || at.Write > 0) && at.When == "" {
			at.When = "live"
		}
		if at.Request != nil && at.When == "" {
			at.When = "before"
		}
	}
}

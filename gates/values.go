package gates

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template"
)

// Values are what queries, addresses, headers and commands may name, as
// {{.Candidate}}.
type Values struct {
	Run, Scenario string
	Step          string // at which is asked
	Namespace     string // of the app
	Service       string // as the scenario calls the app
	Port          string // that carries the load
	// Deployments, and the Services in front of each.
	Baseline, Candidate               string
	BaselineService, CandidateService string
	// Values of the label pod-template-hash, or controller-revision-hash; empty while a version is not deployed.
	BaselineHash, CandidateHash string
}

// text is what a scenario writes, with Values in it.
type text string

// fill puts the values in their places.
func (t text) fill(v Values) (string, error) {
	parsed, err := template.New("").Option("missingkey=error").Parse(string(t))
	if err != nil {
		return "", err
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, v); err != nil {
		return "", err
	}
	return filled.String(), nil
}

// validate says what is wrong with it as a template; "" if nothing is.
func (t text) validate() string {
	_, err := t.fill(Values{})
	if err == nil {
		return ""
	}
	_, reason, _ := strings.Cut(err.Error(), "template: ")
	return fmt.Sprintf("cannot be filled in (%s): known are %s", shortened([]byte(reason)), known())
}

// known lists what a text may name.
func known() string {
	var names []string
	for field := range reflect.TypeFor[Values]().Fields() {
		names = append(names, "{{."+field.Name+"}}")
	}
	return strings.Join(names, ", ")
}

// fillAll fills in the values of a table.
func fillAll(table map[string]string, v Values) (map[string]string, error) {
	filled := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, err := text(table[name]).fill(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		filled[name] = value
	}
	return filled, nil
}

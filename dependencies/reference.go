package dependencies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// reference finds what is meant to be one, however it is written: a mistyped one must
// not reach an app as it stands.
var reference = regexp.MustCompile(`\$\{dependencies\b[^}]*\}?`)

// References lists the references in a text.
func References(text string) []string { return reference.FindAllString(text, -1) }

// Known lists the references that the dependencies can be meant by.
func Known(specs ...Spec) []string {
	values := Values{}
	for _, s := range specs {
		values.add(s, "")
	}
	return slices.Sorted(maps.Keys(values))
}

// Values are what references stand for.
type Values map[string]string

// add learns of a dependency that runs at an address.
func (v Values) add(s Spec, host string) {
	of := "${dependencies." + s.Name
	v[of+".host}"] = host
	for name, number := range s.Ports {
		v[of+".port."+name+"}"] = strconv.Itoa(number)
		if len(s.Ports) == 1 {
			v[of+".port}"] = strconv.Itoa(number)
		}
	}
}

// Fill puts the values in the place of their references.
func (v Values) Fill(text string) (string, error) {
	var unknown error
	filled := reference.ReplaceAllStringFunc(text, func(found string) string {
		value, known := v[found]
		if !known && unknown == nil {
			unknown = fmt.Errorf("%s stands for nothing", found)
		}
		return value
	})
	return filled, unknown
}

// FillMap fills the texts of an environment.
func (v Values) FillMap(texts map[string]string) (map[string]string, error) {
	filled := maps.Clone(texts)
	for name, text := range filled {
		var err error
		if filled[name], err = v.Fill(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return filled, nil
}

// FillList fills the words of a command line.
func (v Values) FillList(words []string) ([]string, error) {
	filled := slices.Clone(words)
	for i, word := range filled {
		var err error
		if filled[i], err = v.Fill(word); err != nil {
			return nil, err
		}
	}
	return filled, nil
}

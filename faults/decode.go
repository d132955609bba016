package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// decode reads chaos.spec into one of Chaos Mesh's spec types. Only the keys in
// built are accepted.
func decode(raw json.RawMessage, into any, built ...string) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && object["selector"] != nil {
		return errors.New("chaos.spec.selector: the fault's target gives the selector: remove this one")
	}
	if err := checkKeys("chaos.spec", raw, into, built); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("chaos.spec: %w: Chaos Mesh wants numbers such as value and correlation in quotes", err)
	}
	return nil
}

// checkKeys refuses keys of a JSON object that its type does not have, and those
// that we do not serve.
func checkKeys(where string, raw json.RawMessage, of any, built []string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return fmt.Errorf("%s: %w: write keys and values", where, err)
	}
	known := keysOf(reflect.TypeOf(of).Elem())
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch {
		case slices.Contains(built, key):
		case slices.Contains(known, key):
			return fmt.Errorf("%s.%s is not supported yet: supported are %s", where, key, list(built))
		default:
			return fmt.Errorf("%s: unknown key %q: known are %s", where, key, list(built))
		}
	}
	return nil
}

// keysOf lists the JSON keys of a struct, those of inlined structs included.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if options == "inline" {
			keys = append(keys, keysOf(t.Field(i).Type)...)
		} else {
			keys = append(keys, name)
		}
	}
	return keys
}

// lasting is how long a fault lasts: the spec's own duration or the scenario's
// for, never both.
func lasting(spec Spec, own *string) (time.Duration, error) {
	switch {
	case own != nil && spec.For != 0:
		return 0, fmt.Errorf("both for: %s and chaos.spec.duration: %s say how long the fault lasts: keep one", spec.For, *own)
	case own == nil && spec.For == 0:
		return 0, errors.New("the fault lasts and nothing says how long: add for: 20s")
	case own == nil:
		return spec.For.D(), nil
	}
	d, err := time.ParseDuration(*own)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("chaos.spec.duration: bad duration %q: write a number and a unit, such as 20s", *own)
	}
	return d, nil
}

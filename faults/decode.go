package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
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

// checkPart is checkKeys for an object inside the spec, which must be there.
func checkPart(raw json.RawMessage, part string, of any, built []string, example string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return fmt.Errorf("chaos.spec: %w", err)
	}
	if text := object[part]; text == nil || string(text) == "null" {
		return fmt.Errorf("chaos.spec.%s is missing: write, for example, %s", part, example)
	}
	return checkKeys("chaos.spec."+part, object[part], of, built)
}

// percentage reads a number from 0 to 100, which Chaos Mesh wants in quotes.
func percentage(key, text string) (float64, error) {
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return 0, fmt.Errorf("chaos.spec.%s: bad percentage %q: write a number from 0 to 100 in quotes", key, text)
	}
	return percent, nil
}

// correlation checks how much of one packet's fate is the one before it's.
func correlation(key, text string) error {
	if text == "" {
		return nil
	}
	_, err := percentage(key, text)
	return err
}

// checkMode fills in the mode that a kind of fault has by default and checks it.
func checkMode(pods *v1alpha1.PodSelector, byDefault v1alpha1.SelectorMode) error {
	switch pods.Mode {
	case "":
		pods.Mode = byDefault
	case v1alpha1.OneMode, v1alpha1.AllMode, v1alpha1.FixedMode, v1alpha1.FixedPercentMode, v1alpha1.RandomMaxPercentMode:
	default:
		return fmt.Errorf("chaos.spec.mode: unknown mode %q: known are one, all, fixed, fixed-percent, random-max-percent", pods.Mode)
	}
	return nil
}

// oneShot refuses what says how long a fault is to last that does not.
func oneShot(spec Spec, own *string, action v1alpha1.PodChaosAction) error {
	if spec.For != 0 || own != nil {
		return fmt.Errorf("%s happens at once and does not last: remove for and chaos.spec.duration", action)
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

package faults

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cutover-dev/cutover/safety"
)

var _ = registerOwn(KindProcedure, "kill", parseProcedureKill)

// parseProcedureKill reads the fault that kills the procedure, with all that it
// started, as the machine that it runs on might be lost.
func parseProcedureKill(spec Spec) (Fault, error) {
	if err := checkKeys("chaos.spec", spec.Chaos.Spec, &struct {
		Action string `json:"action"`
	}{}, []string{"action"}); err != nil {
		return nil, err
	}
	if spec.For != 0 {
		return nil, errors.New("for: kill happens at once and does not last: remove it")
	}
	return &doing{kind: KindProcedure, action: "kill", name: KindProcedure + " kill", do: func(_ context.Context, t Target) (string, safety.Undo, error) {
		if t.Procedure == nil {
			return "", nil, errors.New("there is no procedure")
		}
		return "nothing of the procedure runs any more", nil, t.Procedure.Kill()
	}}, nil
}

// actionOf is the action of a spec.
func actionOf(spec Spec) (string, error) {
	var head struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(spec.Chaos.Spec, &head); err != nil {
		return "", errors.New("chaos.spec: write keys and values, such as {action: kill}")
	}
	return head.Action, nil
}

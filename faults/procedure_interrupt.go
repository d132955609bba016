package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

var _ = registerOwn(KindProcedure, "interrupt", parseProcedureInterrupt)

// interruptGrace is how long a procedure has by default. Runners of CI jobs that are
// cancelled give some seconds, kubelets 30.
const interruptGrace = history.Duration(10 * time.Second)

// parseProcedureInterrupt reads the fault that interrupts the procedure, as a runner does
// whose job is cancelled.
func parseProcedureInterrupt(spec Spec) (Fault, error) {
	read := struct {
		Action string           `json:"action"`
		Grace  history.Duration `json:"grace"`
	}{Grace: interruptGrace}
	if err := readOwn(spec, &read, "action", "grace"); err != nil {
		return nil, err
	}
	if read.Grace <= 0 {
		return nil, errors.New("chaos.spec.grace: write how long the procedure has to end by itself, such as grace: 10s")
	}
	if spec.For != 0 {
		return nil, errors.New("for: interrupt happens at once and does not last: remove it")
	}
	return &doing{kind: KindProcedure, action: "interrupt", name: KindProcedure + " interrupt", do: func(_ context.Context, t Target) (string, safety.Undo, error) {
		if t.Procedure == nil {
			return "", nil, errors.New("there is no procedure")
		}
		return fmt.Sprintf("the procedure was asked to end, and has %s to do so", read.Grace), nil, t.Procedure.Interrupt(read.Grace.D())
	}}, nil
}

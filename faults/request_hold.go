package faults

import (
	"context"
	"errors"
	"sync"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/safety"
)

var _ = registerOwn(KindRequest, "hold", parseRequestHold)

// parseRequestHold reads the fault that passes a request on only when faults are
// healed: to whoever waits for it, the API server is silent.
func parseRequestHold(spec Spec) (Fault, error) {
	var read struct {
		Action string `json:"action"`
	}
	if err := requestSpec(spec, &read, "action"); err != nil {
		return nil, err
	}
	if spec.For != 0 {
		return nil, errors.New("for: hold lasts until the procedure gives up: remove it, or use action: delay")
	}
	return ruling("hold", KindRequest+" hold", "the request is not passed on", func() (apiproxy.Ruling, safety.Undo) {
		held := make(chan struct{})
		release := sync.OnceFunc(func() { close(held) })
		return apiproxy.Ruling{Hold: held}, func(context.Context) error { release(); return nil }
	}), nil
}

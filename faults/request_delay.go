package faults

import (
	"errors"
	"fmt"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

var _ = registerOwn(KindRequest, "delay", parseRequestDelay)

// parseRequestDelay reads the fault that passes a request on late.
func parseRequestDelay(spec Spec) (Fault, error) {
	var read struct {
		Action string           `json:"action"`
		Delay  history.Duration `json:"delay"`
	}
	if err := requestSpec(spec, &read, "action", "delay"); err != nil {
		return nil, err
	}
	if spec.For != 0 {
		return nil, errors.New("for: how late the request is says chaos.spec.delay: remove it")
	}
	if read.Delay <= 0 {
		return nil, errors.New("chaos.spec.delay: write how late, such as delay: 2s")
	}
	return ruling("delay", fmt.Sprintf("%s delay %s", KindRequest, read.Delay), fmt.Sprintf("the request is passed on %s late", read.Delay),
		func() (apiproxy.Ruling, safety.Undo) { return apiproxy.Ruling{Delay: read.Delay.D()}, nil }), nil
}

// requestSpec reads the spec of a fault on a request.
func requestSpec(spec Spec, into any, keys ...string) error {
	if err := onRequest(spec); err != nil {
		return err
	}
	return readOwn(spec, into, keys...)
}

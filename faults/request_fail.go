package faults

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/safety"
)

var _ = registerOwn(KindRequest, "fail", parseRequestFail)

// parseRequestFail reads the fault that answers a request in place of the API server.
func parseRequestFail(spec Spec) (Fault, error) {
	read := struct {
		Action string `json:"action"`
		Status int    `json:"status"`
	}{Status: http.StatusServiceUnavailable}
	if err := requestSpec(spec, &read, "action", "status"); err != nil {
		return nil, err
	}
	if spec.For != 0 {
		return nil, errors.New("for: fail happens at once and does not last: remove it")
	}
	if read.Status < 400 || read.Status > 599 {
		return nil, fmt.Errorf("chaos.spec.status: %d is no failure: write 400 to 599; default 503", read.Status)
	}
	return ruling("fail", fmt.Sprintf("%s fail %d", KindRequest, read.Status), fmt.Sprintf("the request is answered with %d in place of the API server", read.Status),
		func() (apiproxy.Ruling, safety.Undo) { return apiproxy.Ruling{Fail: read.Status}, nil }), nil
}

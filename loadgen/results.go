package loadgen

import (
	"fmt"
	"io"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

// resultEncoders are vegeta's, by the names that it gives them.
var resultEncoders = map[string]func(io.Writer) vegeta.Encoder{
	"gob":  vegeta.NewEncoder,
	"json": vegeta.NewJSONEncoder,
	"csv":  vegeta.NewCSVEncoder,
}

// WriteResults writes the requests of a record as vegeta's results, in order of their
// intended instants, in one of its encodings: gob, json or csv.
func WriteResults(w io.Writer, encoding string, h history.History) error {
	encoder, known := resultEncoders[encoding]
	if !known {
		return fmt.Errorf("unknown encoding %q: use gob, json or csv", encoding)
	}
	began, err := time.Parse(time.RFC3339, h.Plan.Started)
	if err != nil {
		return fmt.Errorf("the record does not say when the run began: %w", err)
	}
	if len(h.Requests) == 0 {
		return fmt.Errorf("the record of %s holds no requests: the run ended before the load began", h.Plan.Scenario)
	}
	encode := encoder(w)
	for _, r := range h.Requests {
		result := asResult(r, began, h.Plan.Scenario)
		if err := encode(&result); err != nil {
			return err
		}
	}
	return nil
}

// asResult is a request as vegeta would tell of it. The record holds no sizes, so that
// these are 0. The code of a request without a whole answer is 0, as vegeta has it: it
// counts by the code alone. An answer that was not expected is an error, whatever its
// code. An expected one is none.
func asResult(r history.Request, began time.Time, attack string) vegeta.Result {
	method, path, _ := strings.Cut(r.Name, " ")
	result := vegeta.Result{
		Attack: attack, Seq: uint64(r.Seq), Method: method, URL: path,
		Timestamp: began.Add(r.Intended.Sub(0)), Latency: max(0, r.Latency()),
		Code: uint16(r.Status), Error: r.Err,
	}
	switch {
	case !r.Done.Happened():
		result.Error = "no answer when the run ended"
	case r.Err == "" && !r.Expected:
		result.Error = fmt.Sprintf("status %d was not expected", r.Status)
	}
	if r.Err != "" || !r.Done.Happened() {
		result.Code = 0
	}
	return result
}

package loadgen

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// DiffSpec is load.diff: requests that are also sent to two pods of the baseline and to
// one of the candidate, whose answers are compared. Users' requests are apart from it.
type DiffSpec struct {
	Share  history.Fraction `yaml:"share,omitempty" json:"share,omitempty"`   // of the requests that are sent thus; default 10%
	Writes bool             `yaml:"writes,omitempty" json:"writes,omitempty"` // other requests than GET and HEAD, too; each is then done three times more
	// Ignore names fields that may differ, each with what is below it: header.ETag,
	// body.items[*].id. What tells the version may differ anyway.
	Ignore []string `yaml:"ignore,omitempty" json:"ignore,omitempty"`
}

// WithDefaults fills what was left out.
func (d DiffSpec) WithDefaults() DiffSpec {
	if d.Share == 0 {
		d.Share = 0.1
	}
	return d
}

// compares reports whether a request may be sent to more than it was meant for.
func (d DiffSpec) compares(r *RequestSpec) bool {
	return d.Writes || isRead(r.withDefaults().Method) && !r.Write
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// isWrite is how a request that somebody else described is taken to be.
func isWrite(method string) bool { return !isRead(method) && method != http.MethodOptions }

// validate says what is wrong, each with its key.
func (d DiffSpec) validate(protocol string, requests []RequestSpec) error {
	if protocol == GRPC {
		return errors.New("load.diff compares answers of HTTP: not with protocol: grpc")
	}
	var wrong []error
	if d.Share <= 0 || d.Share > 1 {
		wrong = append(wrong, fmt.Errorf("load.diff.share %s compares nothing: write more than 0%%, such as 10%%", d.Share))
	}
	for i, field := range d.Ignore {
		if err := knownField(field); err != nil {
			wrong = append(wrong, fmt.Errorf("load.diff.ignore[%d]: %w", i, err))
		}
	}
	for i := range requests {
		if d.compares(&requests[i]) {
			return errors.Join(wrong...)
		}
	}
	return errors.Join(append(wrong, errors.New("load.diff compares nothing: load.requests has no GET or HEAD, and writes is not true"))...)
}

// knownField checks the name of a field of an answer.
func knownField(field string) error {
	name, isHeader := strings.CutPrefix(field, "header.")
	switch {
	case isHeader && name != "", isUnder(field, "body"), field == "status", field == "format":
		return nil
	}
	return fmt.Errorf("%q is no field of an answer: write status, format, header.NAME, body or a path below it, such as body.items[*].id", field)
}

// fields are those in which the source finds the version.
func (s VersionSource) fields() []string {
	switch {
	case s.Header != "":
		return []string{"header." + s.Header}
	case s.JSON != "":
		return []string{"body." + s.JSON}
	}
	return nil
}

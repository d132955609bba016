package gates

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Number is a limit of a query: a plain number, a percentage ("1%" is 0.01) or a
// duration in seconds ("500ms" is 0.5), as Prometheus measures time.
type Number struct {
	Value float64
	text  string // as it was written
}

// String is n as it was written.
func (n Number) String() string { return n.text }

// MarshalText writes n as it is read.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.text), nil }

// UnmarshalText reads "0.01", "1%" or "500ms".
func (n *Number) UnmarshalText(written []byte) error {
	word := strings.TrimSpace(string(written))
	if number, percentage := strings.CutSuffix(word, "%"); percentage {
		value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		return n.set(word, value/100, err)
	}
	if value, err := strconv.ParseFloat(word, 64); err == nil {
		return n.set(word, value, nil)
	}
	value, err := time.ParseDuration(word)
	return n.set(word, value.Seconds(), err)
}

func (n *Number) set(word string, value float64, err error) error {
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return fmt.Errorf("bad limit %q: write a number such as 0.01, a percentage such as 1%%, or seconds as a duration such as 500ms", word)
	}
	n.Value, n.text = value, word
	return nil
}

// like writes a value as n is written.
func (n Number) like(value float64) string {
	switch {
	case math.IsInf(value, 0):
		return strconv.FormatFloat(value, 'g', -1, 64)
	case strings.HasSuffix(n.text, "%"):
		return strconv.FormatFloat(100*value, 'g', 4, 64) + "%"
	case strings.ContainsAny(n.text, "smhn") && math.Abs(value) < 1e6:
		return time.Duration(value * float64(time.Second)).Round(time.Microsecond).String()
	}
	return strconv.FormatFloat(value, 'g', 6, 64)
}

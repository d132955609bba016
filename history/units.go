package history

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Micros is an instant: whole microseconds since the run began, on the run's one
// monotonic clock.
type Micros int64

// Never is the instant of something that did not happen.
const Never Micros = math.MinInt64

// After is the instant d after m.
func (m Micros) After(d time.Duration) Micros { return m + Micros(d.Microseconds()) }

// Sub is the time from o to m.
func (m Micros) Sub(o Micros) time.Duration { return time.Duration(m-o) * time.Microsecond }

// Happened reports whether m is an instant at all.
func (m Micros) Happened() bool { return m != Never }

// Millis is m in milliseconds, or nil if it never happened. Records print instants so.
func (m Micros) Millis() *float64 {
	if !m.Happened() {
		return nil
	}
	ms := float64(m) / 1000
	return &ms
}

// Duration is a span of time written as Go writes it: "5s", "250ms", "1m30s".
type Duration time.Duration

// D is d as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is d in the form it is written in.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes d as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "5s". A bare number is refused: nobody can tell its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("bad duration %q: write a number and a unit, such as 500ms, 5s or 1m30s", text)
	}
	if parsed < 0 {
		return fmt.Errorf("bad duration %q: it is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

// Fraction is a share between 0 and 1, written as a percentage ("99.9%").
type Fraction float64

// String is f as a percentage.
func (f Fraction) String() string {
	return strconv.FormatFloat(math.Round(float64(f)*1e10)/1e8, 'f', -1, 64) + "%"
}

// MarshalText writes f as it is read.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads "99.9%". A number without the sign is refused: 1 could be
// one per cent or all.
func (f *Fraction) UnmarshalText(text []byte) error {
	number, isPercentage := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !isPercentage {
		return fmt.Errorf("bad percentage %q: write a number and a %% sign, such as 99.9%%", text)
	}
	if !(value >= 0 && value <= 100) {
		return fmt.Errorf("bad percentage %q: it must lie between 0%% and 100%%", text)
	}
	*f = Fraction(value / 100)
	return nil
}

// MarshalJSON writes null for an instant that never happened.
func (m Micros) MarshalJSON() ([]byte, error) {
	if !m.Happened() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(m), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Micros) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = Never
		return nil
	}
	return json.Unmarshal(data, (*int64)(m))
}

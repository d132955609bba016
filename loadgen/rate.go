package loadgen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how many requests arrive in a stretch of time: "200/s", "3000/m", "50/h".
type Rate struct {
	Count int
	Per   time.Duration
}

// maxPerSecond is far above what one machine sends; it catches a slipped digit.
const maxPerSecond = 100_000

var rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// PerSecond is r in requests per second.
func (r Rate) PerSecond() float64 {
	if r.Per == 0 {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// String is r in the form it is written in, or per second if it is none that can be
// written; "" if it is not set.
func (r Rate) String() string {
	for unit, per := range rateUnits {
		if r.Per == per {
			return strconv.Itoa(r.Count) + "/" + unit
		}
	}
	if r.Per > 0 {
		return strconv.FormatFloat(r.PerSecond(), 'g', 3, 64) + "/s"
	}
	return ""
}

// MarshalText writes r as it is read.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads "200/s". A bare number is refused: nobody can tell its unit.
func (r *Rate) UnmarshalText(text []byte) error {
	number, unit, _ := strings.Cut(string(text), "/")
	per, ok := rateUnits[unit]
	if !ok {
		return fmt.Errorf("bad rate %q: write requests per s, m or h, such as 200/s or 30/m", text)
	}
	count, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return fmt.Errorf("bad rate %q: %q is no whole number; for less than one a second write 30/m", text, number)
	case count <= 0:
		return fmt.Errorf("bad rate %q: it must be above zero", text)
	}
	parsed := Rate{Count: count, Per: per}
	if parsed.PerSecond() > maxPerSecond {
		return fmt.Errorf("bad rate %q: more than %d/s cannot be sent from here", text, maxPerSecond)
	}
	*r = parsed
	return nil
}

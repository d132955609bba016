package reports

import (
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

func TestCount(t *testing.T) {
	for _, row := range []struct {
		n    int
		want string
	}{
		{0, "0"},               // nothing
		{999, "999"},           // too short for a separator
		{1000, "1,000"},        // the first with one
		{1234567, "1,234,567"}, // two
		{-1234, "−1,234"},      // a true minus sign
	} {
		if got := count(row.n); got != row.want {
			t.Errorf("count(%d) = %q, want %q", row.n, got, row.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ms"},                                  // nothing
		{350 * time.Microsecond, "350 µs"},           // below a millisecond
		{2350 * time.Microsecond, "2.4 ms"},          // a fast answer
		{611 * time.Millisecond, "611 ms"},           // no false digits
		{999600 * time.Microsecond, "1.0 s"},         // rounds up into the next unit
		{2500 * time.Millisecond, "2.5 s"},           // one digit where one is enough
		{2460 * time.Millisecond, "2.46 s"},          // two where not
		{9999 * time.Millisecond, "10.0 s"},          // rounds up within its unit
		{59960 * time.Millisecond, "60.0 s"},         // seconds until two minutes
		{3*time.Minute + 5*time.Second, "3 min 5 s"}, // minutes
		{2 * time.Hour, "120 min"},                   // no hours: runs are short
		{-1500 * time.Millisecond, "−1.5 s"},         // before
	} {
		if got := span(row.d); got != row.want {
			t.Errorf("span(%v) = %q, want %q", row.d, got, row.want)
		}
	}
}

func TestReach(t *testing.T) {
	for _, row := range []struct {
		b    verdict.Bounds
		want string
	}{
		{verdict.Bounds{2490, 2530}, "2.49 to 2.53 s"},                 // digits that both have
		{verdict.Bounds{2499.1, 2501.2}, "2.499 to 2.502 s"},           // narrow
		{verdict.Bounds{2252.401, 2924.516}, "2.25 to 2.93 s"},         // two digits of the width, outwards
		{verdict.Bounds{184.623, 489.042}, "184 to 490 ms"},            // milliseconds
		{verdict.Bounds{0, 1.234}, "0.0 to 1.3 ms"},                    // from nothing
		{verdict.Bounds{980, 1020}, "0.98 to 1.02 s"},                  // over the edge of a unit
		{verdict.Bounds{185_012.4, 185_020.1}, "185.012 to 185.021 s"}, // no minutes: they would hide the digits
		{verdict.Bounds{2000, 2000}, "2 to 2 s"},                       // no width at all
	} {
		if got := reach(row.b); got != row.want {
			t.Errorf("reach(%v) = %q, want %q", row.b, got, row.want)
		}
	}
}

func TestSetting(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want string
	}{
		{500 * time.Millisecond, "500 ms"},     // as a scenario writes it
		{250 * time.Microsecond, "0.25 ms"},    // exact, not rounded
		{15 * time.Second, "15 s"},             // no digits that nobody chose
		{1500 * time.Millisecond, "1.5 s"},     // all that somebody chose
		{90 * time.Second, "90 s"},             // seconds until two minutes
		{3 * time.Minute, "3 min"},             // whole minutes
		{125500 * time.Millisecond, "125.5 s"}, // minutes would lose the half
	} {
		if got := setting(history.Duration(row.d)); got != row.want {
			t.Errorf("setting(%v) = %q, want %q", row.d, got, row.want)
		}
	}
}

func TestAgainst(t *testing.T) {
	limit := history.Duration(15 * time.Second)
	for _, row := range []struct {
		d    time.Duration
		want string
	}{
		{2500 * time.Millisecond, "2.5 s"},     // far from the limit
		{15 * time.Second, "15.0 s"},           // the limit itself
		{15040 * time.Millisecond, "15.040 s"}, // over it by less than span shows
	} {
		if got := against(row.d, limit); got != row.want {
			t.Errorf("against(%v) = %q, want %q", row.d, got, row.want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, row := range []struct {
		f    float64
		want string
	}{
		{0, "0 %"},               // exactly none
		{1, "100 %"},             // exactly all
		{0.5, "50 %"},            // no empty digits
		{0.0234, "2.3 %"},        // two significant digits
		{0.00051, "0.051 %"},     // a small share is not 0.1 %
		{0.999, "99.9 %"},        // an SLO
		{0.99999, "99.999 %"},    // nearly all is not all
		{0.0000001, "0.00001 %"}, // nearly none is not none
	} {
		if got := share(row.f); got != row.want {
			t.Errorf("share(%v) = %q, want %q", row.f, got, row.want)
		}
	}
}

func TestClock(t *testing.T) {
	for _, row := range []struct {
		m    history.Micros
		want string
	}{
		{0, "+0.000 s"},              // the beginning
		{15240000, "+15.240 s"},      // milliseconds, as in run.json
		{1234567890, "+1,234.568 s"}, // a long run
		{-100000, "−0.100 s"},        // before the onset
		{history.Never, none},        // did not happen
	} {
		if got := clock(row.m); got != row.want {
			t.Errorf("clock(%v) = %q, want %q", int64(row.m), got, row.want)
		}
	}
}

func TestRoundUp(t *testing.T) {
	for _, row := range []struct{ f, want float64 }{
		{0, 1},       // an empty chart still has a height
		{0.3, 0.5},   // below one
		{1, 1},       // exact
		{61, 100},    // up
		{4.2e6, 5e6}, // microseconds
	} {
		if got := roundUp(row.f); got != row.want {
			t.Errorf("roundUp(%v) = %v, want %v", row.f, got, row.want)
		}
	}
}

func TestCeiling(t *testing.T) {
	for _, row := range []struct{ f, want float64 }{
		{0, 1},     // no requests at all
		{1, 1},     // exact
		{7, 7},     // small counts are whole numbers
		{72, 80},   // the least round number above
		{800, 800}, // already round
	} {
		if got := ceiling(row.f); got != row.want {
			t.Errorf("ceiling(%v) = %v, want %v", row.f, got, row.want)
		}
	}
}

func TestShelfKeepsLabelsApart(t *testing.T) {
	s := shelf{from: 0, to: 200}
	if row, at, anchor := s.place(10, "weight-5"); row != 0 || at != 10 || anchor != "start" {
		t.Error("the first label does not stand where it belongs")
	}
	if row, _, _ := s.place(20, "weight-25"); row != 1 {
		t.Error("two labels share a row and cover one another")
	}
	if row, at, anchor := s.place(190, "rollback"); row != 0 || at != 190 || anchor != "end" {
		t.Error("a label at the right edge does not lean back")
	}
}

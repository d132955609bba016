package reports

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// none stands where the record has null.
const none = "–"

// count writes a whole number with thousands separators: 5,431.
func count[N ~int | ~int64](n N) string { return separated(strconv.FormatInt(int64(n), 10)) }

// separated puts commas into the whole part of a decimal number.
func separated(number string) string {
	sign, digits := "", number
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	whole, fraction, hasFraction := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFraction {
		whole += "." + fraction
	}
	return sign + whole
}

// plural is "1 pod", "2 pods".
func plural[N ~int | ~int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// span writes a measured length of time with about three significant digits.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "−" + span(-d)
	case d == 0:
		return "0 ms"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < 10*time.Millisecond:
		return decimal(d.Seconds()*1000, 1) + " ms"
	case d.Round(time.Millisecond) < time.Second:
		return decimal(d.Seconds()*1000, 0) + " ms"
	case d.Round(10*time.Millisecond) < 10*time.Second:
		return strings.TrimSuffix(decimal(d.Seconds(), 2), "0") + " s"
	case d.Round(100*time.Millisecond) < 2*time.Minute:
		return decimal(d.Seconds(), 1) + " s"
	}
	return minutes(d.Round(time.Second))
}

// setting writes a length of time that somebody chose: exactly, and as short as can be.
func setting(d history.Duration) string {
	switch {
	case d.D() >= 2*time.Minute && d.D()%time.Second == 0:
		return minutes(d.D())
	case d.D() >= time.Second:
		return separated(strconv.FormatFloat(d.D().Seconds(), 'f', -1, 64)) + " s"
	}
	return strconv.FormatFloat(d.D().Seconds()*1000, 'f', -1, 64) + " ms"
}

func minutes(d time.Duration) string {
	text := count(int64(d/time.Minute)) + " min"
	if s := int64(d % time.Minute / time.Second); s > 0 {
		text += " " + count(s) + " s"
	}
	return text
}

func decimal(f float64, digits int) string {
	return separated(strconv.FormatFloat(f, 'f', digits, 64))
}

// decimalShort writes a number with no more digits than it has: 200, 99.9.
func decimalShort(f float64) string {
	return separated(strconv.FormatFloat(math.Round(f*1e6)/1e6, 'f', -1, 64))
}

// against is span, with as many digits as it takes to tell a measurement from its
// limit: 15.04 s is not "15.0 s of 15 s allowed".
func against(d time.Duration, limit history.Duration) string {
	if text := span(d); d == limit.D() || text != span(limit.D()) {
		return text
	}
	return decimal(d.Seconds(), 3) + " s"
}

// reach writes the interval of a measured length of time, with as many digits as its width is
// worth: 2.49 to 2.53 s. Its ends are rounded outwards.
func reach(b verdict.Bounds) string {
	scale, unit, most := 1.0, "ms", 2
	if b[1] >= 1000 {
		scale, unit, most = 1000, "s", 3
	}
	digits := min(max(1-int(math.Floor(math.Log10((b[1]-b[0])/scale))), 0), most)
	step := math.Pow(10, float64(digits)) / scale
	const hair = 1e-6 // decimal fractions are not exact
	low, high := decimal(math.Floor(b[0]*step+hair)/step/scale, digits), decimal(math.Ceil(b[1]*step-hair)/step/scale, digits)
	for digits > 0 && strings.HasSuffix(low, "0") && strings.HasSuffix(high, "0") {
		low, high, digits = strings.TrimSuffix(low[:len(low)-1], "."), strings.TrimSuffix(high[:len(high)-1], "."), digits-1
	}
	return low + " to " + high + " " + unit
}

// share writes a fraction as a percentage with two significant digits of its
// distance to 0 or 100 %, so that 99.999 % never reads as 100 %.
func share(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return none
	}
	distance := min(math.Abs(f), math.Abs(1-f)) * 100
	digits := 1
	for d := distance; d > 0 && d < 0.95 && digits < 6; d *= 10 {
		digits++
	}
	text := strconv.FormatFloat(f*100, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return separated(text) + " %"
}

// ratio is part of whole as a percentage; none of nothing.
func ratio[N ~int | ~int64](part, whole N) string {
	if whole == 0 {
		return none
	}
	return share(float64(part) / float64(whole))
}

// clock writes an instant of the run: +15.240 s.
func clock(m history.Micros) string {
	switch {
	case !m.Happened():
		return none
	case m < 0:
		return decimal(float64(m)/1e6, 3) + " s"
	}
	return "+" + decimal(float64(m)/1e6, 3) + " s"
}

// micros and length read a time of run.json, which is in milliseconds.
func micros(ms float64) history.Micros { return history.Micros(math.Round(ms * 1000)) }
func length(ms float64) time.Duration  { return micros(ms).Sub(0) }

// shorten cuts text to at most n characters and says so.
func shorten(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// sentenceOf ends text with a full stop unless it has an end of its own.
func sentenceOf(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

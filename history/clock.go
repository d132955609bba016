package history

import "time"

// Clock is a run's only clock. It is monotonic: it counts from the instant it was
// made and no adjustment of the machine's time moves it.
type Clock struct{ began time.Time }

// NewClock starts a clock at zero.
func NewClock() Clock { return Clock{began: time.Now()} }

// Now is the present instant.
func (c Clock) Now() Micros { return c.At(time.Now()) }

// At places a reading of time.Now on the clock.
func (c Clock) At(t time.Time) Micros { return Micros(t.Sub(c.began).Microseconds()) }

// Time is the inverse of At.
func (c Clock) Time(m Micros) time.Time { return c.began.Add(m.Sub(0)) }

// Began is the clock's zero as a time of day, for people.
func (c Clock) Began() time.Time { return c.began }

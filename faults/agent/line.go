package agent

import "time"

// line is a waiting line: packets leave it in the order in which they came,
// whatever their delays. Nobody overtakes.
type line struct {
	waiting []packet // in order of arrival, of number and of due
	gone    int      // so many at the front of waiting have left
	lastDue time.Time
	last    uint32 // number of the last that came
}

type packet struct {
	id  uint32
	due time.Time
}

// join puts a packet at the end. It is due no earlier than those before it.
func (l *line) join(id uint32, due time.Time) {
	if due.Before(l.lastDue) {
		due = l.lastDue
	}
	l.lastDue, l.last = due, id
	// Room is made in place, so that a steady flow allocates nothing.
	if l.gone > len(l.waiting)/2 {
		n := copy(l.waiting, l.waiting[l.gone:])
		l.waiting, l.gone = l.waiting[:n], 0
	}
	l.waiting = append(l.waiting, packet{id, due})
}

// leave takes out all that are due, and says how many they are and which was the
// last.
func (l *line) leave(now time.Time) (last uint32, count int) {
	for l.gone < len(l.waiting) && !l.waiting[l.gone].due.After(now) {
		last = l.waiting[l.gone].id
		l.gone++
		count++
	}
	return last, count
}

// first says when the next packet is due, if one waits.
func (l *line) first() (due time.Time, some bool) {
	if l.gone == len(l.waiting) {
		return time.Time{}, false
	}
	return l.waiting[l.gone].due, true
}

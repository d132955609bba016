package loadgen

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// books keep the record of a load: they say who answered each request, and tell the sink
// of it. Whoever carries requests only hands in notes, which never waits for the sink, and
// one goroutine enters them. What waits for its line in the access log waits in here.
type books struct {
	attack   *Attack
	ids      ids
	follower history.Follower // nil if the sink is none
	inbox    inbox
	backends *backends // nil without an access log
	lateness *lateness
	ledger   ledger
	sent     int64

	open    map[int64]*unsettled // begun, with an access log
	early   map[int64]string     // backends of requests whose beginning was not noted yet
	begun   int64                // the latest request that was
	overdue []*unsettled         // answered, in order, some of them settled since

	kept chan struct{} // closed when all is entered
}

// note is what happened to a request.
type note struct {
	kind     noteKind
	released history.Micros  // of a beginning
	request  history.Request // without ID
	spec     *RequestSpec
	told     string // what the answer says of its version
	body     []byte // of the answer, as far as it is needed; it holds until the note is entered
}

type noteKind uint8

const (
	// begins is a request that was released; its Seq and Intended count.
	begins noteKind = iota
	// ends is a request of which all is known that the one who carried it can know.
	ends
	// turnedAway is an arrival for which there was no connection; no other note is of it.
	turnedAway
)

// unsettled is a request that has begun and waits for its answer or for its line in the
// access log.
type unsettled struct {
	ended   bool
	settled bool
	note    note
	ip      string
	until   time.Time
}

func newBooks(a *Attack) *books {
	b := &books{
		attack: a, ids: ids{prefix: a.RunID + "-"}, begun: -1,
		inbox: inbox{news: make(chan struct{}, 1)}, lateness: newLateness(a.Sink),
		open: map[int64]*unsettled{}, early: map[int64]string{}, kept: make(chan struct{}),
	}
	b.follower, _ = a.Sink.(history.Follower)
	if at := a.Attribution; at != nil && at.Log != nil && at.Resolve != nil {
		b.backends = at.Log.follow(b.ids.prefix)
	}
	return b
}

// keep enters notes until the books are closed and nothing waits any more.
func (b *books) keep() {
	defer close(b.kept)
	defer b.backends.unfollow()
	timer := time.NewTimer(lineWait)
	defer timer.Stop()
	var notes batch
	for {
		// First the lines: whoever handed in a note before its request was sent has done so by now.
		lines := b.backends.take()
		closed := b.inbox.empty(&notes)
		for i := range notes.notes {
			b.enter(&notes.notes[i])
		}
		for _, line := range lines {
			b.line(line)
		}
		b.giveUp(time.Now())
		if closed && len(b.overdue) == 0 {
			return
		}
		if closed && len(notes.notes) > 0 {
			continue
		}
		timer.Reset(b.patience())
		select {
		case <-b.inbox.news:
		case <-b.backends.news():
		case <-timer.C:
		}
	}
}

// close enters what is left, once nobody hands in notes any more.
func (b *books) close() {
	b.inbox.close()
	<-b.kept
}

func (b *books) enter(n *note) {
	switch n.kind {
	case begins:
		b.begin(n)
	case turnedAway:
		b.lateness.released(n.request.Intended, n.released)
		b.complete(n)
		b.attack.Sink.Request(n.request)
	case ends:
		b.end(n)
	}
}

func (b *books) begin(n *note) {
	b.lateness.released(n.request.Intended, n.released)
	if b.follower != nil {
		b.follower.Began(n.request)
	}
	if b.backends == nil {
		return
	}
	seq := n.request.Seq
	b.begun = max(b.begun, seq)
	b.open[seq] = &unsettled{ip: b.early[seq]}
	delete(b.early, seq)
}

func (b *books) end(n *note) {
	b.complete(n)
	at := b.attack.Attribution
	at.read(n.told, &n.request)
	if b.follower != nil {
		b.follower.Answered(n.request)
	}
	waiting := b.open[n.request.Seq]
	if waiting == nil || !n.request.Sent.Happened() {
		b.settle(n, "")
		return
	}
	waiting.ended, waiting.note = true, *n
	waiting.until = time.Now().Add(lineWait)
	b.overdue = append(b.overdue, waiting)
	if waiting.ip != "" {
		b.settleOpen(waiting)
	}
}

// complete fills in what can be said of a request without knowing who answered.
func (b *books) complete(n *note) {
	r := &n.request
	r.ID = b.ids.of(r.Seq)
	if n.body == nil {
		return
	}
	if at := b.attack.Attribution; at != nil && n.told == "" {
		n.told = at.Source.value(answer{body: n.body})
	}
	if !r.Expected {
		r.Body = sampled(n.body)
	}
	n.body = nil // it belongs to whoever handed in the note
}

// line takes the backend of a request. That of one which is settled comes too late.
func (b *books) line(l backend) {
	waiting := b.open[l.seq]
	switch {
	case waiting != nil:
		if waiting.ip == "" {
			waiting.ip = l.ip
		}
		if waiting.ended {
			b.settleOpen(waiting)
		}
	case l.seq > b.begun:
		b.early[l.seq] = l.ip
	}
}

// giveUp settles what has waited long enough.
func (b *books) giveUp(now time.Time) {
	n := 0
	for _, waiting := range b.overdue {
		if !waiting.settled && waiting.until.After(now) {
			break
		}
		if !waiting.settled {
			b.settleOpen(waiting)
		}
		n++
	}
	clear(b.overdue[:n])
	b.overdue = b.overdue[n:]
}

// patience is how long the first of those that wait still does.
func (b *books) patience() time.Duration {
	if len(b.overdue) == 0 {
		return time.Hour
	}
	return time.Until(b.overdue[0].until)
}

func (b *books) settleOpen(u *unsettled) {
	u.settled = true
	b.attack.Attribution.backend(u.ip, u.note.told, &u.note.request)
	b.settle(&u.note, u.ip)
}

// settle enters a request of which nothing more will be learned.
func (b *books) settle(n *note, ip string) {
	r := &n.request
	delete(b.open, r.Seq)
	if r.Sent.Happened() {
		b.sent++
	}
	if r.Expected && n.spec.ReadBack != nil {
		b.ledger.add(n.spec.ReadBack, r.ID)
	}
	b.attack.Sink.Request(*r)
}

// sampled is the beginning of a body, for the report.
func sampled(body []byte) string {
	return strings.ToValidUTF8(string(body[:min(len(body), sampleBody)]), "\ufffd")
}

// ids make the texts of ids, many in one allocation.
type ids struct {
	prefix string
	text   strings.Builder
}

const (
	// idsAtOnce is the size of an allocation: some hundreds of ids.
	idsAtOnce = 16 << 10
	// mostDigits is how long a number can be.
	mostDigits = 20
)

func (i *ids) of(seq int64) string {
	var digits [mostDigits]byte
	if i.text.Cap()-i.text.Len() < len(i.prefix)+mostDigits {
		i.text.Reset() // earlier ids keep what they are made of
		i.text.Grow(max(idsAtOnce, len(i.prefix)+mostDigits))
	}
	from := i.text.Len()
	i.text.WriteString(i.prefix)
	i.text.Write(strconv.AppendInt(digits[:0], seq, 10))
	return i.text.String()[from:]
}

// batch is notes, and the bytes that they refer to.
type batch struct {
	notes []note
	bytes []byte
}

// hold copies data into the batch.
func (b *batch) hold(data []byte) []byte {
	from := len(b.bytes)
	b.bytes = append(b.bytes, data...) // what was held before stays where it is
	return b.bytes[from:len(b.bytes):len(b.bytes)]
}

func (b *batch) reset() { b.notes, b.bytes = b.notes[:0], b.bytes[:0] }

// inbox is where notes are handed in.
type inbox struct {
	news chan struct{}

	mu     sync.Mutex
	filled batch
	closed bool
}

// put hands in a note, from any goroutine. It may wait for others who do.
func (i *inbox) put(n note) {
	i.mu.Lock()
	i.filled.notes = append(i.filled.notes, n)
	i.mu.Unlock()
	i.wake()
}

// swap hands in a batch and gives an empty one for it, or does nothing if that would
// have to wait. Whoever uses it uses nothing else.
func (i *inbox) swap(b *batch) bool {
	if !i.mu.TryLock() {
		return false
	}
	free := len(i.filled.notes) == 0
	if free {
		i.filled, *b = *b, i.filled
		b.reset()
	}
	i.mu.Unlock()
	if free {
		i.wake()
	}
	return free
}

// empty takes what was handed in and leaves b's room for it; and reports whether that was
// the last.
func (i *inbox) empty(b *batch) (closed bool) {
	b.reset()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.filled, *b = *b, i.filled
	return i.closed
}

func (i *inbox) close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.wake()
}

func (i *inbox) wake() {
	select {
	case i.news <- struct{}{}:
	default:
	}
}

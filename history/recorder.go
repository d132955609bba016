package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files of a record that this package writes.
const (
	eventsFile   = "events.ndjson"
	requestsLog  = "requests.log"
	requestsFile = "requests.parquet"
)

// Recorder writes a run's record as the run goes on and is the live view of it.
// Nothing in it makes the run wait: what cannot be written is an error of
// [Recorder.Close], not of the run.
type Recorder struct {
	dir      string
	view     *view
	events   *journal
	requests *journal

	mu          sync.Mutex
	subscribers []func(Event)
	closed      bool
}

var (
	_ Follower = (*Recorder)(nil)
	_ Live     = (*Recorder)(nil)
)

// Open starts a record in dir, which is made if need be and must not hold one
// already. A request unanswered slo after its intended arrival is overdue.
func Open(dir string, clock Clock, slo time.Duration) (*Recorder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	events, err := openJournal(filepath.Join(dir, eventsFile))
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	requests, err := openJournal(filepath.Join(dir, requestsLog))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record: %w", err), events.close())
	}
	return &Recorder{dir: dir, view: newView(clock, slo), events: events, requests: requests}, nil
}

// Event records e and hands it to the subscribers.
func (r *Recorder) Event(e Event) {
	r.events.add(e)
	r.mu.Lock()
	subscribers := r.subscribers
	r.mu.Unlock()
	for _, tell := range subscribers {
		tell(e)
	}
}

// Subscribe has tell called with every event from now on, on the goroutine that
// records it: it must be quick and safe for concurrent use.
func (r *Recorder) Subscribe(tell func(Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscribers = append(r.subscribers[:len(r.subscribers):len(r.subscribers)], tell)
}

// Began implements [Follower].
func (r *Recorder) Began(q Request) { r.view.began(q) }

// Answered implements [Follower]. An answer whose version is known counts from
// here on; one without waits for its Request.
func (r *Recorder) Answered(q Request) { r.view.answered(q, false) }

// Request records q.
func (r *Recorder) Request(q Request) {
	r.requests.add(q)
	r.view.answered(q, true)
}

// Now implements [Live].
func (r *Recorder) Now() Micros { return r.view.clock.Now() }

// Window implements [Live]. A stretch that ends after the present holds what is
// known so far.
func (r *Recorder) Window(from, to Micros) Window { return r.view.window(from, to) }

// Serving implements [Live].
func (r *Recorder) Serving(gen int64) <-chan struct{} { return r.view.await(gen) }

// Err is the first failure to write the record, nil as long as all is well.
func (r *Recorder) Err() error {
	return errors.Join(r.events.failure(), r.requests.failure())
}

// Close completes the record: the requests end up in requests.parquet, in order
// of their intended arrival. It returns the first failure of each file; what was
// written until then stays. Further calls do nothing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return nil
	}
	failed := errors.Join(r.events.close(), r.requests.close())
	if err := r.convert(); err != nil {
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return fmt.Errorf("record %s is not complete: %w", r.dir, failed)
	}
	return nil
}

// convert turns the log of requests into the columnar file. The log goes last, so
// that at every instant one of the two is whole.
func (r *Recorder) convert() error {
	log := filepath.Join(r.dir, requestsLog)
	requests, err := readRequestsLog(log)
	if err != nil {
		return err
	}
	if err := writeParquet(filepath.Join(r.dir, requestsFile), requests); err != nil {
		return err
	}
	return os.Remove(log)
}

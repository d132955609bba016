package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
)

// Action is one piece of damage, as data: a kind that an undoer answers for and
// what the undoer must know. It is all that another process gets.
type Action struct {
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
}

// String is the action as people read it in errors and in the record.
func (a Action) String() string { return strings.TrimSpace(a.Kind + " " + string(a.Params)) }

// Undo takes one action back. It returns nil only once the damage is seen to be
// gone, and may be called again at any time. It is never nil.
type Undo func(context.Context) error

// Undoers are the known kinds of actions and how each is undone from its params
// alone. An undoer confirms what it did and accepts damage that is already gone.
type Undoers map[string]func(ctx context.Context, params json.RawMessage) error

// Header says how a process that knows nothing of the run reaches its cluster.
type Header struct {
	RunID      string `json:"runId"`
	Provider   string `json:"provider"`
	Cluster    string `json:"cluster"`
	Kubeconfig string `json:"kubeconfig"`
	Namespace  string `json:"namespace"`
}

const suffix = ".ndjson"

// Ledger is a run's list of damage, on disk before the damage is done. The living
// owner holds a lock on the file, which the kernel lets go when the owner dies.
type Ledger struct {
	header  Header
	path    string
	undoers Undoers
	report  func(history.Undone)

	mu      sync.Mutex
	file    *os.File
	size    int64 // of the whole lines in file
	entries []*entry
}

type entry struct {
	id     int
	action Action
	mu     sync.Mutex // held while it is being undone, so that two callers undo it once
	undone bool       // under Ledger.mu
}

// line is one line of the file: exactly one of its fields is set.
type line struct {
	Header *Header `json:"header,omitempty"`
	Entry  int     `json:"entry,omitempty"` // from 1, with Action
	Action *Action `json:"action,omitempty"`
	Undone int     `json:"undone,omitempty"` // an entry's number
}

// OpenLedger starts the ledger <dir>/<runID>.ndjson. It fails if there is one: of
// a living run, or of a dead one that has to be cleaned first.
func OpenLedger(dir, runID string, header Header, undoers Undoers) (*Ledger, error) {
	if runID == "" || filepath.Base(runID) != runID || strings.HasPrefix(runID, ".") {
		return nil, fmt.Errorf("run id %q cannot name a ledger: use letters, digits and dashes", runID)
	}
	header.RunID = runID
	l := &Ledger{header: header, path: filepath.Join(dir, runID+suffix), undoers: undoers}
	var err error
	for range folderTries {
		if err = os.MkdirAll(dir, 0o700); err != nil {
			err = fmt.Errorf("make the ledger's folder: %w", err)
		} else {
			err = l.create(dir)
		}
		if !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// folderTries are how often the folder is made: a run that ends just now, as the
// last one, takes it along.
const folderTries = 100

// create makes the file under another name and links it into place when it is
// locked and has its header: nobody ever sees a ledger that is neither.
func (l *Ledger) create(dir string) (err error) {
	l.file, err = os.CreateTemp(dir, ".ledger-*")
	if err != nil {
		return fmt.Errorf("create the ledger: %w", err)
	}
	defer func() { _ = os.Remove(l.file.Name()) }() // its second name, if all is well
	defer func() {
		if err != nil {
			l.file.Close()
		}
	}()
	if err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock the ledger: %w", err)
	}
	if err := l.write(line{Header: &l.header}); err != nil {
		return err
	}
	if err := os.Link(l.file.Name(), l.path); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("there is a ledger of run %s already (%s): if that run is dead, "+
			"`cutover clean` undoes what it left", l.header.RunID, l.path)
	} else if err != nil {
		return fmt.Errorf("put the ledger in its place: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the ledger's folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the ledger's folder: %w", err)
	}
	return nil
}

// Header is how to reach the cluster of the ledger's run.
func (l *Ledger) Header() Header { return l.header }

// Report makes the ledger tell sink of every undo, stamped by clock.
func (l *Ledger) Report(sink history.Sink, clock history.Clock) {
	l.report = func(u history.Undone) { sink.Event(history.NewEvent(clock.Now(), u)) }
}

// Do writes the action down, then does it. The undo that it returns goes by what
// was written down, whether or not do succeeded: a do that failed half-way has
// done half the damage. Without a line on disk nothing is done.
func (l *Ledger) Do(ctx context.Context, action Action, do func(context.Context) error) (Undo, error) {
	nothing := func(context.Context) error { return nil }
	if _, known := l.undoers[action.Kind]; !known {
		return nothing, fmt.Errorf("refusing to do %s: nobody knows how to undo it", action)
	}
	if err := ctx.Err(); err != nil {
		return nothing, fmt.Errorf("%s was not started: %w", action, err)
	}
	e, err := l.enter(action)
	if err != nil {
		return nothing, fmt.Errorf("refusing to do %s: it cannot be written down, so a crash could not be cleaned up: %w", action, err)
	}
	undo := func(ctx context.Context) error { return l.undo(ctx, e, l.undoers) }
	if err := do(ctx); err != nil {
		return undo, fmt.Errorf("%s: %w", action.Kind, err)
	}
	return undo, nil
}

func (l *Ledger) enter(action Action) (*entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{id: len(l.entries) + 1, action: action}
	if err := l.write(line{Entry: e.id, Action: &action}); err != nil {
		return nil, err
	}
	l.entries = append(l.entries, e)
	return e, nil
}

// write appends one line and returns when it is on disk. After a failure the
// file is cut back to its whole lines, or the next line would join the torn one.
func (l *Ledger) write(what line) error {
	text, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode for the ledger: %w", err)
	}
	text = append(text, '\n')
	_, err = l.file.WriteAt(text, l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write to the ledger: %w", err), l.file.Truncate(l.size))
	}
	l.size += int64(len(text))
	return nil
}

func (l *Ledger) undo(ctx context.Context, e *entry, undoers Undoers) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.isUndone(e) {
		return nil
	}
	err := l.undoBy(ctx, e.action, undoers)
	if err == nil {
		l.markUndone(e)
	}
	if l.report != nil {
		l.report(history.Undone{Action: e.action.String(), Err: text(err)})
	}
	return err
}

func (l *Ledger) undoBy(ctx context.Context, action Action, undoers Undoers) error {
	undoer, known := undoers[action.Kind]
	if !known {
		return fmt.Errorf("undo %s: this program does not know the kind; undo it by hand or with the version that did it", action)
	}
	if err := undoer(ctx, action.Params); err != nil {
		return fmt.Errorf("undo %s: %w", action, err)
	}
	return nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (l *Ledger) isUndone(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return e.undone
}

// markUndone also counts when the disk does not take the line: the damage is gone
// either way, and whoever reads the file later undoes it again, which is harmless.
func (l *Ledger) markUndone(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.undone = true
	_ = l.write(line{Undone: e.id})
}

// Pending lists what is not undone yet, oldest first.
func (l *Ledger) Pending() []Action {
	var actions []Action
	for _, e := range l.pending() {
		actions = append(actions, e.action)
	}
	return actions
}

func (l *Ledger) pending() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []*entry
	for _, e := range l.entries {
		if !e.undone {
			left = append(left, e)
		}
	}
	return left
}

// Replay undoes what is pending, newest first, by the given undoers; nil means
// those that the ledger was opened with. One failure does not keep it from the
// rest: what failed stays pending and all failures are returned together.
func (l *Ledger) Replay(ctx context.Context, undoers Undoers) error {
	if undoers == nil {
		undoers = l.undoers
	}
	var failures []error
	left := l.pending()
	for i := len(left) - 1; i >= 0; i-- {
		failures = append(failures, l.undo(ctx, left[i], undoers))
	}
	return errors.Join(failures...)
}

// Close lets go of the ledger. The file is removed if nothing is pending, and left
// for `cutover clean` otherwise.
func (l *Ledger) Close() error {
	clean := len(l.pending()) == 0
	l.mu.Lock()
	defer l.mu.Unlock()
	var removed error
	if clean {
		// While the lock is held, or another process could take the ledger for a dead one.
		if err := os.Remove(l.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			removed = fmt.Errorf("remove the finished ledger: %w", err)
		}
	}
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(removed, fmt.Errorf("close the ledger: %w", err))
	}
	return removed
}

// read fills the ledger from its file. A last line that is torn was never acted
// upon: damage is done only after its line is whole on disk.
func (l *Ledger) read() error {
	data, err := io.ReadAll(l.file)
	if err != nil {
		return fmt.Errorf("read ledger %s: %w", l.path, err)
	}
	for number := 1; len(data) > 0; number++ {
		text, rest, whole := strings.Cut(string(data), "\n")
		if !whole {
			break
		}
		if err := l.take(text); err != nil {
			if strings.Trim(rest, "\x00\n ") == "" {
				break // a torn page: the length reached the disk, the bytes did not
			}
			return fmt.Errorf("ledger %s, line %d: %w: the file is damaged; see what it lists and undo it by hand", l.path, number, err)
		}
		l.size += int64(len(text) + 1)
		data = []byte(rest)
	}
	if l.header.RunID == "" {
		return fmt.Errorf("ledger %s has no header, so its cluster is unknown: see what it lists and undo it by hand", l.path)
	}
	return nil
}

func (l *Ledger) take(text string) error {
	var read line
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return err
	}
	switch {
	case read.Header != nil:
		l.header = *read.Header
	case read.Action != nil && read.Entry == len(l.entries)+1:
		l.entries = append(l.entries, &entry{id: read.Entry, action: *read.Action})
	case read.Undone > 0 && read.Undone <= len(l.entries):
		l.entries[read.Undone-1].undone = true
	default:
		return errors.New("neither a header, the next entry nor the undoing of an earlier one")
	}
	return nil
}

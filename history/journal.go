package history

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// flushEvery is how much of a run a kill may cost.
const flushEvery = 250 * time.Millisecond

// journal appends JSON lines to a file without ever making the writer wait for
// the disk. The first failure is remembered and ends the writing: a line that was
// torn by a full disk stays the last one, which readers tolerate.
type journal struct {
	file *os.File
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	lines []byte
	spare []byte // the buffer written last, to be filled next
	err   error
}

// openJournal creates the file; a record is never written over.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return startJournal(file), nil
}

func startJournal(file *os.File) *journal {
	j := &journal{file: file, stop: make(chan struct{}), done: make(chan struct{})}
	go j.run()
	return j
}

func (j *journal) run() {
	defer close(j.done)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			j.flush()
		case <-j.stop:
			j.flush()
			return
		}
	}
}

// add appends value as one line.
func (j *journal) add(value any) {
	line, err := json.Marshal(value)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
	case err != nil:
		j.err = fmt.Errorf("%s: %w", j.file.Name(), err)
	default:
		j.lines = append(append(j.lines, line...), '\n')
	}
}

// flush writes what has gathered. Only run calls it, so writes never overlap.
func (j *journal) flush() {
	j.mu.Lock()
	lines := j.lines
	j.lines, j.spare = j.spare[:0], nil
	j.mu.Unlock()

	var err error
	if len(lines) > 0 {
		_, err = j.file.Write(lines)
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare = lines
	if err != nil && j.err == nil {
		j.err = err
	}
	if j.err != nil {
		j.lines, j.spare = nil, nil
	}
}

// failure is the first error, nil as long as all is well.
func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// close writes the rest and returns the first error. It is called once.
func (j *journal) close() error {
	close(j.stop)
	<-j.done
	if err := j.file.Close(); err != nil {
		return err
	}
	return j.failure()
}

package loadgen

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// idPlaceholder stands for the id of the request, which no other one has.
const idPlaceholder = "{{.ID}}"

// identify gives the request its id, and with fill puts it where path and body ask for it.
func (a *arrival) identify(runID string, fill bool) {
	a.id = runID + "-" + strconv.FormatInt(a.seq, 10)
	if fill {
		a.fill()
	}
}

// fill puts the request's id where its path and body ask for it.
func (a *arrival) fill() {
	if call := a.spec.GRPC; call != nil && strings.Contains(string(call.Message), idPlaceholder) {
		a.target.Body, _ = call.body(a.id) // it was encoded with the placeholder before
		return
	}
	if !strings.Contains(a.spec.Path, idPlaceholder) && !strings.Contains(a.spec.Body, idPlaceholder) {
		return
	}
	a.target.URL = strings.ReplaceAll(a.target.URL, idPlaceholder, a.id)
	a.target.Body = []byte(strings.ReplaceAll(string(a.target.Body), idPlaceholder, a.id))
}

// ledger holds the writes that were answered well and can be asked for.
type ledger struct{ acknowledged []written }

type written struct {
	back *ReadBackSpec
	id   string
}

func (l *ledger) add(back *ReadBackSpec, id string) {
	l.acknowledged = append(l.acknowledged, written{back, id})
}

const (
	readersAtOnce = 32
	// readPasses is how often what is not found is asked for, readPause apart: a store may
	// need a moment.
	readPasses = 3
	readPause  = time.Second
	// readWithin bounds all of it; what was not asked for by then is unknown.
	readWithin = 30 * time.Second
	lostShown  = 10
)

// found says what became of a write.
type found int

const (
	unknown found = iota
	kept
	lost
)

// readBack asks for every write that was answered well, the way in that users have, and
// tells what came of it. Without such requests it does nothing.
func (s *sending) readBack() {
	if !slices.ContainsFunc(s.spec.Requests, func(r RequestSpec) bool { return r.ReadBack != nil }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	client := newClient(s.spec, s.Dial, s.Clock)
	defer client.transport.CloseIdleConnections()
	all := s.books.ledger.acknowledged
	became := make([]found, len(all))
	for pass := range readPasses {
		if pass > 0 && !pause(ctx, readPause) {
			break
		}
		if s.readAll(ctx, client, all, became) {
			break
		}
	}
	told := history.ReadBack{Acknowledged: int64(len(all))}
	for i, f := range became {
		switch f {
		case kept:
			told.Kept++
		case unknown:
			told.Unknown++
		case lost:
			told.Lost++
			if len(told.Samples) < lostShown {
				told.Samples = append(told.Samples, all[i].id)
			}
		}
	}
	s.Sink.Event(history.NewEvent(s.Clock.Now(), told))
}

// readAll asks for all that is not known to be kept, and reports whether nothing is left.
func (s *sending) readAll(ctx context.Context, client *client, all []written, became []found) (done bool) {
	var reading sync.WaitGroup
	slots := make(chan struct{}, readersAtOnce)
	for i := range all {
		if became[i] == kept {
			continue
		}
		slots <- struct{}{}
		reading.Go(func() {
			defer func() { <-slots }()
			if now := s.read(ctx, client, all[i]); now != unknown {
				became[i] = now
			}
		})
	}
	reading.Wait()
	for _, f := range became {
		if f != kept {
			return false
		}
	}
	return true
}

// read asks for one write.
func (s *sending) read(ctx context.Context, client *client, w written) found {
	ctx, cancel := context.WithTimeout(ctx, s.spec.Timeout.D())
	defer cancel()
	target := RequestSpec{Path: strings.ReplaceAll(w.back.Path, idPlaceholder, w.id)}.target(s.Host)
	request, err := newRequest(&target, w.id+"-read")
	if err != nil {
		return unknown
	}
	_, status, err := client.exchange(request.WithContext(ctx))
	switch {
	case err != nil:
		return unknown
	case status == http.StatusNotFound || status == http.StatusGone:
		return lost
	case (ExpectSpec{}).met(status):
		return kept
	}
	return unknown
}

// pause waits, unless ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

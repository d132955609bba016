package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
)

// world is something to damage: the undoer of kind "break" mends it.
type world struct {
	broken map[string]bool
	mended []string
	fail   string // this one cannot be mended
}

func (w *world) undoers() Undoers {
	return Undoers{"break": func(_ context.Context, params json.RawMessage) error {
		var what string
		if err := json.Unmarshal(params, &what); err != nil {
			return err
		}
		if what == w.fail {
			return errors.New("it resists")
		}
		delete(w.broken, what)
		w.mended = append(w.mended, what)
		return nil
	}}
}

func breaking(what string) Action {
	params, _ := json.Marshal(what)
	return Action{Kind: "break", Params: params}
}

func (w *world) breaks(what string) func(context.Context) error {
	return func(context.Context) error { w.broken[what] = true; return nil }
}

func (w *world) damage(t *testing.T, l *Ledger, what string) {
	t.Helper()
	if _, err := l.Do(t.Context(), breaking(what), w.breaks(what)); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string, w *world) *Ledger {
	t.Helper()
	l, err := OpenLedger(dir, "run-1", Header{Provider: "embedded", Namespace: "ns"}, w.undoers())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// die leaves the ledger as kill -9 does: the lock is gone, the file is not.
func die(t *testing.T, l *Ledger) {
	t.Helper()
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
}

func newWorld() *world { return &world{broken: map[string]bool{}} }

func TestDoIsWrittenDownBeforeTheDamage(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	l := open(t, dir, w)
	_, err := l.Do(t.Context(), breaking("route"), func(context.Context) error {
		text, err := os.ReadFile(filepath.Join(dir, "run-1.ndjson"))
		if !strings.Contains(string(text), `"route"`) {
			t.Errorf("damage is done before its line is on disk: %q", text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Pending(); len(got) != 1 || got[0].Kind != "break" {
		t.Errorf("pending = %v, want the one action", got)
	}
}

// The last run to end removes the folder, and may do so just when another begins.
func TestALedgerIsMadeWhileOthersRemoveTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledgers")
	ctx, stop := context.WithCancel(t.Context())
	var removing sync.WaitGroup
	removing.Go(func() {
		for ctx.Err() == nil {
			_ = os.Remove(dir) // it may not be empty, or not there
		}
	})
	defer removing.Wait()
	defer stop()
	for n := range 50 {
		l, err := OpenLedger(dir, fmt.Sprint("run-", n), Header{}, newWorld().undoers())
		if err != nil {
			t.Fatalf("ledger %d: %v", n, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUndoIsIdempotentAlsoAfterHalfTheDamage(t *testing.T) {
	w := newWorld()
	l := open(t, t.TempDir(), w)
	undo, err := l.Do(t.Context(), breaking("route"), func(context.Context) error {
		w.broken["route"] = true
		return errors.New("half-way")
	})
	if err == nil || undo == nil {
		t.Fatalf("Do = %v, %v; want an undo and the error", undo == nil, err)
	}
	for range 2 {
		if err := undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.broken["route"] || !slices.Equal(w.mended, []string{"route"}) {
		t.Errorf("broken %v, mended %v; want mended once", w.broken, w.mended)
	}
}

func TestDoRefusesWhatItCannotWriteDownOrUndo(t *testing.T) {
	w := newWorld()
	l := open(t, t.TempDir(), w)
	undo, err := l.Do(t.Context(), Action{Kind: "melt"}, w.breaks("core"))
	if err == nil || undo == nil || w.broken["core"] {
		t.Errorf("an action that nobody can undo was done: %v", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	disk := l.file
	l.file = full
	undo, err = l.Do(t.Context(), breaking("route"), w.breaks("route"))
	if !errors.Is(err, unix.ENOSPC) || undo == nil || w.broken["route"] {
		t.Errorf("damage was done that is on no disk: %v", err)
	}
	l.file = disk
	if _, err := l.Do(t.Context(), breaking("route"), w.breaks("route")); err != nil {
		t.Errorf("with room on the disk again: %v", err)
	}
}

func TestCloseKeepsTheFileOnlyIfSomethingIsPending(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	l := open(t, dir, w)
	undo, _ := l.Do(t.Context(), breaking("route"), w.breaks("route"))
	if err := undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	l = open(t, dir, w)
	w.damage(t, l, "route")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("a ledger with pending damage was removed: %v", left)
	}
	if _, err := OpenLedger(dir, "run-1", Header{}, w.undoers()); err == nil || !strings.Contains(err.Error(), "cutover clean") {
		t.Errorf("a second ledger over an unclean one: %v", err)
	}
}

func TestDeadUndoesInReverseWhatAKilledRunLeft(t *testing.T) {
	dir, w := t.TempDir(), newWorld()
	l := open(t, dir, w)
	for _, what := range []string{"a", "b", "c"} {
		w.damage(t, l, what)
	}
	if dead, err := Dead(dir); len(dead) != 0 || err != nil {
		t.Fatalf("a living run's ledger was taken: %v, %v", dead, err)
	}
	die(t, l)
	dead, err := Dead(dir)
	if len(dead) != 1 || err != nil {
		t.Fatalf("Dead = %v, %v", dead, err)
	}
	if h := dead[0].Header(); h.RunID != "run-1" || h.Provider != "embedded" {
		t.Errorf("header = %+v", h)
	}
	w.fail = "b"
	if err := dead[0].Replay(t.Context(), w.undoers()); err == nil || !strings.Contains(err.Error(), "resists") {
		t.Errorf("a failed undo is not reported: %v", err)
	}
	if want := []string{"c", "a"}; !slices.Equal(w.mended, want) {
		t.Errorf("mended %v, want %v", w.mended, want)
	}
	if err := dead[0].Close(); err != nil {
		t.Fatal(err)
	}
	w.fail = ""
	again, err := Dead(dir)
	if len(again) != 1 || err != nil || len(again[0].Pending()) != 1 {
		t.Fatalf("what failed is not kept: %v, %v", again, err)
	}
	if err := errors.Join(again[0].Replay(t.Context(), w.undoers()), again[0].Close()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 || len(w.broken) != 0 {
		t.Errorf("left %v, broken %v", left, w.broken)
	}
}

func TestDeadReadsTornFiles(t *testing.T) {
	whole := `{"header":{"runId":"r"}}` + "\n" + `{"entry":1,"action":{"kind":"break","params":"a"}}` + "\n"
	cases := []struct {
		name, text string
		pending    int
		fails      bool
	}{
		{"whole", whole, 1, false},
		// The second action's line was being written: it was never done.
		{"torn action", whole + `{"entry":2,"act`, 1, false},
		// The undo was done, its mark was not: it is undone again.
		{"torn mark", whole + `{"undone":1`, 1, false},
		{"marked", whole + `{"undone":1}` + "\n", 0, false},
		{"page of zeros", whole + "\x00\x00\x00\n", 1, false},
		// Negative controls: what cannot be understood is not passed over.
		{"garbage in the middle", "{\"header\":{\"runId\":\"r\"}}\nrubbish\n" + whole, 0, true},
		{"no header", `{"entry":1,"action":{"kind":"break"}}` + "\n", 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "r.ndjson"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			dead, err := Dead(dir)
			if c.fails {
				if err == nil || len(dead) != 0 {
					t.Errorf("Dead = %v, %v; want an error", dead, err)
				}
				return
			}
			if err != nil || len(dead) != 1 || len(dead[0].Pending()) != c.pending {
				t.Fatalf("Dead = %v, %v; want %d pending", dead, err, c.pending)
			}
			w := newWorld()
			if err := errors.Join(dead[0].Replay(t.Context(), w.undoers()), dead[0].Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

type sink struct{ events []history.Event }

func (s *sink) Event(e history.Event)   { s.events = append(s.events, e) }
func (s *sink) Request(history.Request) {}

func TestUndosAreReported(t *testing.T) {
	w, s := newWorld(), &sink{}
	l := open(t, t.TempDir(), w)
	l.Report(s, history.NewClock())
	undo, _ := l.Do(t.Context(), breaking("a"), w.breaks("a"))
	w.fail = "a"
	if undo(t.Context()) == nil {
		t.Error("a failed undo returned nil")
	}
	w.fail = ""
	if err := undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	undone := history.All[history.Undone](s.events)
	if len(undone) != 2 || undone[0].Data.Err == "" || undone[1].Data.Err != "" {
		t.Errorf("undone = %+v, want the failure and the success", undone)
	}
}

func TestScanKeepsWhatWasFoundBesideAFailure(t *testing.T) {
	found, err := Scan(t.Context(),
		func(context.Context) ([]string, error) { return []string{"a"}, nil },
		func(context.Context) ([]string, error) { return []string{"b"}, errors.New("half blind") })
	if !slices.Equal(found, []string{"a", "b"}) || err == nil {
		t.Errorf("Scan = %v, %v", found, err)
	}
}

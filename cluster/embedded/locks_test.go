package embedded

import (
	"os"
	"slices"
	"testing"
)

// A clean-up takes what belongs to nobody, however young it is, and nothing else.
func TestCleanGoesByTheLocks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("clusters' folders are root's")
	}
	for _, row := range []struct {
		why   string
		held  []string // locks that somebody holds
		alive bool
	}{
		{"the process that made it died before it had a janitor", nil, false},
		{"it is being made", []string{makerLock}, true},
		{"it has a janitor", []string{janitorLock}, true},
		{"it has a janitor and is not ready yet", []string{makerLock, janitorLock}, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			s, err := stateOf("test-locks")
			if err != nil {
				t.Fatal(err)
			}
			release, err := s.create(1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.remove(""); err != nil {
					t.Error(err)
				}
			}()
			if slices.Contains(row.held, makerLock) {
				defer release()
			} else {
				release()
			}
			if slices.Contains(row.held, janitorLock) {
				release, err := s.lock(janitorLock)
				if err != nil {
					t.Fatal(err)
				}
				defer release()
			}
			list, err := List()
			if err != nil {
				t.Fatal(err)
			}
			is := slices.IndexFunc(list, func(info Info) bool { return info.Name == s.name() })
			if want := slices.Contains(row.held, makerLock); is < 0 || list[is].Making != want {
				t.Errorf("listed as %+v, want it as being made: %v", list, want)
			}
			// Others' leftovers are theirs to judge.
			if _, err := Clean(); err != nil {
				t.Log(err)
			}
			if _, err := os.Stat(string(s)); (err == nil) != row.alive {
				t.Errorf("after a clean-up the folder: %v; want it to stay: %v", err, row.alive)
			}
		})
	}
}

package agent

import (
	"os"
	"testing"
)

// The trial must not move this process to another network: a main thread cannot
// end, and what is called the process's network is the main thread's.
func TestTryingNetemLeavesTheProcessWhereItIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	// Which thread a goroutine begins on is chance.
	for n := range 200 {
		_ = tryNetem() // whether this kernel has it is not the question
		after, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		if after != before {
			t.Fatalf("after trial %d this process is in %s instead of %s", n, after, before)
		}
	}
}

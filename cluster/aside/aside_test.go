package aside

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRunIsNeverOnTheMainThread(t *testing.T) {
	// With one processor the main thread's turn comes soon.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 1000 {
		if err := Run(func() error {
			if unix.Gettid() == os.Getpid() {
				return errors.New("on the main thread")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunLeavesTheNetworkOfTheProcess(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		err := Run(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
		if errors.Is(err, unix.EPERM) {
			t.Skip("needs root: it makes network namespaces")
		}
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := os.Readlink("/proc/self/ns/net"); after != before {
			t.Fatalf("the process is in network %s, and was in %s", after, before)
		}
	}
}

func TestRunGivesTheError(t *testing.T) {
	want := errors.New("no")
	if got := Run(func() error { return want }); !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

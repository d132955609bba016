package aside

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Run runs fn on a thread that ends with it. Namespaces that fn makes or enters are
// that thread's alone, and die with it if nobody else is in them.
//
// It is never the process's main thread: that one cannot end, and its namespaces
// are what /proc/self/ns, and so everybody else, takes for the process's.
func Run(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			result <- fn()
			return // without unlocking: the runtime ends the thread with its goroutine
		}
		result <- Run(fn) // on another one, as this one is held here
		runtime.UnlockOSThread()
	}()
	return <-result
}

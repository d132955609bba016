package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Head says where, when and of what the figures are.
type Head struct {
	Benchmark string             `json:"benchmark"`
	Date      time.Time          `json:"date"`
	N         int                `json:"n"` // rounds that each median is of
	Machine   Machine            `json:"machine"`
	Versions  map[string]string  `json:"versions"`
	Samples   map[string]Samples `json:"samples"` // by the row's target
}

// Machine is what the figures depend on.
type Machine struct {
	Processor string  `json:"processor"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	Kernel    string  `json:"kernel"`
	// Load is the average load of the minute before the first round: what else the
	// machine was doing.
	Load string `json:"load"`
}

// ThisMachine reads them. What cannot be read stays empty.
func ThisMachine() Machine {
	m := Machine{Processor: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU()}
	var kib float64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%f kB", &kib); err == nil {
		m.MemoryGiB = kib / (1 << 20)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// field reads the first "name: value" line of a file.
func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Revision is the state of the source that the current folder belongs to; empty
// where git does not say.
func Revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(out))
}

// Module is the version of a module that the program is built with; empty if it is not.
func Module(path string) string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return ""
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const gib = 1 << 30

// proportional is the sum of the processes' proportional set sizes in bytes: what
// is shared counts once, divided among those who share it. A process that has ended
// has none.
func proportional(proc string, pids []int) (uint64, error) {
	var sum uint64
	for _, pid := range pids {
		size, err := proportionalOf(filepath.Join(proc, strconv.Itoa(pid), "smaps_rollup"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, nil
}

func proportionalOf(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no line Pss", path)
}

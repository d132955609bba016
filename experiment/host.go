package experiment

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// hostEvery is how often the machine is looked at.
const hostEvery = time.Second

// watchHost records how short the machine is of processors, memory and disks, until ctx
// ends: what is measured on a machine that stands still says little of a release.
func (r *run) watchHost(ctx context.Context) error {
	ticker := time.NewTicker(hostEvery)
	defer ticker.Stop()
	from, before := r.clock.Now(), readHost("/proc")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		to, now := r.clock.Now(), readHost("/proc")
		r.tell(now.since(before, to.Sub(from)))
		from, before = to, now
	}
}

// hostTimes are what the kernel has counted since it started; nil where it does not.
type hostTimes struct{ cpuWait, memoryWait, ioWait, stolen *time.Duration }

// readHost reads them below a folder that is /proc.
func readHost(proc string) hostTimes {
	pressure := func(of string) *time.Duration { return totalPressure(readFile(proc, "pressure", of)) }
	return hostTimes{cpuWait: pressure("cpu"), memoryWait: pressure("memory"), ioWait: pressure("io"), stolen: totalStolen(readFile(proc, "stat"))}
}

// readFile is a file's content; nothing if it cannot be read.
func readFile(path ...string) []byte {
	data, _ := os.ReadFile(filepath.Join(path...)) // a kernel without it says nothing
	return data
}

// totalPressure reads the total of the line "some", in microseconds: see the kernel's
// Documentation/accounting/psi.rst.
func totalPressure(file []byte) *time.Duration {
	for lines := bufio.NewScanner(bytes.NewReader(file)); lines.Scan(); {
		var ten, minute, minutes float64
		var total int64
		if n, _ := fmt.Sscanf(lines.Text(), "some avg10=%f avg60=%f avg300=%f total=%d", &ten, &minute, &minutes, &total); n == 4 {
			return new(time.Duration(total) * time.Microsecond)
		}
	}
	return nil
}

// userHz is the unit of the times in /proc/stat: proc(5) has it as sysconf's
// _SC_CLK_TCK, which is 100 on every architecture that Go has.
const userHz = 100

// totalStolen reads the eighth number of the line "cpu", the sum over all processors.
func totalStolen(file []byte) *time.Duration {
	line, _, _ := strings.Cut(string(file), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return nil
	}
	ticks, err := strconv.ParseInt(fields[8], 10, 64)
	if err != nil {
		return nil
	}
	return new(time.Duration(ticks) * time.Second / userHz)
}

// since is what has happened since an earlier reading, that long ago.
func (t hostTimes) since(before hostTimes, over time.Duration) history.Host {
	share := func(now, then *time.Duration, of time.Duration) *float64 {
		if now == nil || then == nil || of <= 0 {
			return nil
		}
		return new(min(1, max(0, float64(*now-*then)/float64(of))))
	}
	return history.Host{
		Over: history.Duration(over), CPUWait: share(t.cpuWait, before.cpuWait, over), MemoryWait: share(t.memoryWait, before.memoryWait, over),
		IOWait: share(t.ioWait, before.ioWait, over), Stolen: share(t.stolen, before.stolen, over*time.Duration(runtime.NumCPU())),
	}
}

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const gib = 1 << 30

// neededControllers are what kubelet and containerd cannot do without.
var neededControllers = []string{"cpu", "memory", "pids"}

func cgroups(_ context.Context, m machine) Line {
	line := Line{Name: "cgroups", Status: Fail}
	version, controllers, writable := m.controllers()
	var missing []string
	for _, needed := range neededControllers {
		if !slices.Contains(controllers, needed) {
			missing = append(missing, needed)
		}
	}
	switch {
	case version == "":
		line.Meaning, line.Remedy = "none are mounted: containers cannot be limited or counted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
	case len(missing) > 0:
		line.Meaning = fmt.Sprintf("%s, without %s: kubelet does not start", version, strings.Join(missing, ", "))
		line.Remedy = "boot with cgroup_enable=memory, or see what /proc/cgroups says is disabled"
	case !writable:
		line.Meaning = version + ", read-only: clusters cannot have any of their own"
		line.Remedy = "in a container, remount /sys/fs/cgroup read-write or start it with --privileged --cgroupns=private"
	default:
		line.Status, line.Meaning = OK, fmt.Sprintf("%s with %s", version, strings.Join(controllers, ", "))
	}
	return line
}

// controllers reads those of version 1 if any are mounted, as clusters then use
// them, else those of version 2.
func (m machine) controllers() (version string, names []string, writable bool) {
	two := false
	writable = true
	for mount := range strings.Lines(m.text("proc/self/mounts")) {
		fields := strings.Fields(mount)
		if len(fields) < 4 || !strings.HasPrefix(fields[2], "cgroup") {
			continue
		}
		options := strings.Split(fields[3], ",")
		if slices.Contains(options, "ro") {
			writable = false
		}
		if fields[2] == "cgroup2" {
			two = true
			continue
		}
		for _, controller := range []string{"cpu", "cpuset", "memory", "pids", "devices", "blkio"} {
			if slices.Contains(options, controller) {
				names = append(names, controller)
			}
		}
	}
	switch {
	case len(names) > 0:
		return "version 1", names, writable
	case two:
		return "version 2", strings.Fields(m.text("sys/fs/cgroup/cgroup.controllers")), writable
	default:
		return "", nil, false
	}
}

// sysResource is the number of CAP_SYS_RESOURCE.
const sysResource = 24

func oomScores(_ context.Context, m machine) Line {
	line := Line{Name: "SYS_RESOURCE", Status: OK, Meaning: "OOM scores can be lowered"}
	for field := range strings.Lines(m.text("proc/self/status")) {
		mask, found := strings.CutPrefix(field, "CapBnd:")
		if !found {
			continue
		}
		capabilities, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err == nil && capabilities&(1<<sysResource) == 0 {
			line.Status = Warn
			line.Meaning = "this capability is out of reach: embedded clusters do without, and the nodes of kind clusters do not ask for it"
			line.Remedy = "none is needed"
		}
	}
	return line
}

func inotify(_ context.Context, m machine) Line {
	const aCluster, usual = 13, 128
	instances, err := strconv.Atoi(m.text("proc/sys/fs/inotify/max_user_instances"))
	if err != nil {
		return Line{Name: "inotify", Status: Warn, Meaning: "its limits cannot be read"}
	}
	line := Line{
		Name: "inotify", Status: OK,
		Meaning: fmt.Sprintf("%d instances a user: room for about %d clusters at once", instances, instances/aCluster),
	}
	if instances < usual {
		line.Status, line.Remedy = Warn, "sysctl fs.inotify.max_user_instances=512"
	}
	return line
}

func memory(_ context.Context, m machine) Line {
	const aCluster, comfortable = 1 * gib, 2 * gib
	for field := range strings.Lines(m.text("proc/meminfo")) {
		var kib uint64
		if n, _ := fmt.Sscanf(field, "MemAvailable: %d kB", &kib); n == 1 {
			remedy := "stop something, or use a larger machine: a bare cluster takes 1 GiB"
			return room("memory", kib<<10, aCluster, comfortable, "available", remedy)
		}
	}
	return Line{Name: "memory", Status: Warn, Meaning: "how much is available cannot be read"}
}

func cacheDisk(_ context.Context, m machine) Line {
	return m.disk("cache disk", m.options.Cache, 2*gib, 10*gib, "building the components from source takes up to 10 GiB: `go clean -cache` frees some")
}

func stateDisk(_ context.Context, m machine) Line {
	return m.disk("state disk", m.options.State, 1*gib, 5*gib, "free some space there: a cluster keeps its images and data on it")
}

func (m machine) disk(name, dir string, least, comfortable uint64, remedy string) Line {
	free, err := m.free(dir)
	if err != nil {
		return Line{Name: name, Status: Warn, Meaning: fmt.Sprintf("the free space of %s cannot be read (%v)", dir, err)}
	}
	return room(name, free, least, comfortable, "free in "+dir, remedy)
}

// room judges an amount: too little fails, little warns.
func room(name string, have, least, comfortable uint64, what, remedy string) Line {
	line := Line{Name: name, Status: OK, Meaning: fmt.Sprintf("%.1f GiB %s", float64(have)/gib, what)}
	if have < comfortable {
		line.Status, line.Remedy = Warn, remedy
	}
	if have < least {
		line.Status = Fail
	}
	return line
}

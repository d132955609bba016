package podstat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is the command of the cutover program that prints what [Read] finds of the
// pods whose UIDs are its arguments. It is run on a node.
const Command = "agent-podstat"

// Stat is what a pod has used.
type Stat struct {
	UID string    `json:"uid"`
	At  time.Time `json:"at"`
	// Wanted is for how long each of its processes has had a processor or waited for
	// one, since it began. On a busy machine only both together tell what it is after.
	Wanted map[string]time.Duration `json:"wanted"`
	Memory int64                    `json:"memory"` // bytes, without files that the kernel would drop first
}

// Parse reads what [Command] printed.
func Parse(printed string) ([]Stat, error) {
	var stats []Stat
	if err := json.Unmarshal([]byte(printed), &stats); err != nil {
		return nil, fmt.Errorf("what pods use: %w\n%s", err, printed)
	}
	return stats, nil
}

// Read finds the pods' cgroups by their processes, those of this machine, and reads
// them. A pod without processes here is left out.
func Read(uids []string) ([]Stat, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	pods, err := find("/proc", parseMounts(string(mounts)), uids)
	if err != nil {
		return nil, err
	}
	stats := []Stat{}
	for _, uid := range uids {
		pod, found := pods[uid]
		if !found {
			continue
		}
		stat, err := pod.read("/proc")
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just ended
		}
		if err != nil {
			return nil, fmt.Errorf("pod %s: %w", uid, err)
		}
		stat.UID, stat.At = uid, time.Now()
		stats = append(stats, stat)
	}
	return stats, nil
}

// The hierarchies that we read: cgroup v1's of memory, or else cgroup v2.
const (
	memory  = "memory"
	unified = ""
)

// mount is where a hierarchy, or a part of it, can be seen.
type mount struct{ root, point string }

// parseMounts finds the hierarchies in a mountinfo.
func parseMounts(mountinfo string) map[string]mount {
	mounts := map[string]mount{}
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		fields, filesystem := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(filesystem) < 3 {
			continue
		}
		at := mount{root: fields[3], point: fields[4]}
		switch filesystem[0] {
		case "cgroup2":
			mounts[unified] = at
		case "cgroup":
			for option := range strings.SplitSeq(filesystem[2], ",") {
				if option == memory {
					mounts[memory] = at
				}
			}
		}
	}
	return mounts
}

// pod is what is found of one.
type pod struct {
	processes []string          // their numbers
	folders   map[string]string // its cgroup in each hierarchy
}

// find goes through all processes for those of the pods.
func find(proc string, mounts map[string]mount, uids []string) (map[string]*pod, error) {
	processes, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	found := map[string]*pod{}
	for _, process := range processes {
		if _, err := strconv.Atoi(process.Name()); err != nil {
			continue
		}
		cgroups, err := os.ReadFile(filepath.Join(proc, process.Name(), "cgroup"))
		if err != nil {
			continue // it has just ended
		}
		for line := range strings.Lines(string(cgroups)) {
			fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(fields) < 3 {
				continue
			}
			for _, uid := range uids {
				path := podPart(fields[2], uid)
				if path == "" {
					continue
				}
				if found[uid] == nil {
					found[uid] = &pod{folders: map[string]string{}}
				}
				found[uid].add(process.Name(), strings.Split(fields[1], ","), path, mounts)
			}
		}
	}
	return found, nil
}

// podPart is a cgroup's path up to the pod's own; "" if it is not of the pod. With
// systemd's names a UID has underscores.
func podPart(path, uid string) string {
	if uid == "" {
		return ""
	}
	elements := strings.Split(path, "/")
	last := slices.IndexFunc(elements, func(element string) bool {
		return strings.Contains(element, uid) || strings.Contains(element, strings.ReplaceAll(uid, "-", "_"))
	})
	return strings.Join(elements[:last+1], "/")
}

func (p *pod) add(process string, hierarchies []string, path string, mounts map[string]mount) {
	if !slices.Contains(p.processes, process) {
		p.processes = append(p.processes, process)
	}
	for _, hierarchy := range hierarchies {
		at, mounted := mounts[hierarchy]
		if !mounted {
			continue
		}
		if below, err := filepath.Rel(at.root, path); err == nil && !strings.HasPrefix(below, "..") {
			p.folders[hierarchy] = filepath.Join(at.point, below)
		}
	}
}

func (p *pod) read(proc string) (stat Stat, err error) {
	stat.Wanted = map[string]time.Duration{}
	for _, process := range p.processes {
		if name, wanted, lives := wants(filepath.Join(proc, process)); lives {
			stat.Wanted[name] = wanted
		}
	}
	in, current, inactive := p.folders[memory], "memory.usage_in_bytes", "total_inactive_file"
	if in == "" {
		in, current, inactive = p.folders[unified], "memory.current", "inactive_file"
	}
	use, err := number(in, current)
	if err != nil {
		return stat, err
	}
	idle, err := entry(in, "memory.stat", inactive)
	stat.Memory = max(0, use-idle)
	return stat, err
}

// wants is how long all threads of a process have run or waited to. Its name is its
// number and when it began, which no other process ever has.
func wants(folder string) (name string, wanted time.Duration, lives bool) {
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return "", 0, false
	}
	// The command is in brackets, whatever is in it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const began = 19
	if len(fields) <= began {
		return "", 0, false
	}
	threads, err := filepath.Glob(filepath.Join(folder, "task", "*", "schedstat"))
	if err != nil {
		return "", 0, false
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has just ended
		}
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(text), &ran, &waited); err == nil {
			wanted += ran + waited
		}
	}
	return filepath.Base(folder) + "/" + fields[began], wanted, true
}

func number(folder, file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w", file, folder, err)
	}
	return n, nil
}

// entry is the number after a key.
func entry(folder, file, key string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, key+" "); is {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s in %s has no %s", file, folder, key)
}

package kind

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// watchersOfNode is how many inotify instances a node and what runs install on it
// take, rounded up; systemd, kubelet and containerd have most of them.
const watchersOfNode = 20

// requireWatchers refuses a cluster whose nodes would not start because the machine's
// user may have no more inotify instances: systemd then ends at once, and says
// nothing.
func requireWatchers(proc string, nodes int) error {
	data, err := os.ReadFile(filepath.Join(proc, "sys/fs/inotify/max_user_instances"))
	if err != nil {
		return fmt.Errorf("the limit of inotify instances: %w", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return fmt.Errorf("the limit of inotify instances: %w", err)
	}
	used := watchers(proc)
	if used+nodes*watchersOfNode <= limit {
		return nil
	}
	return fmt.Errorf("%d of the %d inotify instances that a user may have here are in use, and %s takes about %d more: "+
		"take other clusters down (`cutover cluster list`), or allow more by `sysctl fs.inotify.max_user_instances=512`",
		used, limit, countNodes(nodes), nodes*watchersOfNode)
}

// watchers counts the inotify instances of this user's processes. Those of processes
// that end meanwhile are left out.
func watchers(proc string) (count int) {
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == "anon_inode:inotify" {
			count++
		}
	}
	return count
}

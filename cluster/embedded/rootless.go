package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/cluster"
)

// Condition is something that a cluster without root wants of the machine.
type Condition struct {
	Name    string
	Met     bool
	Needed  bool   // there is no cluster without it; otherwise it does less
	Meaning string // what was found and what follows from it
	Fix     string // what to do if it is not met
}

// ground is what is known of the machine when conditions are looked at.
type ground struct {
	user     int
	settings map[string]string // of the kernel, by name; one that it lacks is absent
	denied   map[string]string // what a trial in a user namespace was denied, and how
	unified  bool              // cgroup version 2
	withheld []string          // controllers that the user may make no cgroups of
	ranges   bool              // he was given users and groups, and programs to map them
}

// Names of trials, in the order in which they need each other.
const (
	trialNamespace = "user namespace"
	trialMount     = "mounts"
	trialProc      = "proc"
	trialSysfs     = "sysfs"
	trialOverlay   = "overlayfs"
	trialNetwork   = "network"
)

// ownGroups is the condition that decides whether a cluster has cgroups.
const ownGroups = "own cgroups"

// Conditions looks at what an ordinary user's cluster wants here. It tries what can
// be tried, in a user namespace of its own, for which it starts the cutover program.
func Conditions(ctx context.Context, executable string) ([]Condition, error) {
	list, err := hierarchies()
	if err != nil {
		return nil, err
	}
	g := ground{user: os.Getuid(), settings: map[string]string{}, withheld: withheld(list), unified: unified(list)}
	for _, name := range []string{"user/max_user_namespaces", "kernel/unprivileged_userns_clone", "kernel/apparmor_restrict_unprivileged_userns"} {
		if value, err := os.ReadFile("/proc/sys/" + name); err == nil {
			g.settings[strings.ReplaceAll(name, "/", ".")] = strings.TrimSpace(string(value))
		}
	}
	g.ranges = hasRange("newuidmap", "/etc/subuid") && hasRange("newgidmap", "/etc/subgid")
	g.denied, err = try(ctx, executable)
	return g.conditions(), err
}

func hasRange(program, file string) bool {
	_, missing := exec.LookPath(program)
	ranges, err := subordinates(file)
	return missing == nil && err == nil && len(ranges) > 0
}

func (g ground) conditions() []Condition {
	needed := func(name, met, unmet, fix string) Condition {
		c := Condition{Name: name, Met: g.denied[name] == "", Needed: true, Meaning: met, Fix: fix}
		if !c.Met {
			c.Meaning = unmet + " (" + g.denied[name] + ")"
		}
		return c
	}
	masked := "the host's is covered in part, as it is in containers: start the container with everything of it shown (docker run --security-opt systempaths=unconfined)"
	all := []Condition{
		needed(trialNamespace, "one can be made, and its maker is root in it", "none can be made: nobody but root can have a cluster", g.namespaceFix()),
		needed(trialMount, "what is mounted in it stays in it", "its root may not mount anything", g.namespaceFix()),
		needed(trialProc, "pods can have processes of their own", "pods cannot have a /proc", masked),
		needed(trialSysfs, "pods can have networks of their own", "pods cannot have a /sys", masked),
		needed(trialOverlay, "containers share the layers of their images", "containers cannot be given a file system",
			"use a kernel of 5.11 or newer, and have XDG_DATA_HOME name a folder on a disk of this machine, not on an overlay or a network"),
		needed(trialNetwork, "pods can be connected to the node", "pods cannot be connected to the node", "modprobe veth, or use a kernel with CONFIG_VETH"),
	}
	return append(all, g.cgroups(), g.users())
}

// namespaceFix goes by what the kernel's settings forbid.
func (g ground) namespaceFix() string {
	switch {
	case g.settings["user.max_user_namespaces"] == "0":
		return "sudo sysctl -w user.max_user_namespaces=15000"
	case g.settings["kernel.unprivileged_userns_clone"] == "0":
		return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case g.settings["kernel.apparmor_restrict_unprivileged_userns"] == "1":
		return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give cutover an AppArmor profile with the rule `userns,`"
	}
	return "in a container, start it without a seccomp profile (docker run --security-opt seccomp=unconfined); elsewhere use a kernel with CONFIG_USER_NS; or run cutover with sudo"
}

func (g ground) cgroups() Condition {
	c := Condition{Name: ownGroups, Met: len(g.withheld) == 0, Meaning: "pods are limited to what they may use"}
	if c.Met {
		return c
	}
	c.Meaning = "none of " + strings.Join(g.withheld, ", ") + " may be made: pods run, but nothing limits or counts what they use"
	if g.unified {
		c.Fix = "run cutover as `systemd-run --user --scope -p Delegate=yes cutover …`; where controllers are still missing, put `[Service]` and `Delegate=cpu cpuset io memory pids` into /etc/systemd/system/user@.service.d/delegate.conf and log in again"
		return c
	}
	c.Fix = fmt.Sprintf("as root: for c in %s; do d=/sys/fs/cgroup/$c/user-%d; mkdir -p $d; for f in cpus mems; do [ $c = cpuset ] && cat $d/../cpuset.$f >$d/cpuset.$f; done; chown %d $d $d/cgroup.procs $d/tasks; echo PID >$d/cgroup.procs; done, PID being that of the shell that runs cutover",
		strings.Join(g.withheld, " "), g.user, g.user)
	return c
}

func (g ground) users() Condition {
	c := Condition{Name: "other users", Met: g.ranges, Meaning: "pods can run as any user that images and manifests ask for"}
	if !c.Met {
		c.Meaning = "there is none but root in the namespace: a pod that is to run as another does not start"
		c.Fix = fmt.Sprintf("install newuidmap and newgidmap (Debian, Ubuntu: apt-get install uidmap · Fedora: dnf install shadow-utils), and as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -nu %d)", g.user)
	}
	return c
}

// refusal is why there can be no cluster here, with every reason; nil if there can.
func refusal(conditions []Condition) error {
	var reasons []string
	for _, c := range conditions {
		if c.Needed && !c.Met {
			reasons = append(reasons, fmt.Sprintf("%s: %s; to do: %s", c.Name, c.Meaning, c.Fix))
		}
	}
	if reasons == nil {
		return nil
	}
	return fmt.Errorf("this machine does not let an ordinary user have an embedded cluster; run cutover with sudo, or:\n- %s", strings.Join(reasons, "\n- "))
}

// try has the program make its trials in namespaces such as a cluster's, and
// returns what was denied.
func try(ctx context.Context, executable string) (denied map[string]string, err error) {
	dir, err := aside()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // its mounts were another namespace's
	trial := exec.CommandContext(ctx, executable, "cluster", "trial", dir)
	trial.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
			unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var said strings.Builder
	trial.Stderr = &said
	printed, err := trial.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		err = json.Unmarshal(printed, &denied)
	}
	if err != nil {
		return map[string]string{trialNamespace: strings.TrimSpace(err.Error() + " " + said.String())}, nil
	}
	return denied, nil
}

// aside makes a folder for the trials on the disk that clusters are on.
func aside() (string, error) {
	near, err := cluster.StateDir()
	if err != nil {
		return "", err
	}
	for {
		dir, err := os.MkdirTemp(near, ".cutover-trial-")
		if parent := filepath.Dir(near); errors.Is(err, fs.ErrNotExist) && parent != near {
			near = parent
			continue
		}
		if err != nil {
			return "", fmt.Errorf("the state of clusters cannot be kept in this user's folder; set XDG_DATA_HOME to one that he may write to: %w", err)
		}
		return dir, nil
	}
}

// RunTrial does what a sandbox does and prints what it was denied.
func RunTrial(dir string) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	denied := map[string]string{}
	for _, trial := range []struct {
		name string
		do   func() error
	}{
		{trialMount, func() error {
			return errors.Join(mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), mount("trial", in("tmpfs"), "tmpfs", 0, ""))
		}},
		{trialProc, func() error { return mount("proc", in("proc"), "proc", 0, "") }},
		{trialSysfs, func() error { return mount("sysfs", in("sysfs"), "sysfs", 0, "") }},
		{trialOverlay, func() error {
			return mount("overlay", in("overlay"), "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,userxattr", in("lower"), in("upper"), in("work")))
		}},
		{trialNetwork, func() error {
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "trial0"}, PeerName: "trial1"})
		}},
	} {
		for _, folder := range []string{"tmpfs", "proc", "sysfs", "overlay", "lower", "upper", "work"} {
			if err := os.MkdirAll(in(folder), 0o700); err != nil {
				return err
			}
		}
		if err := trial.do(); err != nil {
			denied[trial.name] = err.Error()
		}
	}
	return json.NewEncoder(os.Stdout).Encode(denied)
}

// requireShortPaths refuses a folder in which the cluster's sockets could not be
// reached: the kernel allows their paths 107 bytes.
func (s state) requireShortPaths(nodes int) error {
	const limit = 107
	longest := s.node(node(nodes - 1)).containerd()
	if len(longest) <= limit {
		return nil
	}
	return errors.New("the folder " + filepath.Dir(string(s)) + " is too deep for a cluster of this name: " + longest + " has " + strconv.Itoa(len(longest)) +
		" bytes, and a socket's path may have " + strconv.Itoa(limit) + "; choose a shorter name, or set XDG_DATA_HOME to a folder with a shorter path")
}

// withoutRoot asks whether this user can have a cluster, tells what it will not
// have, and reports whether that is cgroups, too.
func withoutRoot(ctx context.Context, o Options) (cgroupless bool, err error) {
	conditions, err := Conditions(ctx, o.Executable)
	if err != nil {
		return false, err
	}
	if err := refusal(conditions); err != nil {
		return false, err
	}
	for _, c := range conditions {
		if !c.Met {
			fmt.Fprintf(o.Out, "rootless   %s: %s (`cutover doctor` says what to do)\n", c.Name, c.Meaning)
		}
	}
	return slices.ContainsFunc(conditions, func(c Condition) bool { return c.Name == ownGroups && !c.Met }), nil
}

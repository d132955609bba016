package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Facts are what an engine says of itself.
type Facts struct {
	Version  string // "20.10.24"
	Cgroup   int    // the version of its cgroups, 1 or 2
	Rootless bool
	Kernel   string // of the machine that it runs containers on
}

// Ask asks the engine what it is. An error means that none answers.
func Ask(ctx context.Context) (Facts, error) {
	printed, err := Run(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return Facts{}, fmt.Errorf("no container engine answers; start Docker, or point DOCKER_HOST at one: %w", err)
	}
	return parseInfo(printed)
}

func parseInfo(printed string) (Facts, error) {
	var info struct {
		ServerVersion   string
		CgroupVersion   string
		KernelVersion   string
		SecurityOptions []string
		ServerErrors    []string
	}
	if err := json.Unmarshal([]byte(printed), &info); err != nil {
		return Facts{}, fmt.Errorf("`docker info` printed what is not its JSON: %w", err)
	}
	if len(info.ServerErrors) > 0 || info.ServerVersion == "" {
		return Facts{}, fmt.Errorf("no container engine answers; start Docker, or point DOCKER_HOST at one: %s", strings.Join(info.ServerErrors, "; "))
	}
	cgroup := 1 // an engine that does not say knows no other
	if info.CgroupVersion == "2" {
		cgroup = 2
	}
	return Facts{
		Version: info.ServerVersion, Cgroup: cgroup, Kernel: info.KernelVersion,
		Rootless: slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.Contains(o, "name=rootless") }),
	}, nil
}

// Grant is what the engine gives to a container that asks for all there is.
type Grant struct {
	// Full says that it may be privileged, as nodes of a cluster usually are.
	Full bool
	// Without lists the capabilities to leave out otherwise, such as SYS_RESOURCE.
	Without []string
}

// String describes the grant for people.
func (g Grant) String() string {
	if g.Full {
		return "every capability"
	}
	return "every capability but " + strings.Join(g.Without, ", ")
}

// Arguments ask `docker run` for all that can be had, and never for more: what
// --privileged stands for, one by one.
func (g Grant) Arguments() []string {
	if g.Full {
		return []string{"--privileged"}
	}
	arguments := []string{"--cap-add=ALL"}
	for _, capability := range g.Without {
		arguments = append(arguments, "--cap-drop="+capability)
	}
	return append(arguments, "--security-opt=systempaths=unconfined", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
		"--device=/dev/kmsg", "--device=/dev/fuse", "--device-cgroup-rule=a *:* rwm")
}

// Granted finds out by starting containers of the image, which must be on the machine
// and hold `true`. An engine that is itself in a sandbox may lack a capability; it
// then refuses whoever asks for all of them.
func Granted(ctx context.Context, image string) (Grant, error) {
	full := Grant{Full: true}
	refused := full.try(ctx, image)
	if refused == nil {
		return full, nil
	}
	without, err := lacking("/proc/self/status")
	if err != nil {
		return Grant{}, err
	}
	less := Grant{Without: without}
	if len(without) > 0 {
		err = less.try(ctx, image)
	}
	if len(without) == 0 || err != nil {
		return Grant{}, fmt.Errorf("the container engine starts no privileged container, which a node has to be, and none with less (%v): %w", less, refused)
	}
	return less, nil
}

func (g Grant) try(ctx context.Context, image string) error {
	arguments := append([]string{"run", "--rm", "--network=none", "--pull=never"}, g.Arguments()...)
	_, err := Run(ctx, append(arguments, "--entrypoint=true", image)...)
	return err
}

// lacking names the capabilities that are missing from a process's bounding set: an
// engine on the same machine has hardly more.
func lacking(status string) ([]string, error) {
	data, err := os.ReadFile(status)
	if err != nil {
		return nil, err
	}
	return parseLacking(string(data))
}

func parseLacking(status string) ([]string, error) {
	for line := range strings.Lines(status) {
		digits, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("the bounding set of capabilities: %w", err)
		}
		var missing []string
		for number, name := range capabilities {
			if set&(1<<number) == 0 {
				missing = append(missing, name)
			}
		}
		return missing, nil
	}
	return nil, fmt.Errorf("the status of a process has no bounding set of capabilities")
}

// capabilities by their numbers, which the kernel never changes.
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
	"SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
	"AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

package doctor

import (
	"context"
	"fmt"
	"path"
	"strings"
)

func root(_ context.Context, m machine) Line {
	if m.uid == 0 {
		return Line{Name: "root", Status: OK, Meaning: "running as root, as namespaces, mounts and cgroups need"}
	}
	return Line{Name: "root", Status: OK, Meaning: "not running as root: clusters are made in a user namespace, for which see the last lines"}
}

// oldestKernel is the first one that kube-proxy's nftables mode accepts.
const oldestMajor, oldestMinor = 5, 13

func kernel(_ context.Context, m machine) Line {
	release := m.text("proc/sys/kernel/osrelease")
	line := Line{Name: "kernel", Status: OK, Meaning: release + " is new enough"}
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		line.Status, line.Meaning = Warn, fmt.Sprintf("version %q cannot be read", release)
	} else if major < oldestMajor || (major == oldestMajor && minor < oldestMinor) {
		line.Status = Fail
		line.Meaning = fmt.Sprintf("%s is too old: kube-proxy's nftables mode needs %d.%d", release, oldestMajor, oldestMinor)
		line.Remedy = "use a machine with a newer kernel"
	}
	return line
}

func namespaces(_ context.Context, m machine) Line {
	var missing []string
	for _, kind := range []string{"mnt", "pid", "net", "uts", "ipc", "cgroup"} {
		if !m.exists(path.Join("proc/self/ns", kind)) {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 {
		return Line{
			Name: "namespaces", Status: Fail, Meaning: "the kernel lacks " + strings.Join(missing, ", ") + ": nothing can be kept apart from the host",
			Remedy: "use a kernel with all namespaces (any distribution's is)",
		}
	}
	return m.attempt(attempt{
		name: "namespaces", probe: func() error { return nil },
		works: "mounts, processes and networks of clusters stay apart from the host",
		fails: "they exist but may not be made", status: Fail,
		remedy: "in a container, give it all capabilities and no seccomp profile (docker run --privileged)",
	})
}

func overlay(_ context.Context, m machine) Line {
	return m.attempt(attempt{
		name: "overlayfs", probe: mountOverlay, works: "containers share the layers of their images",
		fails: "containers cannot be given a file system", status: Fail,
		remedy: "modprobe overlay, or use a kernel with CONFIG_OVERLAY_FS",
	})
}

func veth(_ context.Context, m machine) Line {
	return m.attempt(attempt{
		name: "veth", probe: addVeth, works: "pods can be connected to the node",
		fails: "pods cannot be connected to the node", status: Fail,
		remedy: "modprobe veth, or use a kernel with CONFIG_VETH",
	})
}

func nftables(_ context.Context, m machine) Line {
	return m.attempt(attempt{
		name: "nftables", probe: func() error { return addRule() }, works: "kube-proxy can make Services work",
		fails: "kube-proxy cannot make Services work", status: Fail,
		remedy: "modprobe nf_tables, or use a kernel with CONFIG_NF_TABLES",
	})
}

func queue(_ context.Context, m machine) Line {
	return m.attempt(attempt{
		name: "NFQUEUE", probe: addQueue, works: "packets can be delayed in user space, also without netem",
		fails: "packets cannot be delayed in user space", status: Warn,
		remedy: "modprobe -a nft_compat xt_NFQUEUE nfnetlink_queue: without them and without netem, scenarios that delay packets are skipped",
	})
}

func netem(_ context.Context, m machine) Line {
	return m.attempt(attempt{
		name: "netem", probe: addNetem, works: "the kernel can delay, lose and reorder packets",
		fails: "the kernel cannot delay or lose packets itself (WSL2 and Docker Desktop cannot either)", status: Warn,
		remedy: "none is needed for delays where NFQUEUE works: packets are delayed in user space; to lose, double or damage packets, modprobe sch_netem (Fedora: dnf install kernel-modules-extra)",
	})
}

// attempt is a probe and the words for how it ends.
type attempt struct {
	name         string
	probe        probe
	works, fails string
	status       Status // if it fails
	remedy       string
}

func (m machine) attempt(a attempt) Line {
	if m.uid != 0 {
		return Line{Name: a.name, Status: Warn, Meaning: "not known: only root can try", Remedy: "run cutover doctor with sudo"}
	}
	if err := m.try(a.probe); err != nil {
		return Line{Name: a.name, Status: a.status, Meaning: fmt.Sprintf("%s (%v)", a.fails, err), Remedy: a.remedy}
	}
	return Line{Name: a.name, Status: OK, Meaning: a.works}
}

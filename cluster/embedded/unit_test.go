package embedded

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/cluster"
)

func TestCheckName(t *testing.T) {
	for _, row := range []struct {
		name string
		ok   bool
	}{
		// What FreshName makes.
		{"run-0a1b2c3d", true},
		// One letter is a name.
		{"a", true},
		// It becomes a path and a cgroup: nothing may lead elsewhere.
		{"../etc", false},
		{"a/b", false},
		{"", false},
		// Not at either end.
		{"-a", false},
		{"a-", false},
		// The socket's path must stay below 108 bytes.
		{strings.Repeat("a", 41), false},
		{"Upper", false},
	} {
		if err := cluster.CheckName(row.name); (err == nil) != row.ok {
			t.Errorf("cluster.CheckName(%q) = %v, want ok: %v", row.name, err, row.ok)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, row := range []struct{ mount, root, path, want string }{
		// The usual host: the hierarchy's root is mounted.
		{"/sys/fs/cgroup/memory", "/", "/user.slice", "/sys/fs/cgroup/memory/user.slice"},
		// A container: what is mounted is its own cgroup, and paths count from the real root.
		{"/sys/fs/cgroup/memory", "/docker/abc", "/docker/abc/job", "/sys/fs/cgroup/memory/job"},
		// A process outside of what is mounted: the best there is is the mount itself.
		{"/sys/fs/cgroup/memory", "/docker/abc", "/elsewhere", "/sys/fs/cgroup/memory"},
	} {
		if got := under(row.mount, row.root, row.path); got != row.want {
			t.Errorf("under(%q, %q, %q) = %q, want %q", row.mount, row.root, row.path, got, row.want)
		}
	}
}

func TestOptionsName(t *testing.T) {
	for _, row := range []struct {
		options, controllers string
		want                 bool
	}{
		{"rw,memory", "memory", true},
		// Two controllers that are mounted together.
		{"rw,cpu,cpuacct", "cpu,cpuacct", true},
		// cpu is not cpuset.
		{"rw,cpuset", "cpu", false},
		// A named hierarchy has no controllers.
		{"rw,xattr,name=systemd", "name=systemd", true},
	} {
		if got := optionsName(row.options, row.controllers); got != row.want {
			t.Errorf("optionsName(%q, %q) = %v", row.options, row.controllers, got)
		}
	}
}

func TestIdentifyTellsReusedNumbersApart(t *testing.T) {
	own, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !own.alive() {
		t.Error("this process is not alive")
	}
	// The same number, started at another time: somebody else.
	if (processID{PID: own.PID, Start: own.Start + "1"}).alive() {
		t.Error("a process that was started at another time is taken for this one")
	}
	if (processID{}).alive() {
		t.Error("no process is alive")
	}
}

func TestCertificatesAreOnlyTheirAuthoritys(t *testing.T) {
	one, other := state(t.TempDir()), state(t.TempDir())
	for _, s := range []state{one, other} {
		if err := errors.Join(s.furnish(2), s.writePKI(2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := verify(t, one.pki("admin.crt"), one.pki("ca.crt")); err != nil {
		t.Errorf("an administrator of the cluster: %v", err)
	}
	if err := verify(t, one.node(1).pki("kubelet.crt"), one.pki("ca.crt")); err != nil {
		t.Errorf("a further node of the cluster: %v", err)
	}
	if verify(t, one.pki("admin.crt"), other.pki("ca.crt")) == nil {
		t.Error("an administrator of another cluster is let in")
	}
	if verify(t, one.pki("kubelet.crt"), one.pki("etcd-ca.crt")) == nil {
		t.Error("a node's certificate opens etcd")
	}
	info, err := os.Stat(one.pki("admin.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the administrator's key: %v, %v", info, err)
	}
	// What a further node sees is its own: it must not hold the keys of others.
	if _, err := os.Stat(one.node(1).pki("admin.key")); !os.IsNotExist(err) {
		t.Errorf("a further node has the administrator's key: %v", err)
	}
}

func verify(t *testing.T, certificate, authority string) error {
	t.Helper()
	load := func(path string) *x509.Certificate {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	roots := x509.NewCertPool()
	roots.AddCert(load(authority))
	_, err := load(certificate).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func TestParseNode(t *testing.T) {
	for _, row := range []struct {
		name    string
		further bool // can be lost
		exists  bool
	}{
		// The cluster's own: it exists, and cannot be lost without it.
		{"node-0", false, true},
		{"node-1", true, true},
		{"node-2", true, true},
		// One more than there are.
		{"node-3", false, false},
		{"node--1", false, false},
		// One name to a node.
		{"node-01", false, false},
		{"node-+1", false, false},
		{"1", false, false},
		{"", false, false},
	} {
		n, err := parseNode(row.name, 3)
		if (err == nil) != row.exists || err == nil && n.name() != row.name {
			t.Errorf("parseNode(%q) = %v, %v; want there: %v", row.name, n, err, row.exists)
		}
		if _, err := furtherNode(row.name, 3); (err == nil) != row.further {
			t.Errorf("furtherNode(%q): %v; want it to be one that can be lost: %v", row.name, err, row.further)
		}
	}
}

func TestNodesShareNoAddress(t *testing.T) {
	taken := map[string]string{}
	for _, n := range nodesOf(MaxNodes) {
		for _, address := range []string{n.ip(), n.pods()} {
			if other, already := taken[address]; already {
				t.Errorf("%s and %s both have %s", other, n.name(), address)
			}
			taken[address] = n.name()
		}
	}
	for _, count := range []int{-1, 0, MaxNodes + 1} {
		if CheckNodes(count) == nil {
			t.Errorf("a cluster may have %d nodes", count)
		}
	}
	if err := CheckNodes(MaxNodes); err != nil {
		t.Error(err)
	}
}

func TestOnlyNode0CarriesTheControlPlane(t *testing.T) {
	count := map[string]int{}
	for _, n := range nodesOf(3) {
		for _, p := range programs(n) {
			count[p.name]++
		}
	}
	for name, want := range map[string]int{"etcd": 1, "kube-apiserver": 1, "kube-controller-manager": 1, "kube-scheduler": 1, "containerd": 3, "kubelet": 3, "kube-proxy": 3} {
		if count[name] != want {
			t.Errorf("%d of %s on three nodes, want %d", count[name], name, want)
		}
	}
}

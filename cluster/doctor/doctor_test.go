package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	mountsV1 = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n" +
		"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n" +
		"cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n" +
		"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
	mountV2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
)

// healthy is a machine that nothing is wrong with.
func healthy() machine {
	files := fstest.MapFS{
		"proc/sys/kernel/osrelease":              {Data: []byte("6.1.0-13-amd64\n")},
		"proc/self/mounts":                       {Data: []byte(mountV2)},
		"proc/self/status":                       {Data: []byte("Name:\tx\nCapBnd:\t000001ffffffffff\n")},
		"proc/meminfo":                           {Data: []byte("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")},
		"proc/sys/fs/inotify/max_user_instances": {Data: []byte("128\n")},
		"sys/fs/cgroup/cgroup.controllers":       {Data: []byte("cpuset cpu io memory pids\n")},
		"proc/self/ns/mnt":                       {},
		"proc/self/ns/pid":                       {},
		"proc/self/ns/net":                       {},
		"proc/self/ns/uts":                       {},
		"proc/self/ns/ipc":                       {},
		"proc/self/ns/cgroup":                    {},
	}
	return machine{
		files: files,
		has:   func(string) bool { return true },
		run:   func(context.Context, []string, ...string) (string, error) { return "go1.26", nil },
		try:   func(probe) error { return nil },
		free:  func(string) (uint64, error) { return 50 * gib, nil },
	}
}

func (m machine) with(path, content string) machine {
	files := fstest.MapFS{}
	for name, file := range m.files.(fstest.MapFS) {
		files[name] = file
	}
	files[path] = &fstest.MapFile{Data: []byte(content)}
	m.files = files
	return m
}

func TestHealthyMachine(t *testing.T) {
	m := healthy()
	m.sockets, m.registry, m.options.Built = nil, serve(t, "registry/2.0"), true
	for _, line := range check(t.Context(), m) {
		if line.Name == "engine" {
			continue // it has none
		}
		if line.Status != OK || line.Meaning == "" || line.Remedy != "" {
			t.Errorf("%+v", line)
		}
	}
}

func TestLooks(t *testing.T) {
	refuse := errors.New("refused")
	without := func(programs string) machine {
		m := healthy()
		m.has = func(program string) bool { return !strings.Contains(programs, program) }
		return m
	}
	change := func(f func(*machine)) machine {
		m := healthy()
		f(&m)
		return m
	}
	free := func(bytes uint64) machine {
		return change(func(m *machine) { m.free = func(string) (uint64, error) { return bytes, nil } })
	}
	failing := change(func(m *machine) {
		m.run = func(context.Context, []string, ...string) (string, error) { return "", refuse }
	})
	for _, test := range []struct {
		why   string
		look  func(context.Context, machine) Line
		m     machine
		want  Status
		words string
	}{
		{"a user", root, change(func(m *machine) { m.uid = 1000 }), OK, "in a user namespace"},
		{"the first kernel that does", kernel, healthy().with("proc/sys/kernel/osrelease", "5.13.0"), OK, "5.13.0"},
		{"the last that does not", kernel, healthy().with("proc/sys/kernel/osrelease", "5.12.19-x"), Fail, "needs 5.13"},
		{"no version at all", kernel, healthy().with("proc/sys/kernel/osrelease", "unreal"), Warn, `"unreal"`},
		{"a namespace is missing", namespaces, change(func(m *machine) { m.files = fstest.MapFS{} }), Fail, "lacks mnt, pid"},
		{"namespaces are forbidden", namespaces, change(func(m *machine) { m.try = func(probe) error { return refuse } }), Fail, "refused"},
		{"a user cannot try", overlay, change(func(m *machine) { m.uid = 1000 }), Warn, "only root can try"},
		{"no netem", netem, change(func(m *machine) { m.try = func(probe) error { return refuse } }), Warn, "cannot delay"},
		{"no nftables", nftables, change(func(m *machine) { m.try = func(probe) error { return refuse } }), Fail, "kube-proxy"},
		{"cgroups of version 1", cgroups, healthy().with("proc/self/mounts", mountsV1), OK, "version 1 with cpu, memory, pids"},
		{"cgroups of version 2", cgroups, healthy(), OK, "version 2 with cpuset, cpu"},
		{"no memory controller", cgroups, healthy().with("sys/fs/cgroup/cgroup.controllers", "cpu pids"), Fail, "without memory"},
		{"read-only, as in a container", cgroups, healthy().with("proc/self/mounts", strings.ReplaceAll(mountV2, "rw", "ro")), Fail, "read-only"},
		{"no cgroups", cgroups, healthy().with("proc/self/mounts", ""), Fail, "none are mounted"},
		{"CAP_SYS_RESOURCE is missing", oomScores, healthy().with("proc/self/status", "CapBnd:\t000001fffeffffff"), Warn, "out of reach"},
		{"few inotify instances", inotify, healthy().with("proc/sys/fs/inotify/max_user_instances", "64"), Warn, "about 4 clusters"},
		{"little memory", memory, healthy().with("proc/meminfo", "MemAvailable: 1500000 kB"), Warn, "1.4 GiB"},
		{"too little memory", memory, healthy().with("proc/meminfo", "MemAvailable: 900000 kB"), Fail, "0.9 GiB"},
		{"little disk", cacheDisk, free(5 * gib), Warn, "5.0 GiB"},
		{"too little disk", stateDisk, free(gib / 2), Fail, "0.5 GiB"},
		{"nothing is built", components, healthy(), Warn, "first cluster builds them"},
		{"what was built elsewhere is not whole", components, change(func(m *machine) { m.options.Unusable = errors.New("lacks kubelet") }), Fail, "lacks kubelet"},
		{"no go", golang, failing, Fail, "not found"},
		{"no go, but all is built", golang, change(func(m *machine) { m.run, m.options.Built = failing.run, true }), Warn, "not found"},
		{"no C compiler", compiler, without("gcc"), Fail, "runc"},
		{"no headers of the C library", compiler, failing, Fail, "headers"},
		{"no pkg-config", seccomp, without("pkg-config"), Fail, "pkg-config"},
		{"no libseccomp", seccomp, failing, Fail, "headers"},
		{"no nft", nftProgram, without("nft"), Fail, "kube-proxy"},
		{"no iptables", iptablesProgram, without("iptables"), Warn, "hostPort"},
		{"no make", makeProgram, without("make"), Warn, "not found"},
		{"no module proxy", moduleProxy, failing, Warn, "module cache"},
		{"no engine", engine, healthy(), Warn, "no container engine"},
	} {
		t.Run(test.why, func(t *testing.T) {
			line := test.look(t.Context(), test.m)
			if line.Status != test.want || !strings.Contains(line.Meaning, test.words) {
				t.Errorf("got %+v, want %s with %q", line, test.want, test.words)
			}
			if line.Status == Fail && line.Remedy == "" {
				t.Errorf("%s fails and says no remedy", line.Name)
			}
		})
	}
}

func TestEngineAndItsMirror(t *testing.T) {
	mirror := serve(t, "registry/2.0")
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"Version":"99.1"}`)) })
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"RegistryConfig":{"Mirrors":["` + mirror + `/"]}}`))
	})
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	defer server.Close()

	m := healthy()
	m.sockets, m.registry = []string{socket + ".old", socket}, "http://127.0.0.1:1"
	if line := engine(t.Context(), m); line.Status != OK || !strings.Contains(line.Meaning, "99.1") {
		t.Errorf("%+v", line)
	}
	if line := registry(t.Context(), m); line.Status != OK {
		t.Errorf("its mirror was not asked: %+v", line)
	}
}

// Some networks answer for every address.
func TestNotEverythingThatAnswersIsARegistry(t *testing.T) {
	m := healthy()
	m.registry = serve(t, "")
	if line := registry(t.Context(), m); line.Status != Warn {
		t.Errorf("%+v", line)
	}
}

func TestRender(t *testing.T) {
	lines := []Line{{Name: "root", Status: OK, Meaning: "fine"}, {Name: "cgroups", Status: Warn, Meaning: "old", Remedy: "mount"}}
	var text strings.Builder
	if err := Render(&text, lines); err != nil {
		t.Fatal(err)
	}
	want := "ok    root     fine\n" +
		"warn  cgroups  old\n" +
		"               → mount\n" +
		"\nEmbedded clusters can run here.\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	text.Reset()
	if err := Render(&text, append(lines, Line{Name: "nft", Status: Fail})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "cannot run here") {
		t.Errorf("got\n%s", text.String())
	}
}

func serve(t *testing.T, version string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if version != "" {
			w.Header().Set("Docker-Distribution-Api-Version", version)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

package podstat

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const uid = "5b58032b-e106-45c1-92ef-a3a0bc149088"

func TestPodPart(t *testing.T) {
	for path, want := range map[string]string{
		"/kubepods/besteffort/pod" + uid + "/24d10f":                                 "/kubepods/besteffort/pod" + uid,
		"/a/kubepods-pod5b58032b_e106_45c1_92ef_a3a0bc149088.slice/cri-24d10f.scope": "/a/kubepods-pod5b58032b_e106_45c1_92ef_a3a0bc149088.slice",
		"/kubepods/besteffort/pod5b58032b-e106-45c1-92ef-000000000000/24d10f":        "",
		"/": "",
	} {
		if got := podPart(path, uid); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := podPart("/anything", ""); got != "" {
		t.Errorf("of no pod: %q", got)
	}
}

func TestFiguresOfBothVersions(t *testing.T) {
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name, mountinfo, cgroup string
		files                   map[string]string
	}{
		{
			"v1, mounted together with others, seen from above",
			"32 31 0:29 / ROOT/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n35 31 0:32 /docker/x ROOT/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / ROOT/unified rw - cgroup2 cgroup2 rw\n",
			"4:memory:/docker/x/pod" + uid + "/c\n2:cpu,cpuacct:/docker/x/pod" + uid + "/c\n0::/docker/x/pod" + uid + "/c\n",
			map[string]string{
				"memory/pod" + uid + "/memory.usage_in_bytes": "5000\n",
				"memory/pod" + uid + "/memory.stat":           "cache 1\ntotal_inactive_file 1000\n",
			},
		},
		{
			"v2",
			"41 31 0:38 / ROOT rw - cgroup2 cgroup2 rw\n",
			"0::/kubepods/pod" + uid + "/c\n",
			map[string]string{
				"kubepods/pod" + uid + "/memory.current": "5000\n",
				"kubepods/pod" + uid + "/memory.stat":    "anon 1\ninactive_file 1000\n",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range row.files {
				write(filepath.Join(root, path), text)
			}
			proc := t.TempDir()
			write(filepath.Join(proc, "7", "cgroup"), row.cgroup)
			write(filepath.Join(proc, "7", "stat"), "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4711 1 1\n")
			write(filepath.Join(proc, "7", "task", "7", "schedstat"), "1000000000 200000000 5\n")
			write(filepath.Join(proc, "7", "task", "9", "schedstat"), "300000000 0 5\n")
			write(filepath.Join(proc, "8", "cgroup"), "0::/\n")
			write(filepath.Join(proc, "self", "cgroup"), row.cgroup)
			mounts := parseMounts(row.mountinfo)
			for hierarchy, at := range mounts {
				at.point = root + at.point[len("ROOT"):]
				mounts[hierarchy] = at
			}
			found, err := find(proc, mounts, []string{uid, "another"})
			if err != nil || len(found) != 1 {
				t.Fatalf("%v, %v", found, err)
			}
			stat, err := found[uid].read(proc)
			if err != nil || len(stat.Wanted) != 1 || stat.Wanted["7/4711"] != 1500*time.Millisecond || stat.Memory != 4000 {
				t.Errorf("%+v, %v", stat, err)
			}
		})
	}
}

// A process that keeps a processor busy, in a cgroup named after a pod.
func TestWhatAProcessUsesIsRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making a cgroup needs root")
	}
	var made []string
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = busy.Process.Kill()
		_ = busy.Wait()
		for _, folder := range made {
			for range 100 { // until the kernel has let go of the process
				if os.Remove(folder) == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	own := "test-podstat-" + strconv.Itoa(os.Getpid())
	for hierarchy, at := range parseMounts(string(mounts)) {
		folder := filepath.Join(at.point, own)
		if err := os.Mkdir(folder, 0o700); err != nil {
			continue // of this hierarchy there is none here
		}
		made = append(made, folder)
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(busy.Process.Pid)), 0o600); err != nil {
			t.Logf("%q: %v", hierarchy, err)
		}
	}
	before, err := Read([]string{own})
	if err != nil || len(before) != 1 {
		t.Skipf("this machine's cgroups do not count: %+v, %v", before, err)
	}
	time.Sleep(500 * time.Millisecond)
	after, err := Read([]string{own})
	if err != nil || len(after) != 1 {
		t.Fatalf("%+v, %v", after, err)
	}
	if len(after[0].Wanted) != 1 {
		t.Fatalf("%+v", after)
	}
	for process, wanted := range after[0].Wanted {
		share := (wanted - before[0].Wanted[process]).Seconds() / after[0].At.Sub(before[0].At).Seconds()
		if share < 0.8 || share > 1.2 {
			t.Errorf("it wanted %.2f of a processor: %+v, %+v", share, before, after)
		}
	}
}

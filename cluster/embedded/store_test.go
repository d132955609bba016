package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

func TestLinkIntoSharesImagesAndCopiesDatabases(t *testing.T) {
	store := imageStore{t.TempDir()}
	write := func(path string, mode os.FileMode) {
		t.Helper()
		path = filepath.Join(store.root(), path)
		if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(path), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("content/blobs/one", 0o444)
	write("metadata/meta.db", 0o644)
	target := t.TempDir()
	if err := store.linkInto(target); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		path   string
		shared bool
		why    string
	}{
		{"content/blobs/one", true, "nobody writes to it, and clusters that run it share its pages"},
		{"metadata/meta.db", false, "each containerd writes to its own"},
	} {
		ours, theirs := inode(t, filepath.Join(target, row.path)), inode(t, filepath.Join(store.root(), row.path))
		if (ours == theirs) != row.shared {
			t.Errorf("%s: shared is %v, want %v: %s", row.path, ours == theirs, row.shared, row.why)
		}
	}
	info, err := os.Stat(filepath.Join(target, "content"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o711 {
		t.Errorf("the folder's mode is %v, want that of the store's", info.Mode().Perm())
	}
}

func TestLinkIntoRefusesWhatNoImageHas(t *testing.T) {
	store := imageStore{t.TempDir()}
	if err := os.MkdirAll(store.root(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(store.root(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := store.linkInto(t.TempDir()); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("got %v, want an error that names the link", err)
	}
}

func TestStoreKeyFollowsThePrograms(t *testing.T) {
	programs := components.In(t.TempDir())
	for _, wanted := range storeImages {
		if err := os.WriteFile(programs.Path(wanted.program), []byte(wanted.program), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	before, err := storeKey(programs)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := storeKey(programs); again != before {
		t.Error("the key changes by itself")
	}
	if err := os.WriteFile(programs.Path("traefik"), []byte("another one"), 0o700); err != nil {
		t.Fatal(err)
	}
	if after, _ := storeKey(programs); after == before {
		t.Error("another program has the same key: a cluster would run the old image")
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

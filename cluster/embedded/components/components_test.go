package components

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeysDependOnWhatIsBuilt(t *testing.T) {
	seen := map[string]string{}
	for _, c := range all {
		for _, toolchain := range []string{"go1.26.0", "go1.26.1"} {
			key, err := c.key(toolchain)
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := seen[key]; taken {
				t.Errorf("%s by %s has the key of %s", c.name, toolchain, other)
			}
			seen[key] = c.name + " by " + toolchain
		}
	}
}

func TestSumsNoticeDamage(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("as built"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := verifySums(dir); !os.IsNotExist(err) {
		t.Errorf("a folder without sums: %v", err)
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	if err := verifySums(dir); err != nil {
		t.Errorf("as built: %v", err)
	}
	if err := os.WriteFile(program, []byte("changed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if verifySums(dir) == nil {
		t.Error("a changed program passes for what was built")
	}
}

func TestUntrustedProgramsAreNotRun(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		mode os.FileMode
		ok   bool
	}{
		{0o755, true},
		{0o775, false}, // the group may put something there
		{0o707, false}, // anybody may
	} {
		if err := os.Chmod(dir, row.mode); err != nil {
			t.Fatal(err)
		}
		if err := trusted(dir); (err == nil) != row.ok {
			t.Errorf("mode %o: %v", row.mode, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 41234, 41234); err != nil {
			t.Fatal(err)
		}
		if trusted(dir) == nil {
			t.Error("root runs what belongs to an ordinary user")
		}
	}
}

package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgramsThatComponentsCall(t *testing.T) {
	dir := t.TempDir()
	if err := requirePrograms(dir); err == nil || !strings.Contains(err.Error(), "nftables") || !strings.Contains(err.Error(), "kubelet calls the program mount") {
		t.Errorf("an empty folder: got %v", err)
	}
	for _, program := range []string{"nft", "mount", "nsenter"} {
		if err := os.WriteFile(filepath.Join(dir, program), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := requirePrograms("/nothere:" + dir); err != nil {
		t.Errorf("all are there: got %v", err)
	}
}

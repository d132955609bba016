package experiment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cutover-dev/cutover/safety"
)

// A clean-up removes what is on this machine whether or not the run's cluster is
// still there.
func TestScratchFoldersAreRemovedWithAndWithoutTheCluster(t *testing.T) {
	for why, how := range map[string]safety.Undoers{"the cluster lives": undoers(nil), "the cluster is gone": gone()} {
		t.Run(why, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "scratch")
			if err := os.MkdirAll(filepath.Join(dir, "go-build1"), 0o700); err != nil {
				t.Fatal(err)
			}
			params, err := json.Marshal(scratchParams{Path: dir})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // an undo may be called again
				if err := how[kindScratch](t.Context(), params); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the folder is still there: %v", err)
			}
		})
	}
}

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// StateDir is where this user's clusters and the ledgers of his runs are. Root's is
// one fixed place, so that a clean-up finds what a killed run left whatever HOME it
// was started with; everybody else's is below his own folder of data. It need not
// exist yet. The error says what to set where it cannot be told.
func StateDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/cutover", nil
	}
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no folder for the state of clusters and runs; set HOME, or XDG_DATA_HOME, to one of your own: %w", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "cutover"), nil
}

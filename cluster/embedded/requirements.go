package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// sandboxPath is where the sandbox's processes find the host's programs.
const sandboxPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// requirePrograms says which programs the components call that no folder of the
// path holds. Without nft, a cluster would come up and no Service in it would work.
func requirePrograms(path string) error {
	var failed []error
	for _, needed := range []struct{ program, caller, remedy string }{
		{"nft", "kube-proxy", "Debian, Ubuntu: apt-get install nftables; Fedora: dnf install nftables"},
		{"nsenter", "cutover", "Debian, Ubuntu, Fedora: the package util-linux"},
		{"mount", "kubelet", "Debian, Ubuntu: apt-get install mount; Fedora: dnf install util-linux"},
	} {
		if !inPath(path, needed.program) {
			failed = append(failed, fmt.Errorf("%s calls the program %s, which is in none of %s: install it (%s)", needed.caller, needed.program, path, needed.remedy))
		}
	}
	return errors.Join(failed...)
}

func inPath(path, program string) bool {
	for _, dir := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
)

// A name becomes a path, a cgroup, and a part of host names, which have at most 63
// characters.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// CheckName refuses what cannot name a cluster, of whatever sort.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%q cannot name a cluster: use up to 40 lower-case letters, digits and hyphens, beginning and ending with a letter or digit", name)
	}
	return nil
}

// FreshName is a name that no cluster has.
func FreshName() (string, error) {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return "run-" + hex.EncodeToString(random), nil
}

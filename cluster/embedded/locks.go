package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Locks in a cluster's folder. The kernel lets go of them when their holder ends,
// by whatever end: a cluster whose locks are both free belongs to nobody.
const (
	makerLock   = "maker" // held while the cluster is being made
	janitorLock = "lock"  // held by the janitor
)

// lock takes one of the folder's locks, or fails at once if it is taken.
func (s state) lock(name string) (release func(), err error) {
	file, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", s.path(name), err)
	}
	return func() { file.Close() }, nil
}

// lockRoot keeps folders from coming and going, so that nobody sees one that is made
// and not claimed yet, or half removed. Without create it fails if there is no root.
func lockRoot(path string, create bool) (unlock func(), err error) {
	for {
		if create {
			err = os.MkdirAll(path, 0o700)
		}
		var root *os.File
		if err == nil {
			root, err = os.Open(path)
		}
		if create && errors.Is(err, fs.ErrNotExist) {
			continue // the last cluster took it along this moment
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(root.Fd()), unix.LOCK_EX); err != nil {
			root.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if stillAt(root, path) {
			return func() { root.Close() }, nil
		}
		root.Close()
	}
}

// stillAt reports whether the open folder is the one that has the path now: the
// last cluster takes the root along, and the next one makes another.
func stillAt(root *os.File, path string) bool {
	held, err := root.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}

// holdStates lists the clusters and keeps them from coming and going meanwhile.
func holdStates() (all []state, unlock func(), err error) {
	root, err := stateRoot()
	if err != nil {
		return nil, nil, err
	}
	unlock, err = lockRoot(root, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if all, err = states(); err != nil {
		unlock()
		return nil, nil, err
	}
	return all, unlock, nil
}

// taken reports whether somebody holds a lock of the folder. Nobody may be making
// the folder meanwhile: the look takes the lock for a moment.
func (s state) taken(name string) bool {
	release, err := s.lock(name)
	if err == nil {
		release()
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}

// orphan is a cluster that nobody makes and nobody holds, locked so that it stays so.
type orphan struct {
	state   state
	release func()
}

// adoptDead takes the clusters that have lost maker and janitor. One that it cannot
// look at does not hide the others: it is in the error, they are in the list.
func adoptDead() ([]orphan, error) {
	all, unlock, err := holdStates()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var dead []orphan
	var failed []error
	for _, s := range all {
		release, err := s.adopt()
		switch {
		case err == nil:
			dead = append(dead, orphan{s, release})
		case !errors.Is(err, unix.EWOULDBLOCK):
			failed = append(failed, err)
		}
	}
	return dead, errors.Join(failed...)
}

// adopt takes both locks of a cluster; EWOULDBLOCK means that it lives.
func (s state) adopt() (release func(), err error) {
	maker, err := s.lock(makerLock)
	if err != nil {
		return nil, err
	}
	janitor, err := s.lock(janitorLock)
	if err != nil {
		maker()
		return nil, err
	}
	return func() { maker(); janitor() }, nil
}

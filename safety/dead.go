package safety

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Dead opens the ledgers in dir whose owners are gone, and owns them from then on:
// replay and close each. Ledgers of living runs are left alone. An unreadable one
// does not hide the others: it is in the error, they are in the list.
func Dead(dir string) ([]*Ledger, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("list ledgers in %s: %w", dir, err)
	}
	var ledgers []*Ledger
	var failures []error
	for _, path := range paths {
		ledger, err := adopt(path)
		failures = append(failures, err)
		if ledger != nil {
			ledgers = append(ledgers, ledger)
		}
	}
	return ledgers, errors.Join(failures...)
}

// adopt takes over a ledger; it returns nil if the owner lives, or has finished
// in this very moment.
func adopt(path string) (*Ledger, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	free, err := lockIfFree(file)
	if !free || err != nil {
		file.Close()
		return nil, err
	}
	l := &Ledger{path: path, file: file}
	if err := l.read(); err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

func lockIfFree(file *os.File) (bool, error) {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock ledger %s: %w", file.Name(), err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return false, fmt.Errorf("look at ledger %s: %w", file.Name(), err)
	}
	return stat.Nlink > 0, nil
}

package safety

import (
	"context"
	"errors"
)

// Scanner looks for what a run left behind and names each thing it finds.
type Scanner func(context.Context) ([]string, error)

// Scan runs all scanners. A scanner that fails does not hide what others found,
// and its error means that nobody can say that nothing is left.
func Scan(ctx context.Context, scanners ...Scanner) ([]string, error) {
	var found []string
	var failures []error
	for _, scan := range scanners {
		items, err := scan(ctx)
		found = append(found, items...)
		failures = append(failures, err)
	}
	return found, errors.Join(failures...)
}

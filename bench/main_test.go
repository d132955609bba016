package bench

import (
	"context"
	"errors"
	"testing"
)

func TestMainSaysHowItEnded(t *testing.T) {
	for _, row := range []struct {
		comment string
		err     error
		code    int
	}{
		{"it was measured", nil, 0},
		{"it could not be", errors.New("no such machine"), 1},
	} {
		if code := Main("bench-test", func(context.Context, []string) error { return row.err }); code != row.code {
			t.Errorf("%s: code %d, want %d", row.comment, code, row.code)
		}
	}
}

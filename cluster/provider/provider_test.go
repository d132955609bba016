package provider

import (
	"errors"
	"strings"
	"testing"
)

func TestNamed(t *testing.T) {
	for _, row := range []struct {
		name, want string // a part of the error; "" if there is such a provider
	}{
		{"embedded", ""},
		{"kind", ""},
		// It is going to be one.
		{"existing", "not supported yet"},
		// It never is.
		{"cloud", "unknown sort of cluster"},
		// It is a choice among them, not one of them.
		{Auto, "unknown sort of cluster"},
	} {
		p, err := Named(row.name)
		switch {
		case row.want == "" && (err != nil || p.Name() != row.name):
			t.Errorf("%s: %v", row.name, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "embedded")):
			t.Errorf("%s: got %v, want %q and the known ones", row.name, err, row.want)
		}
	}
}

func TestFindSaysThatThereIsNone(t *testing.T) {
	if _, err := Find(t.Context(), "embedded", "nobody-has-this"); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "cluster up --name nobody-has-this") {
		t.Errorf("got %v", err)
	}
}

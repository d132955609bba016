package dependencies

import (
	"slices"
	"strings"
	"testing"
)

var (
	db    = Spec{Name: "db", Ports: map[string]int{"sql": 5432}}
	queue = Spec{Name: "queue", Ports: map[string]int{"amqp": 5672, "admin": 15672}}
)

func TestKnownReferences(t *testing.T) {
	want := []string{
		"${dependencies.db.host}", "${dependencies.db.port.sql}", "${dependencies.db.port}",
		"${dependencies.queue.host}", "${dependencies.queue.port.admin}", "${dependencies.queue.port.amqp}",
	}
	if got := Known(queue, db); !slices.Equal(got, want) {
		t.Errorf("known: %q", got)
	}
}

func TestFill(t *testing.T) {
	values := Values{}
	values.add(db, "10.0.0.7")
	values.add(queue, "10.0.0.8")
	for _, row := range []struct{ text, want, fails string }{
		{"nothing to fill in", "nothing to fill in", ""},
		{"postgres://app@${dependencies.db.host}:${dependencies.db.port}/shop", "postgres://app@10.0.0.7:5432/shop", ""},
		{"${dependencies.queue.host}:${dependencies.queue.port.amqp}", "10.0.0.8:5672", ""},
		// Somebody else's words stay.
		{"${HOME} $dependencies {dependencies.db.host}", "${HOME} $dependencies {dependencies.db.host}", ""},
		// Two ports, so there is no such thing as the port.
		{"${dependencies.queue.port}", "", "${dependencies.queue.port} stands for nothing"},
		// What was meant to be one must not pass for text.
		{"${dependencies.cache.host}", "", "${dependencies.cache.host}"},
		{"${dependencies.db.host", "", "${dependencies.db.host"},
		{"${dependencies}", "", "${dependencies}"},
	} {
		got, err := values.Fill(row.text)
		if row.fails != "" {
			if err == nil || !strings.Contains(err.Error(), row.fails) {
				t.Errorf("%s: got %q, %v", row.text, got, err)
			}
			continue
		}
		if err != nil || got != row.want {
			t.Errorf("%s: got %q, %v; want %q", row.text, got, err, row.want)
		}
	}
}

// Filling must leave the scenario as it was: it is run again, elsewhere.
func TestFillingCopies(t *testing.T) {
	values := Values{}
	values.add(db, "10.0.0.7")
	env, args := map[string]string{"DB": "${dependencies.db.host}"}, []string{"--db=${dependencies.db.host}"}
	filledEnv, err := values.FillMap(env)
	if err != nil || filledEnv["DB"] != "10.0.0.7" || env["DB"] != "${dependencies.db.host}" {
		t.Errorf("filled %v, of %v: %v", filledEnv, env, err)
	}
	filledArgs, err := values.FillList(args)
	if err != nil || filledArgs[0] != "--db=10.0.0.7" || args[0] != "--db=${dependencies.db.host}" {
		t.Errorf("filled %v, of %v: %v", filledArgs, args, err)
	}
	// None stays none: an image's command must not be replaced by an empty one.
	if filled, err := values.FillList(nil); err != nil || filled != nil {
		t.Errorf("nothing became %#v: %v", filled, err)
	}
}

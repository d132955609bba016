package engine

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
)

// TestLoadImage gives a real engine an image and takes it away again.
func TestLoadImage(t *testing.T) {
	if _, err := Ask(t.Context()); err != nil {
		t.Skip(err)
	}
	reference := fmt.Sprintf("cutover.local/engine-test:%d", os.Getpid())
	if has, err := HasImage(t.Context(), reference); has || err != nil {
		t.Fatalf("before it is loaded: %v, %v", has, err)
	}
	img, err := random.Image(1<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := LoadImage(t.Context(), reference, img); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := Run(t.Context(), "image", "rm", reference); err != nil {
			t.Error(err)
		}
	}()
	if has, err := HasImage(t.Context(), reference); !has || err != nil {
		t.Errorf("after it is loaded: %v, %v", has, err)
	}
}

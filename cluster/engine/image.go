package engine

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cutover-dev/cutover/cluster/image"
)

// LoadImage gives the engine the image under the reference, without a registry.
func LoadImage(ctx context.Context, reference string, img v1.Image) error {
	read, write := io.Pipe()
	defer read.Close()
	go func() { write.CloseWithError(image.WriteArchive(write, reference, img)) }()
	if _, err := Feed(ctx, read, "load", "--quiet"); err != nil {
		return fmt.Errorf("load image %s into the container engine: %w", reference, err)
	}
	return nil
}

// HasImage reports whether the engine has the image, so that it need not be pulled.
func HasImage(ctx context.Context, reference string) (bool, error) {
	_, err := Run(ctx, "image", "inspect", "--format", "{{.Id}}", reference)
	if err != nil && strings.Contains(err.Error(), "No such image") {
		return false, nil
	}
	return err == nil, err
}

package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// pull takes an image from a registry, logged in as `docker login` left it. The
// registry is asked each time what a tag stands for; layers are pulled once.
func (b builder) pull(ctx context.Context, ref string) (string, v1.Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return "", nil, fmt.Errorf("it is none of %s, oci-archive:FILE, docker-archive:FILE or a registry's reference: %w", koForms, err)
	}
	remoteImage, err := remote.Image(parsed, remote.WithContext(ctx),
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(b.platform()))
	if err != nil {
		return "", nil, pullError(parsed, err)
	}
	digest, err := remoteImage.Digest()
	if err != nil {
		return "", nil, pullError(parsed, err)
	}
	img, err := b.store.once(ctx, digest.Hex, func() (v1.Image, error) {
		b.notify("pulling " + ref)
		return remoteImage, nil
	})
	if err != nil {
		return "", nil, fmt.Errorf("pulling its layers: %w", err)
	}
	return path.Base(parsed.Context().RepositoryStr()), img, b.checkPlatform(img)
}

// pullError says which side refused, and how to do without a registry.
func pullError(ref name.Reference, err error) error {
	var answer *transport.Error
	registry := ref.Context().RegistryStr()
	switch {
	case !errors.As(err, &answer):
		return fmt.Errorf("registry %s cannot be reached from here: build a Go program with ko://import/path@version, "+
			"or bring the image as a file (oci-archive:FILE, docker-archive:FILE): %w", registry, err)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("registry %s does not let us read it: check the name, and log in with `docker login %s`: %w",
			registry, registry, err)
	default:
		return fmt.Errorf("registry %s answered, but not with the image: %w", registry, err)
	}
}

package image

import (
	"context"
	"fmt"
)

// Executable builds the Go program that ref names, as after ko:// in that of an image,
// for this machine into the file output.
func Executable(ctx context.Context, ref, output string, opts Options) error {
	b, err := newBuilder(opts)
	if err != nil {
		return err
	}
	if err := b.executable(ctx, ref, output); err != nil {
		return fmt.Errorf("program %s: %w", ref, err)
	}
	return nil
}

func (b builder) executable(ctx context.Context, ref, output string) error {
	name, err := parseProgram(ref)
	if err != nil {
		return err
	}
	if name.version != "" {
		dir, err := b.download(ctx, name.path, name.version)
		if err != nil {
			return err
		}
		return b.goBuild(ctx, dir, output, publishedEnv...)
	}
	pkg, err := b.findLocal(ctx, name)
	if err != nil {
		return err
	}
	return b.goBuild(ctx, pkg.Dir, output)
}

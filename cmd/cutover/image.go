package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/image"
)

func imageCommand() *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "Make images for scenarios without a container engine"}
	c.AddCommand(imagePack())
	return c
}

func imagePack() *cobra.Command {
	var p image.Packing
	var owner, out string
	c := &cobra.Command{
		Use: "pack --root DIR... -o FILE", Short: "Make an OCI archive of folders", Args: cobra.NoArgs,
		Long: "Make an OCI archive of folders, for `image: oci-archive:FILE` in a scenario.\n\n" +
			"Modes, owners, symlinks and hard links are kept; times, extended attributes and devices are not. Links are stored and\n" +
			"never followed. The same folders give the same bytes.",
		Example: "  cutover image pack --root rootfs --entrypoint /usr/sbin/nginx --cmd -c --cmd /etc/nginx/v2.conf --port 8080 --user 65532:65532 -o nginx.oci.tar",
	}
	flags := c.Flags()
	flags.StringArrayVar(&p.Roots, "root", nil, "folder that is to be / in the image; given again, the next layer on top of it")
	flags.StringArrayVar(&p.Entrypoint, "entrypoint", nil, "a word of the program's command line; give it again for each further word")
	flags.StringArrayVar(&p.Cmd, "cmd", nil, "a word after the entrypoint, which a scenario's args replace; repeatable")
	flags.StringArrayVar(&p.Env, "env", nil, "NAME=value; repeatable")
	flags.StringVar(&p.User, "user", "", "who runs the program: uid or uid:gid (default root)")
	flags.StringVar(&p.Workdir, "workdir", "", "the program's working directory (default /)")
	flags.StringArrayVar(&p.Ports, "port", nil, "a port the program listens on, for people to read; repeatable")
	flags.StringVar(&p.StopSignal, "stop-signal", "", "what asks the program to end, such as SIGQUIT (default SIGTERM)")
	flags.StringVar(&p.Arch, "arch", "", "architecture of the programs, as Go calls it (default this machine's)")
	flags.StringVar(&owner, "owner", "", "uid:gid that all files are to belong to (default the owners they have here)")
	flags.StringVarP(&out, "output", "o", "", "the archive to write")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if p.Owner, err = ownerOf(owner); err != nil {
			return usageError{err}
		}
		if out == "" {
			return usageError{fmt.Errorf("no output: name the archive to write with -o FILE")}
		}
		packed, err := image.Pack(p)
		if err != nil {
			return usageError{err}
		}
		return writePacked(c.OutOrStdout(), out, packed)
	}
	return c
}

var ownerForm = regexp.MustCompile(`^(\d+):(\d+)$`)

// ownerOf reads uid:gid; nil if there is none.
func ownerOf(text string) (*image.Owner, error) {
	if text == "" {
		return nil, nil
	}
	found := ownerForm.FindStringSubmatch(text)
	if found == nil {
		return nil, fmt.Errorf("owner %q: write numbers, uid:gid, such as 0:0", text)
	}
	uid, err := strconv.Atoi(found[1])
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(found[2])
	if err != nil {
		return nil, err
	}
	return &image.Owner{UID: uid, GID: gid}, nil
}

// writePacked writes the archive whole or not at all, and says what it is.
func writePacked(out io.Writer, path string, packed image.Packed) error {
	aside := path + ".partial"
	if err := writeArchive(aside, packed); err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	digest, err := packed.Digest()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if len(packed.LeftOut) > 0 {
		fmt.Fprintf(out, "left out, because no image carries devices, sockets or pipes: %s\n", strings.Join(packed.LeftOut, " "))
	}
	fmt.Fprintf(out, "%s: %d files and folders, %.1f MB, %s\n", path, packed.Entries, float64(info.Size())/1e6, digest)
	return nil
}

func writeArchive(path string, packed image.Packed) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	err = image.WriteOCIArchive(buffered, packed)
	return errors.Join(err, buffered.Flush(), f.Close())
}

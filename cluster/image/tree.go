package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// tree is a folder on this machine that becomes a layer as it stands: with its
// files' owners, modes, symlinks and hard links, but without their times. It is
// read inside its root only: a link out of it is stored, never followed.
type tree struct {
	dir   string
	owner *Owner
}

// treeSummary is what a tree held when it was read.
type treeSummary struct {
	entries int
	left    []string // paths of devices, sockets and pipes, which no layer carries
}

// inode tells two names of one file from two files.
type inode struct{ device, number uint64 }

// write writes the tree as a layer's tar, in the order of names.
func (t tree) write(w io.Writer) (treeSummary, error) {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return treeSummary{}, err
	}
	defer root.Close()
	out := &treeWriter{tree: t, root: root, tar: tar.NewWriter(w), names: map[inode]string{}}
	if err := fs.WalkDir(root.FS(), ".", out.entry); err != nil {
		return treeSummary{}, err
	}
	return out.treeSummary, out.tar.Close()
}

type treeWriter struct {
	tree
	treeSummary
	root  *os.Root
	tar   *tar.Writer
	names map[inode]string // the first name of each file that has several
}

func (t *treeWriter) entry(name string, found fs.DirEntry, err error) error {
	if err != nil || name == "." { // the root's own mode is that of a work folder
		return err
	}
	info, err := found.Info()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !info.IsDir() && info.Mode().Type() != fs.ModeSymlink {
		t.left = append(t.left, "/"+name)
		return nil
	}
	header, err := t.header(name, info)
	if err != nil {
		return err
	}
	t.entries++
	if err := t.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	return t.content(name)
}

func (t *treeWriter) header(name string, info fs.FileInfo) (*tar.Header, error) {
	header := entry(name, info.Mode())
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system does not tell the owners of files: pack on Linux")
	}
	header.Uid, header.Gid = int(stat.Uid), int(stat.Gid)
	if t.owner != nil {
		header.Uid, header.Gid = t.owner.UID, t.owner.GID
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := t.root.Readlink(name)
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
		return header, err
	}
	if info.IsDir() {
		return header, nil
	}
	if first, again := t.linked(name, stat); again {
		header.Typeflag, header.Linkname = tar.TypeLink, first
		return header, nil
	}
	header.Size = info.Size()
	return header, nil
}

// linked reports whether the file was written before, and under which name.
func (t *treeWriter) linked(name string, stat *syscall.Stat_t) (first string, again bool) {
	if stat.Nlink < 2 {
		return "", false
	}
	id := inode{uint64(stat.Dev), stat.Ino}
	first, again = t.names[id]
	if !again {
		t.names[id] = name
	}
	return first, again
}

// content copies a file. One that grows or shrinks meanwhile is an error of the tar
// writer, which was told its size.
func (t *treeWriter) content(name string) error {
	f, err := t.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(t.tar, f); err != nil {
		return fmt.Errorf("%s changed while it was packed: %w", name, err)
	}
	return nil
}

package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"os"
	"path"
	"slices"
)

// The sorts of archives that a reference can name.
const (
	ociTar    = "an OCI archive: write oci-archive:FILE"
	dockerTar = "what `docker save` writes: write docker-archive:FILE"
)

// compressions are the first bytes of what gzip, zstd and xz write.
var compressions = [][]byte{{0x1f, 0x8b}, {0x28, 0xb5, 0x2f, 0xfd}, {0xfd, '7', 'z', 'X', 'Z'}}

// mistaken says what an archive is that could not be read as another sort; "" if
// that is not to be seen.
func mistaken(file, taken string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	in := bufio.NewReader(f)
	start, _ := in.Peek(5) // shorter than this it is none of them
	if slices.ContainsFunc(compressions, func(magic []byte) bool { return bytes.HasPrefix(start, magic) }) {
		return "; it is compressed as a whole: decompress it first (its layers may stay so)"
	}
	names := map[string]bool{}
	for archive := tar.NewReader(in); ; {
		header, err := archive.Next()
		if err != nil {
			break
		}
		names[path.Clean(header.Name)] = true
	}
	switch {
	case len(names) == 0:
		return "; it is no tar"
	case names["index.json"] && taken != ociTar:
		return "; it is " + ociTar
	case names["manifest.json"] && taken != dockerTar:
		return "; it is " + dockerTar
	case !names["index.json"] && !names["manifest.json"]:
		return "; it is a tar of files, not of an image: unpack it into a folder and make an image of that with `cutover image pack`"
	}
	return ""
}

package scenarios

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/release"
)

var imageName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// procedure checks the user's own way to release, and that nothing else is to do it.
func (v *validator) procedure() {
	p := v.s.Procedure
	v.way()
	for i, tool := range p.Tools {
		v.want(tool != "" && !strings.ContainsAny(tool, "/ \t"), elem("procedure.tools", i), "%q is no program's name: write it as it is called, such as kubectl", tool)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		key := join("procedure.env", name)
		v.want(variableName.MatchString(name), key, "%q is no variable's name", name)
		v.want(!release.Reserved(name), key, "cutover itself says what %s is", name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Images)) {
		key := join("procedure.images", name)
		v.want(imageName.MatchString(name), key, "%q is no name for an image: write lower-case letters, digits and hyphens, such as proxy: the procedure finds it in %s", name, release.ImageVariable("proxy"))
		v.image(key, p.Images[name])
	}
	for _, key := range fields(reflect.TypeFor[release.Spec]()).names {
		v.want(key == "deadline" || !v.given(join("release", key)), join("release", key), "the procedure moves the traffic: leave it out, or the procedure; with a procedure, release has only deadline")
	}
	v.want(v.s.Gate == nil, "gate", "a procedure decides by itself: leave it out")
}

// way checks what the procedure is, which is one thing.
func (v *validator) way() {
	p := v.s.Procedure
	given := slices.DeleteFunc(slices.Clone(release.Ways), func(way string) bool { return !v.given(join("procedure", way)) })
	switch {
	case len(given) == 0:
		v.want(false, "procedure", "it does not say what is to be run: write one of %s", strings.Join(release.Ways, ", "))
		return
	case len(given) > 1:
		v.want(false, "procedure", "%d of %s are given: keep one", len(given), strings.Join(release.Ways, ", "))
		return
	case given[0] == "script":
		v.script("procedure.script", p.Script)
		if p.Setup != "" {
			v.script("procedure.setup", p.Setup)
		}
		return
	}
	for _, key := range []string{"setup", "args", "tools"} {
		v.want(!v.given(join("procedure", key)), join("procedure", key), "it is a script's: leave it out, %s brings up both versions by itself", given[0])
	}
	v.refused("procedure", "procedure", p.Validate(v.s.Root()))
	if key, patience := p.Timeout(); v.sound("release.deadline") {
		v.want(patience < v.s.Release.Deadline.D(), join("procedure", key), "%s: the release is over after %s, its deadline: shorten one or raise the other", patience, v.s.Release.Deadline)
	}
}

// script checks that there is a program in the file, or that one can be built.
func (v *validator) script(key, path string) {
	if source, is := strings.CutPrefix(path, release.SchemeGo); is {
		v.goProgram(key, release.SchemeGo, source)
		return
	}
	v.want(!filepath.IsAbs(path), key, "%s: write the path as seen from %s", path, v.s.Root())
	file := filepath.Join(v.s.Root(), path)
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		v.want(false, key, "there is no file %s: write the path as seen from %s", file, v.s.Root())
		return
	}
	v.want(info.Mode()&0o111 != 0, key, "%s cannot be executed: chmod +x it", file)
}

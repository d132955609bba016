package scenarios

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/dependencies"
)

// dependencies checks each of them and every reference to one.
func (v *validator) dependencies() {
	for i, d := range v.s.Dependencies {
		key := elem("dependencies", i)
		v.want(dnsLabel.MatchString(d.Name), key+".name", "%q is no name: %s", d.Name, dnsRule)
		first := slices.IndexFunc(v.s.Dependencies, func(other dependencies.Spec) bool { return other.Name == d.Name })
		v.want(first == i, key+".name", "%q is also the name on line %d: each needs its own", d.Name, v.line(elem("dependencies", first)+".name"))
		v.dependency(key, d)
	}
	for _, key := range slices.Sorted(maps.Keys(v.referring)) {
		v.references(key, v.referring[key])
	}
}

func (v *validator) dependency(key string, d dependencies.Spec) {
	if v.given(key + ".image") {
		v.image(key+".image", d.Image)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Ports)) {
		place, port := join(key+".ports", name), d.Ports[name]
		v.want(serviceName.MatchString(name), place, "%q is no name of a port: %s, the first one a letter", name, dnsRule)
		v.want(port >= 1 && port <= 65535, place, "%d is no port: write 1 to 65535", port)
	}
	v.environment(key+".env", d.Env)
	for _, file := range slices.Sorted(maps.Keys(d.Files)) {
		v.want(path.IsAbs(file) && path.Clean(file) == file && file != "/", join(key+".files", file),
			"%q is no file of a container: write an absolute path such as /etc/app.conf", file)
	}
	v.wait(key, d)
}

func (v *validator) wait(key string, d dependencies.Spec) {
	w, place := d.Wait, key+".wait"
	v.want(w.Timeout > 0, place+".timeout", "0s is over before anything can be ready: write how long it may take, such as 60s")
	v.want(w.Times > 0, place+".times", "%d: write 1 or more", w.Times)
	v.want(v.given(place+".log") || !v.given(place+".times"), place+".times", "only with log: it says how often the log must hold that text")
	v.want(w.Log != "" || !v.given(place+".log"), place+".log", "empty: write a text that the log holds once it is ready")
	v.want(len(w.Exec) > 0 || !v.given(place+".exec"), place+".exec", "empty: write a command that succeeds once it is ready")
	if w.HTTP == nil {
		return
	}
	v.want(strings.HasPrefix(w.HTTP.Path, "/"), place+".http.path", "%q must begin with /", w.HTTP.Path)
	names := slices.Sorted(maps.Keys(d.Ports))
	switch {
	case w.HTTP.Port != "":
		v.want(slices.Contains(names, w.HTTP.Port), place+".http.port", "no port %q; its ports: %s%s",
			w.HTTP.Port, strings.Join(names, ", "), didYouMean(w.HTTP.Port, names))
	case len(names) != 1:
		v.want(false, place+".http", "%s has %d ports: name the one to ask as port", d.Name, len(names))
	}
}

// filled are the keys whose texts are filled in before they are used.
var filled = regexp.MustCompile(`^(app(\.(baseline|candidate))?\.(env\..+|(command|args)\[\])|dependencies\[\]\.((env|files)\..+|(command|args)\[\]))$`)

// references checks those in the text at key. One dependency may refer to those above
// it, which run when it starts.
func (v *validator) references(key, text string) {
	if !filled.MatchString(generic(key)) {
		v.want(false, key, "%s is not filled in here, only in env, command and args of the app and of dependencies, and in files of those",
			dependencies.References(text)[0])
		return
	}
	above := v.s.Dependencies
	for i := range above {
		if within(key, elem("dependencies", i)) {
			above = above[:i]
			break
		}
	}
	known := dependencies.Known(above...)
	for _, found := range dependencies.References(text) {
		if slices.Contains(known, found) {
			continue
		}
		if len(known) == 0 {
			v.want(false, key, "%s: no dependency is there yet; write it under dependencies, above what refers to it", found)
			continue
		}
		v.want(false, key, "%s stands for nothing; known here: %s%s", found, strings.Join(known, ", "), didYouMean(found, known))
	}
}

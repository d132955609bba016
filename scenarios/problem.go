package scenarios

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	Line int    // 0 if it concerns the file as a whole
	Key  string // full path of the key: "release.steps", "faults[0].at"; "" for the file
	Text string // what is wrong and what to write instead
}

// String is the problem on one line, the place first, as compilers write it.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key == "" {
		return place + ": " + p.Text
	}
	return place + ": " + p.Key + ": " + p.Text
}

// Problems are all that is wrong with a file, in order of lines.
type Problems []Problem

// Error is every problem on a line of its own.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report gathers the problems of one file and knows where each key stands.
type report struct {
	file      string
	lines     map[string]int    // by full key path
	referring map[string]string // the texts that refer to dependencies, by full key path
	problems  Problems
	spoilt    []string // keys that are wrong already, so that nothing is said of them twice
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{}, referring: map[string]string{}}
}

// add reports a problem with key, on its line or on that of the section around it.
func (r *report) add(key, format string, args ...any) {
	r.addAt(r.line(key), key, format, args...)
}

func (r *report) addAt(line int, key, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
	r.spoilt = append(r.spoilt, key)
}

// given reports whether the file has the key.
func (r *report) given(key string) bool {
	_, ok := r.lines[key]
	return ok
}

// line is where key stands; a key that is not there stands where its section does.
func (r *report) line(key string) int {
	for {
		if line, ok := r.lines[key]; ok || key == "" {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
}

// sound reports whether nothing is wrong yet with any of the keys, with what is
// below them or with the section they are in.
func (r *report) sound(keys ...string) bool {
	for _, key := range keys {
		for _, bad := range r.spoilt {
			if within(key, bad) || within(bad, key) {
				return false
			}
		}
	}
	return true
}

// within reports whether key is section or lies below it.
func within(key, section string) bool {
	rest, ok := strings.CutPrefix(key, section)
	return ok && (rest == "" || section == "" || rest[0] == '.' || rest[0] == '[')
}

// err is nil if there are no problems.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return r.problems
}

var index = regexp.MustCompile(`\[\d+\]`)

// generic is key with every index as [], as the vocabulary has it.
func generic(key string) string { return index.ReplaceAllString(key, "[]") }

// join is the path of a key in a section.
func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// elem is the path of an item in a list.
func elem(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

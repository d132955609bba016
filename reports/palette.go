package reports

import (
	"html/template"
	"strings"
)

// hue is a colour with its meaning for a name. The same thing has the same hue in
// every figure and table. Data colours are Okabe and Ito's, which stay apart for
// colour-blind eyes.
type hue struct{ name, light, dark string }

var palette = []hue{
	{"ink", "#1c2127", "#e6e8eb"},
	{"muted", "#5c6670", "#9aa4ae"},
	{"rule", "#d5dade", "#3a4149"},
	{"band", "#f3f5f7", "#1f242a"},
	{"paper", "#ffffff", "#14181c"},
	{"baseline", "#0072b2", "#56b4e9"},
	{"candidate", "#e69f00", "#e69f00"},
	{"other", "#9aa3ab", "#6d7780"},
	{"fault", "#cc79a7", "#cc79a7"},
	{"good", "#009e73", "#1fb78b"},
	{"slow", "#f2b48c", "#8f4a1c"},
	{"bad", "#d55e00", "#f0762a"},
	// The shades of the heat map, from few to many, away from the paper; not grey,
	// which is what nothing is known of.
	{"heat1", "#d9d7e8", "#37335a"},
	{"heat2", "#b8b4d4", "#4b4673"},
	{"heat3", "#948fbb", "#635e91"},
	{"heat4", "#706a9e", "#807ab2"},
	{"heat5", "#4d467c", "#a59fd4"},
	{"detect", "#39424c", "#dfe3e7"},
	{"decide", "#717c87", "#a3adb6"},
	{"actuate", "#a9b3bc", "#616b74"},
	{"recover", "#dde2e6", "#3b434a"},
}

// light is the colour that a figure has where style sheets are blocked.
func light(name string) string {
	switch name {
	case "":
		return "none"
	case "hatch":
		return "url(#hatch)"
	}
	for _, h := range palette {
		if h.name == name {
			return h.light
		}
	}
	panic("reports: no colour is named " + name)
}

// paletteCSS declares the hues as variables, and a class to fill and one to stroke with each.
func paletteCSS() template.CSS {
	var day, night, classes strings.Builder
	for _, h := range palette {
		day.WriteString("--" + h.name + ":" + h.light + ";")
		night.WriteString("--" + h.name + ":" + h.dark + ";")
		classes.WriteString(".f-" + h.name + "{fill:var(--" + h.name + ")}.s-" + h.name + "{stroke:var(--" + h.name + ")}\n")
	}
	return template.CSS(":root{" + day.String() + "}\n" +
		"@media (prefers-color-scheme:dark){:root{" + night.String() + "}}\n" +
		"@media print{:root{" + day.String() + "}}\n" + classes.String())
}
